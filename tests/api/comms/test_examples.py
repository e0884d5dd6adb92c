"""Twilio's example replies of the Communications API, read by the calls that would get them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, checked
from tests.api.comms.samples import SAMPLES, World
from tests.contract.documents import (
    OpenApiReply,
    OpenApiRequest,
    example_replies,
    operations,
    validator,
)


def examples() -> Iterator[Any]:
    """The first sample of each operation, with each of the operation's example replies."""
    calls = {(call.method, call.path): call for call in (each.call(World()) for each in reversed(SAMPLES))}
    for operation in operations("comms"):
        for status, replies in example_replies().get(operation.key, {}).items():
            for name, body in replies.items():
                call = calls[operation.method, operation.template]
                yield pytest.param(call, int(status), body, id=f"{operation.id}-{name}")


@pytest.mark.parametrize(("call", "status", "body"), list(examples()))
def test_an_example_is_read(call: Call[Any], status: int, body: dict[str, Any]) -> None:
    result = checked(call, Reply(status, body=msgspec.json.encode(body)))
    if isinstance(result, Page):
        rows = next(value for value in body.values() if isinstance(value, list))
        assert bool(result.next) == bool(body["pagination"]["next"])
        result = result.items
    else:
        rows = body["results"] if isinstance(result, (list, tuple)) else [body]
        result = result if isinstance(result, (list, tuple)) else [result]
    assert len(result) == len(rows)
    for item, row in zip(result, rows, strict=True):
        agrees(item, row)


@pytest.mark.parametrize(("call", "status", "body"), list(examples()))
def test_an_example_is_true_to_its_document(call: Call[Any], status: int, body: dict[str, Any]) -> None:
    sent = OpenApiRequest(call.method.lower(), "https://comms.twilio.com", f"/v1{call.target('')}", "", None)
    reply = Reply(status, {"content-type": "application/json"}, msgspec.json.encode(body))
    validator("comms").validate_response(sent, OpenApiReply.of(reply))


def agrees(item: Any, row: dict[str, Any]) -> None:
    """Nothing that the reply says and the struct knows is lost, and no repr shows an address."""
    for field in msgspec.structs.fields(type(item)):
        value, given = getattr(item, field.name), row.get(field.encode_name)
        if isinstance(value, msgspec.Struct):
            agrees(value, given or {})
        elif isinstance(value, tuple):
            for each, inner in zip(value, given or (), strict=True):
                agrees(each, inner)
        elif isinstance(value, datetime):
            assert value.tzinfo is not None
            assert given
        elif field.encode_name in row:
            assert value == given, field.name
    assert not row.get("address") or str(row["address"]) not in repr(item)
