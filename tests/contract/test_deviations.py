"""The emulator is stricter and looser than Twilio exactly where the list says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from openapi_core.exceptions import OpenAPIError

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from docs.hooks.deviations import page
from tests.contract.deviations import DEVIATIONS, Deviation
from tests.contract.documents import OpenApiRequest, raw, validator, validator_of
from tests.contract.world import World
from tests.emulator.callers import CoreClient

CASES = [each for each in DEVIATIONS if each.request]


def request_of(deviation: Deviation) -> Request:
    assert deviation.request
    method, path, body = deviation.request
    ask = CoreClient(Twilio())
    path = path.replace("{AccountSid}", ACCOUNT_SID)
    if deviation.product == "comms":
        kind, content = "application/json", msgspec.json.encode(body)
    else:
        kind, content = "application/x-www-form-urlencoded", "&".join(_fields(body)).encode()
    return Request(
        method, deviation.product, path, headers={**ask.headers, "content-type": kind}, body=content
    )


def _fields(form: dict[str, str]) -> list[str]:
    return [f"{name}={value.replace('+', '%2B')}" for name, value in form.items()]


def answer(deviation: Deviation, mode: str) -> Reply:
    return Twilio(Clock(World.now.timestamp()), pace=0, mode=mode).handle(request_of(deviation))


@pytest.mark.parametrize("deviation", CASES, ids=lambda each: each.emulator)
def test_a_deviation_is_one(deviation: Deviation) -> None:
    asked = OpenApiRequest.received(request_of(deviation))
    strict, like_twilio = answer(deviation, "strict").status, answer(deviation, "like-twilio").status
    if deviation.kind == "looser":
        with pytest.raises(OpenAPIError):
            validator_of(raw(deviation.product)).validate_request(asked)
        assert strict < 300
        return
    validator(deviation.product).validate_request(asked)
    assert strict == 400
    assert (like_twilio < 300) == deviation.mode


def test_what_a_mode_changes_has_a_case() -> None:
    assert [each.emulator for each in DEVIATIONS if each.mode and not each.request] == []


def test_the_page_lists_every_deviation() -> None:
    text = page()
    assert [each.emulator for each in DEVIATIONS if f"| {each.emulator} | {each.twilio} |" not in text] == []


UNKNOWN: list[tuple[str, Any]] = [
    ("to", [{"addresses": [{"address": "+12025550100", "channel": "PHONE"}], "name": "Ines"}]),
    ("from", {"senderId": "comms_sender_01h9krwprkeee8fzqspvwy6nq1", "name": "Shop"}),
    ("content", {"modules": [{"rcs": {"text": "Hi", "extra": 1}, "extra": 1}]}),
    ("content", {"text": "Hi", "media": [{"url": "https://example.com/a.png", "alt": "A cat"}]}),
]
CLOSED: list[tuple[str, Any]] = [
    ("to", [{"address": "+12025550100", "channel": "PHONE", "name": "Ines"}]),
    ("to", [{"addresses": [{"address": "+12025550100", "channel": "PHONE", "name": "Ines"}]}]),
    ("content", {"text": "Hi", "subject": "Hi"}),
    ("content", {"modules": [{"sms": {"text": "Hi", "subject": "Hi"}}]}),
    ("schedule", {"sendAt": [], "sendBy": "noon"}),
]


@pytest.mark.parametrize(
    ("place", "value", "fine"), [*((*e, True) for e in UNKNOWN), *((*e, False) for e in CLOSED)]
)
def test_like_twilio_unknown_keys_pass_where_the_document_is_open(place: str, value: Any, fine: bool) -> None:
    body = {"to": [{"address": "+12025550100", "channel": "PHONE"}], "content": {"text": "Hi"}, place: value}
    deviation = CASES[0]._replace(request=("POST", "/v1/Messages", body))
    asked = OpenApiRequest.received(request_of(deviation))
    if fine:
        validator("comms").validate_request(asked)
    else:
        with pytest.raises(OpenAPIError):
            validator("comms").validate_request(asked)
    assert (answer(deviation, "like-twilio").status == 202) == fine
    assert answer(deviation, "strict").status == 400


def test_like_twilio_is_as_strict_about_what_is_no_json() -> None:
    request = replace(request_of(CASES[0]), body=b"{")
    assert Twilio(mode="like-twilio").handle(request).status == 400
