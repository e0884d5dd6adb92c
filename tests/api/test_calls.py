"""Requests of the classic API, as each call encodes them, byte by byte."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
import pytest

from airflow_provider_twilio_comms.api.classic import incoming_numbers, messages
from airflow_provider_twilio_comms.api.lookups import fetch as look_up
from tests.contract.calls import SAMPLES
from tests.contract.world import Sample, World

WORLD = World()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_becomes_exactly_this_request(sample: Sample) -> None:
    call = sample.call(WORLD)
    assert f"{call.method} {call.target(WORLD.account)}" == sample.expected(sample.wire, WORLD)
    content_type, body = call.content()
    if sample.json is not None:
        assert (content_type, msgspec.json.decode(body or b"")) == ("application/json", sample.json)
    elif sample.form is not None:
        assert content_type == "application/x-www-form-urlencoded"
        assert (body or b"").decode() == sample.expected(sample.form, WORLD)
    else:
        assert body is None


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_says_what_it_does(sample: Sample) -> None:
    call = sample.call(WORLD)
    expected = "sends" if sample.name == "messages.send" else "reads" if call.method == "GET" else "writes"
    assert call.does == expected
    assert bool(call.recipients) == (expected == "sends")
    assert call.redirects == (sample.name in ("media.download", "deactivations.fetch"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_call_shows_no_number_and_no_text(sample: Sample) -> None:
    call = sample.call(WORLD)
    for secret in (WORLD.to, WORLD.sender, WORLD.for_sale, "555", "Ada"):
        assert secret not in repr(call)


def test_only_what_is_given_is_sent() -> None:
    call = messages.send(WORLD.to, from_=WORLD.sender, body="Hi", send_as_mms=None)  # type: ignore[arg-type]
    assert [name for name, _ in call.form or ()] == ["To", "From", "Body"]


def test_an_empty_text_clears_a_setting() -> None:
    assert incoming_numbers.update(WORLD.number, sms_url="").form == [("SmsUrl", "")]


def test_a_path_value_cannot_leave_its_place() -> None:
    call = look_up("+1 (415) 555-2671")
    assert call.target(WORLD.account) == "/v2/PhoneNumbers/%2B1%20%28415%29%20555-2671"


@pytest.mark.parametrize("text", ["".join(map(chr, range(1, 0x250))), "50 % off? A+B & C/D = €5 ~ 🎉", ""])
def test_a_message_of_a_series_is_encoded_as_one_alone(text: str) -> None:
    given: dict[str, Any] = {"from_": "+15005550006"}
    one = messages.series(**given)("whatsapp:+12025550100", text, None)
    assert (
        one.content()[1]
        == urlencode({"From": "+15005550006", "To": "whatsapp:+12025550100", "Body": text}).encode()
    )
    variables = {"1": text}
    templated = messages.series(**given, content_sid="HX" + "0" * 32)("+12025550100", None, variables)
    (encoded,) = parse_qs((templated.content()[1] or b"").decode())["ContentVariables"]
    assert json.loads(encoded) == variables
