"""Sinks: https://www.twilio.com/docs/events/event-streams/sink-resource

Only webhook sinks can be made. A sink is ``initialized`` until a test event's id validates it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from airflow_provider_twilio_comms.api.events.sinks import Description, Filter, SinkType
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given, required
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.events.queue import Queue
from airflow_provider_twilio_comms.emulator.events.streams import Sink, Streams
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("events", "/v1")


class _Creation(TypedDict, total=False):
    description: Description
    sink_type: SinkType
    sink_configuration: dict[str, Any]


class _Changes(TypedDict, total=False):
    description: Description


class _Validation(TypedDict, total=False):
    test_id: str


@routes("POST", "/Sinks")
def create(twilio: State, request: Request) -> Reply:
    values = given(request, _Creation)
    description = required(values, "description", "Description")
    kind = required(values, "sink_type", "SinkType")
    configuration = required(values, "sink_configuration", "SinkConfiguration")
    if kind != "webhook":
        raise Problem(400, 20001, "The emulator has webhook sinks only")
    now = twilio.clock.now()
    assert request.caller is not None
    sid = f"DG{twilio.random.getrandbits(128):032x}"
    sink = Sink(sid, request.caller.account_sid, description, kind, _checked(configuration), now, now)
    twilio.part(Streams).sinks[sid] = sink
    return json_reply(sink.view(), 201)


def _checked(configuration: dict[str, Any]) -> dict[str, Any]:
    """Refuse a configuration that no webhook sink can have."""
    unknown = configuration.keys() - {"destination", "method", "batch_events"}
    destination = configuration.get("destination")
    parts = urlsplit(destination) if isinstance(destination, str) else None
    if unknown or parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(400, 20001, "The parameter SinkConfiguration is invalid")
    if configuration.get("method") not in ("GET", "POST"):
        raise Problem(400, 20001, "The method in SinkConfiguration is invalid")
    if not isinstance(configuration.get("batch_events"), bool):
        raise Problem(400, 20001, "batch_events in SinkConfiguration is invalid")
    return configuration


@routes("GET", "/Sinks")
def list_sinks(twilio: State, request: Request) -> Reply:
    filters, streams = asked(request, Filter), twilio.part(Streams)
    used = {each.sink_sid for each in streams.subscriptions.values()}
    rows = [
        sink.view()
        for sink in reversed(streams.sinks.values())
        if filters.get("status") in (None, sink.status)
        and filters.get("in_use") in (None, sink.sid in used)
        and sink.account_sid == _account(request)
    ]
    return meta_page(request, "sinks", rows)


@routes("GET", "/Sinks/{Sid}")
def fetch(twilio: State, request: Request, sid: str) -> Reply:
    return json_reply(_sink(twilio, request, sid).view())


@routes("POST", "/Sinks/{Sid}")
def update(twilio: State, request: Request, sid: str) -> Reply:
    sink = _sink(twilio, request, sid)
    sink.description = required(given(request, _Changes), "description", "Description")
    sink.updated = twilio.clock.now()
    return json_reply(sink.view())


@routes("DELETE", "/Sinks/{Sid}")
def delete(twilio: State, request: Request, sid: str) -> Reply:
    sink, streams = _sink(twilio, request, sid), twilio.part(Streams)
    if any(each.sink_sid == sid for each in streams.subscriptions.values()):
        raise Problem(409, 20409, "The sink is used by a subscription")
    del streams.sinks[sink.sid]
    return Reply(204)


@routes("POST", "/Sinks/{Sid}/Test")
def test(twilio: State, request: Request, sid: str) -> Reply:
    sink = _sink(twilio, request, sid)
    sink.tests.append(f"{twilio.random.getrandbits(128):032x}")
    sink.status = "validating" if sink.status == "initialized" else sink.status
    twilio.part(Queue).add_test(sink)
    return json_reply({"result": "submitted"}, 201)


@routes("POST", "/Sinks/{Sid}/Validate")
def validate(twilio: State, request: Request, sid: str) -> Reply:
    sink = _sink(twilio, request, sid)
    if required(given(request, _Validation), "test_id", "TestId") not in sink.tests:
        raise Problem(400, 20001, "The parameter TestId is invalid")
    sink.status, sink.updated = "active", twilio.clock.now()
    return json_reply({"result": "valid"}, 201)


def _sink(twilio: State, request: Request, sid: str) -> Sink:
    sink = twilio.part(Streams).sinks.get(sid)
    if sink is None or sink.account_sid != _account(request):
        raise missing()
    return sink


def _account(request: Request) -> str:
    assert request.caller is not None
    return request.caller.account_sid
