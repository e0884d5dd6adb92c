"""Requests of the Communications API, as each call encodes them."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations
from tests.api.comms.samples import SAMPLES, Sample, World

WORLD = World()


def filled(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return msgspec.json.decode(re.sub(r"<(\w+)>", lambda match: str(asdict(WORLD)[match[1]]), text))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_becomes_exactly_this_request(sample: Sample) -> None:
    call = sample.call(WORLD)
    assert f"{call.method} {call.target('AC1')}" == filled(sample.wire)
    assert call.product == "comms"
    content_type, body = call.content()
    if sample.json is None:
        assert (content_type, body) == (None, None)
    else:
        assert content_type == "application/json"
        assert msgspec.json.decode(body or b"") == filled(sample.json)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_says_what_it_does(sample: Sample) -> None:
    call = sample.call(WORLD)
    assert call.does == sample.effect
    assert call.recipients == ([WORLD.to] if sample.effect == "sends" else ())
    assert call.redirects == (sample.name == "messages.seek")
    assert call.repeatable == (sample.effect == "reads" or call.method == "DELETE")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_shows_nothing_personal(sample: Sample) -> None:
    shown = repr(sample.call(WORLD))
    assert shown.startswith("<Call ")
    assert not any(secret in shown for secret in ("555", "Hi", "example.com", "?"))


def test_recipients_already_encoded_go_out_as_they_are() -> None:
    call = messages.send(msgspec.Raw(b'[{"address":"+14155552671","channel":"PHONE"}]'), "Hi")
    assert call.content()[1] == (
        b'{"to":[{"address":"+14155552671","channel":"PHONE"}],"content":{"text":"Hi"}}'
    )


def test_the_addresses_of_every_kind_of_recipient_are_known() -> None:
    recipients = [
        {"address": "+14155552671", "channel": "PHONE"},
        {
            "addresses": [
                {"address": "+14155552672", "channel": "PHONE"},
                {"address": "+14155552673", "channel": "WHATSAPP"},
            ]
        },
        {"profileId": "mem_profile_1", "memoryStoreId": "mem_store_1"},
    ]
    assert messages.send(recipients, "Hi").recipients == [
        *("+14155552671", "+14155552672", "+14155552673"),
        "mem_profile_1",  # whom it stands for nobody knows here: allowed_recipients decides on the profile
    ]


def test_the_most_recipients_and_the_largest_body_fit() -> None:
    most = [{"address": f"+1202555{number:04}", "channel": "PHONE"} for number in range(10_000)]
    assert len(messages.send(most, "Hi").recipients) == 10_000
    base = len(messages.send(most[:1], "x").content()[1] or b"")
    body = messages.send(most[:1], "x" * (10_000_001 - base)).content()[1]
    assert len(body or b"") == 10_000_000


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    call = operations.fetch("../../Accounts?x=1#y")
    assert call.target("AC1") == "/Messages/Operations/..%2F..%2FAccounts%3Fx%3D1%23y"


def test_a_query_is_encoded() -> None:
    call = replace(operations.list(), query=[("a b", "ü&=;+")])
    assert call.target("AC1") == "/Messages/Operations?a+b=%C3%BC%26%3D%3B%2B"
