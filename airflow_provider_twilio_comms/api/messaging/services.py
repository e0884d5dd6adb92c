"""Messaging services: https://www.twilio.com/docs/messaging/api/service-resource"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypedDict

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import (
    HttpMethod,
    Paged,
    ServiceSid,
    Url,
    ValidityPeriod,
    pairs,
    valid,
)
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Changes", "Service", "Settings", "create", "delete", "fetch", "list", "update"]

SERVICES = "/v1/Services"
SERVICE = "/v1/Services/{Sid}"

FriendlyName = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 characters")]


class Service(Resource, frozen=True):
    """A messaging service: senders, and the settings with which they send."""

    sid: str
    friendly_name: str | None = None
    account_sid: str | None = None
    usecase: str | None = None
    inbound_request_url: str | None = None
    inbound_method: str | None = None
    fallback_url: str | None = None
    fallback_method: str | None = None
    status_callback: str | None = None
    sticky_sender: bool | None = None
    mms_converter: bool | None = None
    smart_encoding: bool | None = None
    scan_message_content: str | None = None
    fallback_to_long_code: bool | None = None
    area_code_geomatch: bool | None = None
    synchronous_validation: bool | None = None
    validity_period: int | None = None  # seconds
    use_inbound_webhook_on_number: bool | None = None
    us_app_to_person_registered: bool | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Settings(TypedDict, total=False):
    """Settings of a service."""

    inbound_request_url: Url
    inbound_method: HttpMethod
    fallback_url: Url
    fallback_method: HttpMethod
    status_callback: Url
    sticky_sender: bool
    mms_converter: bool
    smart_encoding: bool
    scan_message_content: Literal["inherit", "enable", "disable"]
    fallback_to_long_code: bool  # obsolete
    area_code_geomatch: bool
    validity_period: ValidityPeriod
    synchronous_validation: bool  # reserved
    usecase: Literal["notifications", "marketing", "verification", "discussion", "poll", "undeclared"]
    use_inbound_webhook_on_number: bool


class Changes(Settings, total=False):
    """Settings of a service that can be changed, its name included."""

    friendly_name: FriendlyName


def create(friendly_name: str, **settings: Unpack[Settings]) -> Call[Service]:
    """Create a service: ``POST /v1/Services``."""
    form = [
        ("FriendlyName", valid("friendly_name", friendly_name, FriendlyName)),
        *pairs(Settings, settings),
    ]
    return Call("POST", SERVICES, one(Service), "messaging", form=form)


def list(**paging: Unpack[Paged]) -> Call[Page[Service]]:
    """List services: ``GET /v1/Services``."""
    return paged(Call("GET", SERVICES, nothing, "messaging", query=pairs(Paged, paging)), "services", Service)


def fetch(sid: ServiceSid) -> Call[Service]:
    """Read a service: ``GET /v1/Services/{Sid}``."""
    return Call("GET", SERVICE, one(Service), "messaging", _at(sid))


def update(sid: ServiceSid, **changes: Unpack[Changes]) -> Call[Service]:
    """Change a service: ``POST /v1/Services/{Sid}``."""
    return Call("POST", SERVICE, one(Service), "messaging", _at(sid), form=pairs(Changes, changes))


def delete(sid: ServiceSid) -> Call[None]:
    """Delete a service; its numbers stay the account's: ``DELETE /v1/Services/{Sid}``."""
    return Call("DELETE", SERVICE, nothing, "messaging", _at(sid))


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, ServiceSid)}
