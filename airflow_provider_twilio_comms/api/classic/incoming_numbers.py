"""The account's phone numbers: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypedDict

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import (
    AccountSid,
    AddressSid,
    BundleSid,
    HttpMethod,
    IdentitySid,
    Paged,
    PhoneNumber,
    PhoneNumberSid,
    Url,
    pairs,
    valid,
)
from airflow_provider_twilio_comms.api._forms import sid as sid_of
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = [
    "Changes",
    "Filter",
    "IncomingNumber",
    "Kind",
    "Purchase",
    "Settings",
    "buy",
    "fetch",
    "list",
    "release",
    "update",
]

NUMBERS = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json"
# {Kind} is ours: Twilio's documents have one path per kind, alike but for this word.
NUMBERS_OF_KIND = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Kind}.json"
NUMBER = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json"

Kind = Literal["local", "mobile", "toll_free"]
_ApplicationSid = Annotated[str, sid_of("AP", optional=True)]
_TrunkSid = Annotated[str, sid_of("TK", optional=True)]


class IncomingNumber(Resource, frozen=True):
    """A number of the account. ``capabilities`` has lower-case names: sms, mms, voice, fax."""

    sid: str
    phone_number: str | None = None
    friendly_name: str | None = None
    account_sid: str | None = None
    status: str | None = None
    type: str | None = None
    origin: str | None = None
    beta: bool | None = None
    capabilities: dict[str, bool] | None = None
    api_version: str | None = None
    sms_url: str | None = None
    sms_method: str | None = None
    sms_fallback_url: str | None = None
    sms_fallback_method: str | None = None
    sms_application_sid: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    voice_url: str | None = None
    voice_method: str | None = None
    voice_fallback_url: str | None = None
    voice_fallback_method: str | None = None
    voice_application_sid: str | None = None
    voice_caller_id_lookup: bool | None = None
    voice_receive_mode: str | None = None
    address_requirements: str | None = None  # none, any, local, foreign
    address_sid: str | None = None
    bundle_sid: str | None = None
    identity_sid: str | None = None
    trunk_sid: str | None = None
    emergency_status: str | None = None
    emergency_address_sid: str | None = None
    emergency_address_status: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Filter(Paged, total=False):
    """Filters of the list of numbers. ``phone_number`` may be part of one, with * for any digit."""

    phone_number: Annotated[str, Meta(pattern=r"^[+\d*]+\Z", description="digits, + or *")]
    friendly_name: str
    origin: Literal["twilio", "hosted"]
    beta: bool


class Settings(TypedDict, total=False):
    """Settings of a number."""

    friendly_name: str
    api_version: str
    sms_url: Url
    sms_method: HttpMethod
    sms_fallback_url: Url
    sms_fallback_method: HttpMethod
    sms_application_sid: _ApplicationSid  # wins over sms_url
    status_callback: Url
    status_callback_method: HttpMethod
    voice_url: Url
    voice_method: HttpMethod
    voice_fallback_url: Url
    voice_fallback_method: HttpMethod
    voice_application_sid: _ApplicationSid  # wins over voice_url
    voice_caller_id_lookup: bool
    voice_receive_mode: Literal["voice", "fax"]
    emergency_status: Literal["Active", "Inactive"]
    emergency_address_sid: AddressSid
    address_sid: AddressSid
    bundle_sid: BundleSid
    identity_sid: IdentitySid
    trunk_sid: _TrunkSid  # wins over all of voice


class Changes(Settings, total=False):
    """Settings of a number that can be changed, its owner included."""

    account_sid: AccountSid  # hands it to this subaccount


class Purchase(Settings, total=False):
    phone_number: PhoneNumber
    area_code: Annotated[str, Meta(pattern=r"^\d{3}\Z", description="three digits")]


def list(kind: Kind | None = None, **only: Unpack[Filter]) -> Call[Page[IncomingNumber]]:
    """List numbers: ``GET /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json``, or a kind's.

    ``.../IncomingPhoneNumbers/Local.json``, ``Mobile.json``, ``TollFree.json``.
    """
    path, values = _of(kind)
    call = Call("GET", path, nothing, "api", values, pairs(Filter, only))
    return paged(call, "incoming_phone_numbers", IncomingNumber)


def buy(
    phone_number: PhoneNumber | None = None,
    *,
    area_code: str | None = None,
    kind: Kind | None = None,
    **settings: Unpack[Settings],
) -> Call[IncomingNumber]:
    """Buy a number: ``POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json``, or a kind's.

    ``.../IncomingPhoneNumbers/Local.json``, ``Mobile.json``, ``TollFree.json`` take an exact number only. An
    exact number can be bought only once; an area code buys another number each time.
    """
    if (phone_number is None) == (area_code is None):
        raise InvalidInput.at("phone_number", "is needed, or else area_code", "Give exactly one of the two")
    if kind and phone_number is None:
        raise InvalidInput.at("phone_number", f"is needed to buy a {kind} number", "Search for one first")
    path, values = _of(kind)
    wanted = {"phone_number": phone_number, "area_code": area_code, **settings}
    return Call("POST", path, one(IncomingNumber), "api", values, form=pairs(Purchase, wanted))


def fetch(sid: PhoneNumberSid) -> Call[IncomingNumber]:
    """Read a number: ``GET /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json``."""
    return Call("GET", NUMBER, one(IncomingNumber), "api", _at(sid))


def update(sid: PhoneNumberSid, **changes: Unpack[Changes]) -> Call[IncomingNumber]:
    """Change a number: ``POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json``."""
    return Call("POST", NUMBER, one(IncomingNumber), "api", _at(sid), form=pairs(Changes, changes))


def release(sid: PhoneNumberSid) -> Call[None]:
    """Give a number back: ``DELETE /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json``."""
    return Call("DELETE", NUMBER, nothing, "api", _at(sid))


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, PhoneNumberSid)}


def _of(kind: Kind | None) -> tuple[str, dict[str, str]]:
    if kind is None:
        return NUMBERS, {}
    return NUMBERS_OF_KIND, {"Kind": valid("kind", kind, Kind).title().replace("_", "")}
