"""Subscriptions, which say what a sink gets, and their types of events.

https://www.twilio.com/docs/events/event-streams/subscription,
https://www.twilio.com/docs/events/event-streams/subscribed-event
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import Paged, pairs, sid, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.events.sinks import Description, SinkSid
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = [
    "Changes",
    "Filter",
    "SubscribedEvent",
    "Subscription",
    "create",
    "create_event",
    "delete",
    "delete_event",
    "fetch",
    "list",
    "list_events",
    "update",
]

SUBSCRIPTIONS = "/v1/Subscriptions"
SUBSCRIPTION = "/v1/Subscriptions/{Sid}"
EVENTS = "/v1/Subscriptions/{SubscriptionSid}/SubscribedEvents"
EVENT = f"{EVENTS}/{{Type}}"

SubscriptionSid = Annotated[str, sid("DF")]
EventType = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9._-]*\Z", description="a type such as com.twilio.messaging.message.sent"),
]
Version = Annotated[int, Meta(ge=1, description="a version of the type's schema, from 1")]


class Subscription(Resource, frozen=True):
    """A subscription of one sink; its types are read apart."""

    sid: str
    account_sid: str | None = None
    description: str | None = None
    sink_sid: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class SubscribedEvent(Resource, frozen=True):
    """A type of events that a subscription has."""

    type: str
    schema_version: int | None = None
    subscription_sid: str | None = None
    account_sid: str | None = None


class Filter(Paged, total=False):
    """Subscriptions to list."""

    sink_sid: SinkSid


class Changes(TypedDict, total=False):
    """Fields of a subscription that can be changed."""

    description: Description
    sink_sid: SinkSid


class _Event(TypedDict, total=False):
    type: EventType
    schema_version: Version


def create(description: str, sink_sid: SinkSid, types: Mapping[str, int | None]) -> Call[Subscription]:
    """Subscribe a sink: ``POST /v1/Subscriptions``.

    ``types`` gives each type the version of its schema, or None for Twilio's default.
    """
    if not types:
        raise InvalidInput.at("types", "is empty", "Name at least one type of events")
    form = pairs(Changes, {"description": description, "sink_sid": sink_sid})
    for name, version in types.items():
        checked: dict[str, Any] = {"type": valid("types", name, EventType)}
        if version is not None:
            checked["schema_version"] = valid("types", version, Version)
        form.append(("Types", msgspec.json.encode(checked).decode()))
    return Call("POST", SUBSCRIPTIONS, one(Subscription), "events", form=form)


def list(**filter: Unpack[Filter]) -> Call[Page[Subscription]]:
    """List subscriptions: ``GET /v1/Subscriptions``."""
    call: Call[None] = Call("GET", SUBSCRIPTIONS, nothing, "events", query=pairs(Filter, filter))
    return paged(call, "subscriptions", Subscription)


def fetch(sid: SubscriptionSid) -> Call[Subscription]:
    """Read a subscription: ``GET /v1/Subscriptions/{Sid}``."""
    return Call("GET", SUBSCRIPTION, one(Subscription), "events", _at(sid))


def update(sid: SubscriptionSid, **changes: Unpack[Changes]) -> Call[Subscription]:
    """Change a subscription: ``POST /v1/Subscriptions/{Sid}``."""
    return Call("POST", SUBSCRIPTION, one(Subscription), "events", _at(sid), form=pairs(Changes, changes))


def delete(sid: SubscriptionSid) -> Call[None]:
    """Delete a subscription: ``DELETE /v1/Subscriptions/{Sid}``."""
    return Call("DELETE", SUBSCRIPTION, nothing, "events", _at(sid))


def list_events(sid: SubscriptionSid, **paging: Unpack[Paged]) -> Call[Page[SubscribedEvent]]:
    """List a subscription's types: ``GET /v1/Subscriptions/{SubscriptionSid}/SubscribedEvents``."""
    call: Call[None] = Call("GET", EVENTS, nothing, "events", _of(sid), query=pairs(Paged, paging))
    return paged(call, "types", SubscribedEvent)


def create_event(sid: SubscriptionSid, type: str, schema_version: int | None = None) -> Call[SubscribedEvent]:
    """Add a type: ``POST /v1/Subscriptions/{SubscriptionSid}/SubscribedEvents``."""
    form = pairs(_Event, {"type": type, "schema_version": schema_version})
    return Call("POST", EVENTS, one(SubscribedEvent), "events", _of(sid), form=form)


def delete_event(sid: SubscriptionSid, type: str) -> Call[None]:
    """Take a type out: ``DELETE /v1/Subscriptions/{SubscriptionSid}/SubscribedEvents/{Type}``."""
    path = {**_of(sid), "Type": valid("type", type, EventType)}
    return Call("DELETE", EVENT, nothing, "events", path)


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, SubscriptionSid)}


def _of(sid: str) -> dict[str, str]:
    return {"SubscriptionSid": valid("sid", sid, SubscriptionSid)}
