"""Phone numbers for sale: https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import CountryCode, Paged, PhoneNumber, one_of, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["AvailableNumber", "Country", "Criteria", "Kind", "countries", "country", "search"]

COUNTRIES = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers.json"
COUNTRY = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}.json"
# {Kind} is ours: Twilio's documents have one path per kind, alike but for this word.
NUMBERS = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}/{Kind}.json"

Kind = Literal["local", "mobile", "toll_free", "national", "voip", "shared_cost", "machine_to_machine"]


class Country(Resource, frozen=True):
    """A country with numbers to buy; ``subresource_uris`` names the kinds that it has."""

    country_code: str
    country: str | None = None
    beta: bool | None = None
    subresource_uris: dict[str, Any] | None = None


class AvailableNumber(Resource, frozen=True):
    """A number that can be bought. ``capabilities`` has lower-case names: sms, mms, voice, fax."""

    phone_number: str
    friendly_name: str | None = None
    iso_country: str | None = None
    region: str | None = None
    locality: str | None = None
    postal_code: str | None = None
    rate_center: str | None = None
    lata: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    address_requirements: str | None = None  # none, any, local, foreign
    beta: bool | None = None
    capabilities: dict[str, bool] | None = None


class Criteria(Paged, total=False):
    """Search criteria for numbers. Criteria about places are for the US and Canada."""

    area_code: Annotated[int, Meta(ge=1, le=999_999, description="digits, as an int")]
    contains: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9*%+$]{2,16}\Z", description="2 to 16 letters, digits or *%+$")
    ]
    sms_enabled: bool
    mms_enabled: bool
    voice_enabled: bool
    fax_enabled: bool
    exclude_all_address_required: bool
    exclude_local_address_required: bool
    exclude_foreign_address_required: bool
    beta: bool
    near_number: PhoneNumber
    near_lat_long: Annotated[
        str, Meta(pattern=r"^-?\d+(\.\d+)?, ?-?\d+(\.\d+)?\Z", description="'latitude,longitude'")
    ]
    distance: Annotated[int, Meta(ge=1, le=500, description="1 to 500 miles")]
    in_postal_code: str
    in_region: str
    in_rate_center: str  # needs in_lata
    in_lata: str
    in_locality: str


def countries(**paging: Unpack[Paged]) -> Call[Page[Country]]:
    """List countries: ``GET /2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers.json``, one page."""
    return paged(Call("GET", COUNTRIES, nothing, "api", query=pairs(Paged, paging)), "countries", Country)


def country(country_code: CountryCode) -> Call[Country]:
    """Read a country: ``GET /2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}.json``."""
    values = {"CountryCode": valid("country_code", country_code, CountryCode)}
    return Call("GET", COUNTRY, one(Country), "api", values)


def search(
    country_code: CountryCode, kind: Kind = "local", **criteria: Unpack[Criteria]
) -> Call[Page[AvailableNumber]]:
    """Search numbers: ``GET .../AvailablePhoneNumbers/{CountryCode}/Local.json``, or another kind's.

    ``Mobile``, ``TollFree``, ``National``, ``Voip``, ``SharedCost``, ``MachineToMachine``. It is one page,
    and 404 with code 20404 where the country has no such kind.
    """
    if criteria.get("distance") is not None:
        one_of(criteria, "near_number", "near_lat_long")
    if criteria.get("in_rate_center"):
        one_of(criteria, "in_lata")
    values = {
        "CountryCode": valid("country_code", country_code, CountryCode),
        "Kind": valid("kind", kind, Kind).title().replace("_", ""),
    }
    call = Call("GET", NUMBERS, nothing, "api", values, pairs(Criteria, criteria))
    return paged(call, "available_phone_numbers", AvailableNumber)
