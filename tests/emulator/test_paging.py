"""Paging of the classic API, in its two styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.http import Problem, Request
from airflow_provider_twilio_comms.emulator.paging import meta_page, uri_page
from tests.emulator.callers import CoreClient

MESSAGES = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
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


def rows(body: Any) -> list[str]:
    return [each["body"] for each in body["messages"]]


def test_a_page_goes_on_after_a_row(ask: CoreClient) -> None:
    """A message that arrives between two pages repeats no row; the token is the last row's SID."""
    for number in range(3):
        create(ask, f"n{number}")
    first = ask("GET", MESSAGES, PageSize=2).json()
    assert rows(first) == ["n2", "n1"]
    create(ask, "n3")
    query = dict(parse_qsl(urlsplit(first["next_page_uri"]).query))
    assert query["PageToken"] == f"PA{first['messages'][1]['sid']}"
    second = ask("GET", MESSAGES, **query).json()
    assert (rows(second), second["next_page_uri"]) == (["n0"], None)
    back = ask("GET", MESSAGES, **dict(parse_qsl(urlsplit(second["previous_page_uri"]).query))).json()
    assert back["page"] == 0


def test_a_page_after_a_row_that_is_gone_goes_on_by_number(ask: CoreClient) -> None:
    for number in range(3):
        create(ask, f"n{number}")
    ask.twilio.clock.advance(20)
    first = ask("GET", MESSAGES, PageSize=2).json()
    ask("DELETE", MESSAGES.replace(".json", f"/{first['messages'][1]['sid']}.json"))
    query = dict(parse_qsl(urlsplit(first["next_page_uri"]).query))
    assert rows(ask("GET", MESSAGES, **query).json()) == []


def test_operations_between_two_pages_shift_nothing(ask: CoreClient) -> None:
    sent = [ask.send("+12025550100") for _ in range(3)]
    first = ask.get("/Messages/Operations", pageSize=2)
    ask.send("+12025550100")
    second = ask.get("/Messages/Operations", pageSize=2, pageToken=first["pagination"]["next"])
    found = [*first["operations"], *second["operations"]]
    assert [each["id"] for each in found] == sent[::-1]
    assert second["pagination"]["next"] is None


def create(ask: CoreClient, text: str) -> None:
    form = {"To": "+12025550100", "From": "+15005550006", "Body": text}
    assert ask("POST", MESSAGES, form=form).status == 201
