"""Types of events that Twilio knows: https://www.twilio.com/docs/events/event-streams/event-type"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.events.subscriptions import EventType
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Filter", "Type", "fetch", "list"]


class Type(Resource, frozen=True):
    """A type of events, such as ``com.twilio.messaging.message.delivered``."""

    type: str
    schema_id: str | None = None
    description: str | None = None
    status: str | None = None
    documentation_url: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Filter(Paged, total=False):
    """Types to list."""

    schema_id: Annotated[
        str, Meta(min_length=1, description="the id of a schema, such as Messaging.MessageStatus")
    ]


def list(**filter: Unpack[Filter]) -> Call[Page[Type]]:
    """List types: ``GET /v1/Types``."""
    return paged(Call("GET", "/v1/Types", nothing, "events", query=pairs(Filter, filter)), "types", Type)


def fetch(type: str) -> Call[Type]:
    """Read a type: ``GET /v1/Types/{Type}``."""
    return Call("GET", "/v1/Types/{Type}", one(Type), "events", {"Type": valid("type", type, EventType)})
