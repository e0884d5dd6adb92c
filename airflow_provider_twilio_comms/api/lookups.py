"""Phone number lookup (validity, line type, carrier ...): https://www.twilio.com/docs/lookup/v2-api"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import CountryCode, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, one
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["Lookup", "Package", "Person", "fetch"]

# Each costs extra; without any, the number is only checked and written out, which is free.
Package = Literal[
    "validation",
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
]
_Packages = Annotated[Sequence[Package], Meta(min_length=1, description="a list of Lookup's packages")]
_Number = Annotated[
    str, Meta(pattern=r"^\+?[\d ().-]{3,30}\Z", description="a number, in E.164 unless country_code is given")
]
_Day = Annotated[str, Meta(pattern=r"^\d{8}\Z", description="YYYYMMDD")]


class Lookup(Resource, frozen=True):
    """The result for a number. Each package's result is a mapping in Twilio's form; None if not requested."""

    phone_number: str | None = None
    national_format: str | None = None
    country_code: str | None = None
    calling_country_code: str | None = None
    valid: bool | None = None
    validation_errors: tuple[str, ...] | None = None
    caller_name: dict[str, Any] | None = None
    sim_swap: dict[str, Any] | None = None
    call_forwarding: dict[str, Any] | None = None
    line_status: dict[str, Any] | None = None
    line_type_intelligence: dict[str, Any] | None = None
    identity_match: dict[str, Any] | None = None
    reassigned_number: dict[str, Any] | None = None
    sms_pumping_risk: dict[str, Any] | None = None
    phone_number_quality_score: Any = None
    pre_fill: Any = None


class Person(TypedDict, total=False):
    """The person to whom a number should belong, for ``identity_match``, and arguments of other packages."""

    country_code: CountryCode
    first_name: str
    last_name: str
    address_line1: str
    address_line2: str
    city: str
    state: str
    postal_code: str
    address_country_code: CountryCode
    national_id: str
    date_of_birth: _Day
    last_verified_date: _Day
    verification_sid: str
    partner_sub_id: Annotated[str, Meta(max_length=64)]


def fetch(phone_number: str, fields: Sequence[Package] = (), **person: Unpack[Person]) -> Call[Lookup]:
    """Look a number up: ``GET /v2/PhoneNumbers/{PhoneNumber}``.

    A number that is not valid is an answer (``valid`` is False), not an error.
    """
    values = {"PhoneNumber": valid("phone_number", phone_number, _Number)}
    query = pairs(Person, person)
    if fields:
        query.insert(0, ("Fields", ",".join(valid("fields", fields, _Packages))))
    return Call("GET", "/v2/PhoneNumbers/{PhoneNumber}", one(Lookup), "lookups", values, query)
