"""Calls of Event Streams: their requests, exactly, and bad input refused before there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import pytest

from airflow_provider_twilio_comms.api.events import sinks, subscriptions, types
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import InvalidInput

SINK, SUBSCRIPTION = "DG" + "1" * 32, "DF" + "2" * 32
KIND = "com.twilio.messaging.message.sent"
URL = "https://example.com/events"
CONFIG = Config("AC" + "a" * 32, "AC" + "a" * 32, "secret", region="ie1", edge="dublin")

REQUESTS: list[tuple[Call[Any], str, str]] = [
    (
        sinks.create("Airflow", URL),
        "POST /v1/Sinks",
        "Description=Airflow&SinkType=webhook&SinkConfiguration="
        f'{{"destination":"{URL}","method":"POST","batch_events":true}}',
    ),
    (sinks.list(in_use=True, status="failed"), "GET /v1/Sinks?InUse=true&Status=failed", ""),
    (sinks.fetch(SINK), f"GET /v1/Sinks/{SINK}", ""),
    (sinks.update(SINK, "Other"), f"POST /v1/Sinks/{SINK}", "Description=Other"),
    (sinks.delete(SINK), f"DELETE /v1/Sinks/{SINK}", ""),
    (sinks.test(SINK), f"POST /v1/Sinks/{SINK}/Test", ""),
    (sinks.validate(SINK, "abc"), f"POST /v1/Sinks/{SINK}/Validate", "TestId=abc"),
    (
        subscriptions.create("Airflow", SINK, {KIND: None, "com.twilio.x": 2}),
        "POST /v1/Subscriptions",
        f'Description=Airflow&SinkSid={SINK}&Types={{"type":"{KIND}"}}'
        '&Types={"type":"com.twilio.x","schema_version":2}',
    ),
    (subscriptions.list(sink_sid=SINK), f"GET /v1/Subscriptions?SinkSid={SINK}", ""),
    (subscriptions.fetch(SUBSCRIPTION), f"GET /v1/Subscriptions/{SUBSCRIPTION}", ""),
    (
        subscriptions.update(SUBSCRIPTION, sink_sid=SINK),
        f"POST /v1/Subscriptions/{SUBSCRIPTION}",
        f"SinkSid={SINK}",
    ),
    (subscriptions.delete(SUBSCRIPTION), f"DELETE /v1/Subscriptions/{SUBSCRIPTION}", ""),
    (
        subscriptions.list_events(SUBSCRIPTION, page_size=5),
        f"GET /v1/Subscriptions/{SUBSCRIPTION}/SubscribedEvents?PageSize=5",
        "",
    ),
    (
        subscriptions.create_event(SUBSCRIPTION, KIND, 3),
        f"POST /v1/Subscriptions/{SUBSCRIPTION}/SubscribedEvents",
        f"Type={KIND}&SchemaVersion=3",
    ),
    (
        subscriptions.delete_event(SUBSCRIPTION, KIND),
        f"DELETE /v1/Subscriptions/{SUBSCRIPTION}/SubscribedEvents/{KIND}",
        "",
    ),
    (types.list(schema_id="CommsApi.MessageSent"), "GET /v1/Types?SchemaId=CommsApi.MessageSent", ""),
    (types.fetch(KIND), f"GET /v1/Types/{KIND}", ""),
]

CASES: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (sinks.create, ("", URL), "description"),
    (sinks.create, ("x" * 256, URL), "description"),
    (sinks.create, ("Airflow", ""), "destination"),
    (sinks.create, ("Airflow", "ftp://example.com"), "destination"),
    (sinks.fetch, (SUBSCRIPTION,), "sid"),
    (sinks.validate, (SINK, ""), "test_id"),
    (subscriptions.create, ("Airflow", SINK, {}), "types"),
    (subscriptions.create, ("Airflow", SUBSCRIPTION, {KIND: None}), "sink_sid"),
    (subscriptions.create, ("Airflow", SINK, {"No such/type": None}), "types"),
    (subscriptions.create, ("Airflow", SINK, {KIND: 0}), "types"),
    (subscriptions.create_event, (SUBSCRIPTION, "../Sinks"), "type"),
    (subscriptions.fetch, (SINK,), "sid"),
    (types.fetch, ("a/b",), "type"),
]


@pytest.mark.parametrize(("call", "line", "form"), REQUESTS, ids=[line for _, line, _ in REQUESTS])
def test_a_call_of_event_streams_is_this_request(call: Call[Any], line: str, form: str) -> None:
    method, _, target = line.partition(" ")
    assert (call.method, CONFIG.url(call)) == (method, f"https://events.twilio.com{target}")
    assert unquote_plus((call.content()[1] or b"").decode()) == form


@pytest.mark.parametrize(("make", "given", "field"), CASES)
def test_bad_input_is_refused(make: Callable[..., Any], given: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        make(*given)
    assert raised.value.field == field
