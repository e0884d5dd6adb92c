"""Subscriptions and their types: https://www.twilio.com/docs/events/event-streams/subscription"""

from __future__ import annotations

import msgspec
from typing_extensions import TypedDict

from airflow_provider_twilio_comms.api._forms import Paged
from airflow_provider_twilio_comms.api.events.sinks import Description, SinkSid
from airflow_provider_twilio_comms.api.events.subscriptions import Changes, EventType, Filter, Version
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given, required
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.events.catalog import TYPES
from airflow_provider_twilio_comms.emulator.events.streams import Streams, Subscription
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("events", "/v1")


class _Creation(TypedDict, total=False):
    description: Description
    sink_sid: SinkSid
    types: list[str]


class _Event(TypedDict, total=False):
    type: EventType
    schema_version: Version


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    schema_version: int | None = None


@routes("POST", "/Subscriptions")
def create(twilio: State, request: Request) -> Reply:
    values = given(request, _Creation)
    description = required(values, "description", "Description")
    sink_sid = _sink(twilio, request, required(values, "sink_sid", "SinkSid"))
    now = twilio.clock.now()
    sid = f"DF{twilio.random.getrandbits(128):032x}"
    made = Subscription(sid, _account(request), description, sink_sid, now, now)
    for text in required(values, "types", "Types"):
        try:
            named = msgspec.json.decode(text, type=_Named)
        except msgspec.MsgspecError:
            raise Problem(400, 20001, "The parameter Types is invalid") from None
        _add(made, named.type, named.schema_version, now)
    twilio.part(Streams).subscriptions[sid] = made
    return json_reply(made.view(), 201)


@routes("GET", "/Subscriptions")
def list_subscriptions(twilio: State, request: Request) -> Reply:
    sink = asked(request, Filter).get("sink_sid")
    rows = [
        each.view()
        for each in reversed(twilio.part(Streams).subscriptions.values())
        if sink in (None, each.sink_sid) and each.account_sid == _account(request)
    ]
    return meta_page(request, "subscriptions", rows)


@routes("GET", "/Subscriptions/{Sid}")
def fetch(twilio: State, request: Request, sid: str) -> Reply:
    return json_reply(_subscription(twilio, request, sid).view())


@routes("POST", "/Subscriptions/{Sid}")
def update(twilio: State, request: Request, sid: str) -> Reply:
    found, values = _subscription(twilio, request, sid), given(request, Changes)
    found.description = values.get("description", found.description)
    if "sink_sid" in values:
        found.sink_sid = _sink(twilio, request, values["sink_sid"])
    found.updated = twilio.clock.now()
    return json_reply(found.view())


@routes("DELETE", "/Subscriptions/{Sid}")
def delete(twilio: State, request: Request, sid: str) -> Reply:
    del twilio.part(Streams).subscriptions[_subscription(twilio, request, sid).sid]
    return Reply(204)


@routes("GET", "/Subscriptions/{SubscriptionSid}/SubscribedEvents")
def list_events(twilio: State, request: Request, subscription_sid: str) -> Reply:
    asked(request, Paged)
    found = _subscription(twilio, request, subscription_sid)
    return meta_page(request, "types", [found.event_view(name) for name in found.types])


@routes("POST", "/Subscriptions/{SubscriptionSid}/SubscribedEvents")
def create_event(twilio: State, request: Request, subscription_sid: str) -> Reply:
    found, values = _subscription(twilio, request, subscription_sid), given(request, _Event)
    name = required(values, "type", "Type")
    _add(found, name, values.get("schema_version"), twilio.clock.now())
    return json_reply(found.event_view(name), 201)


@routes("DELETE", "/Subscriptions/{SubscriptionSid}/SubscribedEvents/{Type}")
def delete_event(twilio: State, request: Request, subscription_sid: str, type: str) -> Reply:
    found = _subscription(twilio, request, subscription_sid)
    if type not in found.types:
        raise missing()
    if len(found.types) == 1:
        raise Problem(400, 20001, "A subscription has at least one type")
    del found.types[type], found.since[type]
    return Reply(204)


def _add(subscription: Subscription, name: str, version: int | None, now: float) -> None:
    if name not in TYPES:
        raise Problem(400, 20001, "There is no such type of events")
    if name in subscription.types:
        raise Problem(409, 20409, "The subscription has this type already")
    _, latest = TYPES[name]
    if version is not None and not 1 <= version <= latest:
        raise Problem(400, 20001, "The parameter SchemaVersion is invalid")
    subscription.types[name], subscription.since[name] = version or latest, now


def _sink(twilio: State, request: Request, sid: str) -> str:
    sink = twilio.part(Streams).sinks.get(sid)
    if sink is None or sink.account_sid != _account(request):
        raise Problem(400, 20001, "The parameter SinkSid is invalid")
    return sid


def _subscription(twilio: State, request: Request, sid: str) -> Subscription:
    found = twilio.part(Streams).subscriptions.get(sid)
    if found is None or found.account_sid != _account(request):
        raise missing()
    return found


def _account(request: Request) -> str:
    assert request.caller is not None
    return request.caller.account_sid
