"""Twilio's example replies, read by the calls that would get them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api._resources import Elsewhere, Resource
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, checked
from tests.contract.calls import SAMPLES
from tests.contract.documents import OpenApiReply, OpenApiRequest, example_replies, operation_of, validator
from tests.contract.world import World

WORLD = World()


def examples() -> Iterator[Any]:
    """One call per operation, with each of the operation's example replies."""
    seen = set()
    for sample in SAMPLES:
        call = sample.call(WORLD)
        operation = operation_of(call, WORLD.account)
        if operation is None or operation.key in seen:
            continue
        seen.add(operation.key)
        for status, replies in example_replies().get(operation.key, {}).items():
            for name, body in replies.items():
                yield pytest.param(call, int(status), body, id=f"{operation.key}-{name}")


@pytest.mark.parametrize(("call", "status", "body"), list(examples()))
def test_contract_example_is_read(call: Call[Any], status: int, body: dict[str, Any]) -> None:
    result = checked(call, Reply(status, body=msgspec.json.encode(body)))
    if isinstance(result, Page):
        key = next(name for name, value in body.items() if isinstance(value, list))
        assert len(result.items) == len(body[key])
        for item, row in zip(result.items, body[key], strict=True):
            agrees(item, row)
        following = body.get("next_page_uri") or body.get("meta", {}).get("next_page_url")
        assert bool(result.next) == bool(following)
        assert result.next is None or result.next.target(WORLD.account).partition("?")[2]
    elif isinstance(result, Elsewhere):
        assert result.url == body["redirect_to"]
    else:
        agrees(result, body.get("whatsapp", body))


@pytest.mark.parametrize(("call", "status", "body"), list(examples()))
def test_contract_example_is_true_to_its_document(call: Call[Any], status: int, body: dict[str, Any]) -> None:
    """The corrections cover every contradiction between the documents and their own examples."""
    reply = Reply(status, {"content-type": "application/json"}, msgspec.json.encode(body))
    validator(call.product).validate_response(OpenApiRequest.of(call, WORLD.account), OpenApiReply.of(reply))


def agrees(item: Resource, row: dict[str, Any]) -> None:
    """Nothing that the reply says and the struct knows is lost, and a repr shows neither number nor text."""
    for field in msgspec.structs.fields(type(item)):
        value, given = getattr(item, field.name), row.get(field.encode_name)
        assert (value is None) == (given is None or (given == "" and not isinstance(value, str))), field.name
        if isinstance(value, datetime):
            assert value.tzinfo is not None
        elif isinstance(given, str) and isinstance(value, str):
            assert value == given
    for name in ("to", "from", "body", "phone_number", "friendly_name", "auth_token"):
        assert not row.get(name) or str(row[name]) not in repr(item)
