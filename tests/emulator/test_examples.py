"""Twilio's own request examples are accepted by the emulator, with the names of its senders in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.comms.inventory import (
    POOL_ID,
    RCS_AGENT,
    SMS_NUMBER,
    SMS_SENDER_ID,
)
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.contract.documents import OpenApiRequest, example_requests, operations, validator
from tests.emulator import specs
from tests.emulator.callers import CoreClient

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc).timestamp()  # the examples' dates are a few hours later


def examples() -> Iterator[Any]:
    for operation in operations("comms"):
        for name, body in example_requests().get(operation.key, {}).items():
            path = operation.template.replace("{senderPoolId}", POOL_ID)
            yield pytest.param(operation.method, path, body, id=name)


def renamed(body: Any) -> Any:
    """Put the emulator's senders in place of the example's, and a new name in place of a pool's."""
    text = msgspec.json.encode(body).decode()
    text = re.sub(r"comms_sender_\w+", SMS_SENDER_ID, re.sub(r"comms_senderpool_\w+", POOL_ID, text))
    changed = msgspec.json.decode(text)
    if isinstance(changed, dict) and "address" in (sender := changed.get("from", {})):
        sender["address"] = {"SMS": SMS_NUMBER, "RCS": RCS_AGENT}[sender["channel"]]
    return changed


@pytest.mark.parametrize(("method", "path", "body"), list(examples()))
def test_a_request_of_the_document_is_accepted(method: str, path: str, body: Any) -> None:
    ask = CoreClient(Twilio(Clock(START), pace=0))
    asked, url = renamed(body), "https://comms.twilio.com"
    encoded = msgspec.json.encode(asked)
    validator("comms").validate_request(
        OpenApiRequest(method.lower(), url, f"/v1{path}", "application/json", encoded)
    )
    reply = ask(method, f"/comms/v1{path}", asked)
    assert reply.status < 300, reply.body
    specs.validate(method, f"/v1{path}", reply)


def test_every_operation_with_a_body_has_examples() -> None:
    with_body = {operation.key for operation in operations("comms") if "requestBody" in operation.content}
    assert with_body == set(example_requests())
