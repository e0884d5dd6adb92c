"""Sinks, which are the places that events are delivered to: https://www.twilio.com/docs/events/event-streams/sink-resource"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import Paged, Url, pairs, sid, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = [
    "Configuration",
    "Filter",
    "Sink",
    "Tested",
    "create",
    "delete",
    "fetch",
    "list",
    "test",
    "update",
    "validate",
]

SINKS = "/v1/Sinks"
SINK = "/v1/Sinks/{Sid}"

SinkSid = Annotated[str, sid("DG")]
Description = Annotated[str, Meta(min_length=1, max_length=255, description="1 to 255 characters")]
Status = Literal["initialized", "validating", "active", "failed"]
SinkType = Literal["kinesis", "webhook", "segment", "email"]


class Configuration(Resource, frozen=True):
    """The settings of a webhook sink; those of other kinds are not read, since they may be secrets."""

    destination: str | None = None
    method: str | None = None
    batch_events: bool | None = None


class Sink(Resource, frozen=True):
    """A sink: ``sink_type`` is ``webhook``, ``kinesis`` ..., ``status`` is ``active``, ``failed`` ..."""

    sid: str
    description: str | None = None
    sink_type: str | None = None
    sink_configuration: Configuration | None = None
    status: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Tested(Resource, frozen=True):
    """The result of a test: ``submitted``, or of a validation: ``valid``."""

    result: str


class Filter(Paged, total=False):
    """Sinks to list."""

    in_use: bool
    status: Status


class _Creation(TypedDict, total=False):
    description: Description
    sink_type: SinkType


class _Changes(TypedDict, total=False):
    description: Description


class _Validation(TypedDict, total=False):
    test_id: Annotated[str, Meta(min_length=1, description="the test_id of the test event")]


def create(description: str, destination: Url, *, batch_events: bool = True) -> Call[Sink]:
    """Create a sink that posts events to a webhook: ``POST /v1/Sinks``.

    With ``batch_events`` a request holds several events, as a JSON array.
    """
    if not destination:
        valid("destination", None, Url)
    configuration = {
        "destination": valid("destination", destination, Url),
        "method": "POST",
        "batch_events": batch_events,
    }
    form = [
        *pairs(_Creation, {"description": description, "sink_type": "webhook"}),
        ("SinkConfiguration", msgspec.json.encode(configuration).decode()),
    ]
    return Call("POST", SINKS, one(Sink), "events", form=form)


def list(**filter: Unpack[Filter]) -> Call[Page[Sink]]:
    """List sinks: ``GET /v1/Sinks``."""
    return paged(Call("GET", SINKS, nothing, "events", query=pairs(Filter, filter)), "sinks", Sink)


def fetch(sid: SinkSid) -> Call[Sink]:
    """Read a sink: ``GET /v1/Sinks/{Sid}``."""
    return Call("GET", SINK, one(Sink), "events", _at(sid))


def update(sid: SinkSid, description: str) -> Call[Sink]:
    """Change a sink's description, the one thing that can be: ``POST /v1/Sinks/{Sid}``."""
    return Call(
        "POST", SINK, one(Sink), "events", _at(sid), form=pairs(_Changes, {"description": description})
    )


def delete(sid: SinkSid) -> Call[None]:
    """Delete a sink that no subscription uses: ``DELETE /v1/Sinks/{Sid}``."""
    return Call("DELETE", SINK, nothing, "events", _at(sid))


def test(sid: SinkSid) -> Call[Tested]:
    """Have Twilio deliver a test event: ``POST /v1/Sinks/{Sid}/Test``."""
    return Call("POST", f"{SINK}/Test", one(Tested), "events", _at(sid))


def validate(sid: SinkSid, test_id: str) -> Call[Tested]:
    """Confirm that a test event has arrived: ``POST /v1/Sinks/{Sid}/Validate``."""
    form = pairs(_Validation, {"test_id": test_id})
    return Call("POST", f"{SINK}/Validate", one(Tested), "events", _at(sid), form=form)


def _at(sid: Any) -> dict[str, str]:
    return {"Sid": valid("sid", sid, SinkSid)}
