"""An account's short codes: https://www.twilio.com/docs/messaging/api/short-code-resource"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypedDict

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import HttpMethod, Paged, ShortCodeSid, Url, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Filter", "Settings", "ShortCode", "fetch", "list", "update"]

SHORT_CODES = "/2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes.json"
SHORT_CODE = "/2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes/{Sid}.json"


class ShortCode(Resource, frozen=True):
    """A short code, with the webhooks for messages that come in on it."""

    sid: str
    short_code: str | None = None
    account_sid: str | None = None
    friendly_name: str | None = None
    api_version: str | None = None
    sms_url: str | None = None
    sms_method: str | None = None
    sms_fallback_url: str | None = None
    sms_fallback_method: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Filter(Paged, total=False):
    """Filters of the list of short codes."""

    friendly_name: str
    short_code: Annotated[str, Meta(pattern=r"^\d+\Z", description="digits")]


class Settings(TypedDict, total=False):
    """Settings of a short code that can be changed."""

    friendly_name: str
    api_version: str
    sms_url: Url
    sms_method: HttpMethod
    sms_fallback_url: Url
    sms_fallback_method: HttpMethod


def list(**only: Unpack[Filter]) -> Call[Page[ShortCode]]:
    """List short codes: ``GET /2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes.json``."""
    call = Call("GET", SHORT_CODES, nothing, "api", query=pairs(Filter, only))
    return paged(call, "short_codes", ShortCode)


def fetch(sid: ShortCodeSid) -> Call[ShortCode]:
    """Read a short code: ``GET /2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes/{Sid}.json``."""
    return Call("GET", SHORT_CODE, one(ShortCode), "api", _at(sid))


def update(sid: ShortCodeSid, **settings: Unpack[Settings]) -> Call[ShortCode]:
    """Change a short code: ``POST /2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes/{Sid}.json``."""
    return Call("POST", SHORT_CODE, one(ShortCode), "api", _at(sid), form=pairs(Settings, settings))


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, ShortCodeSid)}
