"""Paging of the classic API, in its two styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_twilio_comms.emulator.http import Problem, Request
from airflow_provider_twilio_comms.emulator.paging import meta_page, uri_page

ITEMS = [{"n": n} for n in range(7)]


def read(page: Any, query: str) -> Any:
    return page(Request("GET", "messaging", "/v1/Services", parse_qsl(query)), "services", ITEMS).json()


@pytest.mark.parametrize(
    ("page", "following"),
    [
        (uri_page, lambda body: body["next_page_uri"]),
        (meta_page, lambda body: body["meta"]["next_page_url"]),
    ],
)
def test_every_item_comes_once(page: Any, following: Callable[[Any], str | None]) -> None:
    found, query = [], "PageSize=3&Status=x"
    while True:
        body = read(page, query)
        found += body["services"]
        address = following(body)
        if address is None:
            break
        query = urlsplit(address).query
        assert "Status=x" in query
    assert found == ITEMS


def test_addresses_are_relative_or_absolute() -> None:
    classic, newer = read(uri_page, "PageSize=3"), read(meta_page, "PageSize=3")["meta"]
    assert classic["next_page_uri"].startswith("/v1/Services?")
    assert (classic["page"], classic["page_size"], classic["start"], classic["end"]) == (0, 3, 0, 2)
    assert classic["previous_page_uri"] is None
    assert newer["next_page_url"].startswith("https://messaging.twilio.invalid/v1/Services?")
    assert (newer["key"], newer["page"], newer["previous_page_url"]) == ("services", 0, None)


@pytest.mark.parametrize(
    ("query", "code"),
    [("PageSize=1001", 20007), ("PageSize=0", 20001), ("Page=1", 20001), ("Page=1&PageToken=PA1", 21481)],
)
def test_a_page_nobody_gave_is_refused(query: str, code: int) -> None:
    with pytest.raises(Problem) as caught:
        read(uri_page, query)
    assert caught.value.errors[0][0] == code
