"""The emulator has every operation of the document, and its replies are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.comms import messages, operations, sender_pools, senders, sending
from airflow_provider_twilio_comms.emulator.comms.inventory import POOL_ID, SMS_NUMBER, SMS_SENDER_ID
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator import specs
from tests.emulator.callers import CoreClient, message, phone

TO = {"recipientAddresses": [phone()], "senderPoolId": POOL_ID}
EVERY_KIND = [f"+1202555{n}" for n in (9000, 9001, 9003, 9005, 9006, 9007, 9337, 9610, "0100")]
BOTH = {"addresses": [phone("+12025559337") | {"channel": "WHATSAPP"}, phone("+12025559337")]}


def conversation(ask: CoreClient) -> Iterator[tuple[str, str, Any]]:
    """Make requests to every route, one after the other, each on the state that the one before it left."""
    pool = {"from": {"senderPoolId": POOL_ID}, "tags": {"run": "r1"}}
    later = {"schedule": {"sendAt": ["2026-10-01T00:00:00Z"]}}
    yield "POST", "/Messages", message(*EVERY_KIND, BOTH, **pool)
    yield "POST", "/Messages", message(**later)
    operation_id = ask.get("/Messages/Operations")["operations"][1]["id"]
    for seconds in (0, 3, 3, 3, 3):
        ask.twilio.clock.advance(seconds)
        yield "GET", f"/Messages/Operations/{operation_id}", None
        yield "GET", "/Messages", None
        for row in ask.rows():
            yield "GET", f"/Messages/{row['id']}", None
    shown = ask.get(f"/Messages/{ask.rows(operationId=operation_id)[0]['id']}")
    yield "GET", f"/Messages/Seek/{shown['attempts'][0]['infoUrl'][-34:]}", None
    yield "GET", "/Messages/Operations", None
    yield "GET", "/Senders", None
    yield "GET", f"/Senders/{SMS_SENDER_ID}", None
    yield "POST", "/Senders/Search", {"address": SMS_NUMBER, "channel": "SMS"}
    yield "POST", "/Senders/Resolve", TO
    yield "POST", "/SenderPools", {"name": "Mine", "senders": [{"senderId": SMS_SENDER_ID}]}
    yield "GET", "/SenderPools/Operations", None
    made = ask.get("/SenderPools/Operations")["operations"][0]["id"]
    ask.twilio.clock.advance(10)
    yield "GET", f"/SenderPools/Operations/{made}", None
    yield "GET", "/SenderPools", None
    mine = ask.get("/SenderPools", operationId=made)["senderPools"][0]["id"]
    yield "GET", f"/SenderPools/{mine}", None
    yield "PATCH", f"/SenderPools/{mine}", {"tags": {"a": "b"}}
    yield "GET", f"/SenderPools/{mine}/Senders", None
    yield "POST", f"/SenderPools/{mine}/Senders", [{"senderId": SMS_SENDER_ID}]
    yield "DELETE", f"/SenderPools/{mine}/Senders/{SMS_SENDER_ID}", None
    yield "DELETE", f"/SenderPools/{mine}", None


@pytest.mark.parametrize("version", ["v1", "preview"])
def test_replies_are_as_the_document_says(version: str) -> None:
    ask = CoreClient(Twilio(Clock(1_790_000_000), accepted="body", pace=10))
    seen = set()
    for method, path, body in conversation(ask):
        reply = ask(method, f"/comms/{version}{path}", body)
        assert reply.status < 400, (method, path, reply.body)
        specs.validate(method, f"/{version}{path}", reply)
        seen.add(next(iter(key for key in _documented() if _fits(key, method, path))))
    assert seen == set(_documented())


def _documented() -> dict[tuple[str, str], str]:
    """List method and template of the emulator's operations, the most specific first."""
    found = {
        (method.upper(), template): content["operationId"]
        for template, item in specs.document()["paths"].items()
        for method, content in item.items()
        if method in ("get", "post", "patch", "delete")
    }
    return dict(sorted(found.items(), key=lambda each: each[0][1].count("{")))


def _fits(key: tuple[str, str], method: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(key[1]))
    return key[0] == method and re.fullmatch(pattern, path) is not None


def test_the_routes_are_those_of_the_document() -> None:
    modules = (sending, messages, operations, senders, sender_pools)
    spoken = {
        (route.method, route.template.removeprefix("/{version:v1|preview}"))
        for module in modules
        for route in module.routes
    }
    assert spoken == set(_documented())


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/Messages", message("nobody"), 400),
        ("GET", "/Messages", None, 401),
        ("GET", "/Messages/comms_message_01h9krwprkeee8fzqspvwy6nq8", None, 404),
        ("POST", "/SenderPools", {"name": "Everything"}, 409),
        ("POST", "/Messages", message(), 429),
        ("POST", "/Messages", message(), 500),
        ("GET", "/Messages/Operations", None, 503),
    ],
)
def test_so_are_errors(ask: CoreClient, method: str, path: str, body: Any, status: int) -> None:
    if status == 401:
        ask.headers.clear()
    faults: dict[int, Any] = {429: "rate_limited", 500: "error_before", 503: "unavailable"}
    if status in faults:
        ask.twilio.faults.add(Fault(kind=faults[status], retry_after=3))
    reply = ask(method, f"/comms/v1{path}", body)
    assert reply.status == status
    specs.validate(method, f"/v1{path}", reply)
