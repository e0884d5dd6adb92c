"""Phone numbers, for sale and bought: https://www.twilio.com/docs/phone-numbers/api

Twilio's magic numbers: buying +15005550000 fails (21422), +15005550001 is invalid (21421), +15005550006 is
valid; area code 533 has none (21452), 500 has some. https://www.twilio.com/docs/iam/test-credentials
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api._forms import Paged
from airflow_provider_twilio_comms.api.classic.available_numbers import Criteria
from airflow_provider_twilio_comms.api.classic.incoming_numbers import Changes, Filter, Purchase
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.countries import (
    COUNTRIES,
    Country,
    Offer,
    offers,
    stocked,
)
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given
from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory, Number, missing
from airflow_provider_twilio_comms.emulator.classic.services import Services
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply, spelled
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("api", "/2010-04-01/Accounts/{AccountSid}")
_KINDS = "{Kind:Local|Mobile|TollFree}"
_SPELLED = {kind: "".join(word.capitalize() for word in kind.split("_")) for kind in COUNTRIES["GB"].prefixes}
_INVALID = {"PhoneNumber": 21421, "AreaCode": 21451, "BundleSid": 21649, "AddressSid": 21631}
_FLAGS = {"sms_enabled": "sms", "mms_enabled": "mms", "voice_enabled": "voice"}
_PLACES = {
    "in_postal_code": "postal_code",
    "in_region": "region",
    "in_rate_center": "rate_center",
    "in_lata": "lata",
    "in_locality": "locality",
}


@routes("GET", "/AvailablePhoneNumbers.json")
def countries(twilio: State, request: Request, account_sid: str) -> Reply:
    asked(request, Paged)
    rows = [_country(country, account_sid) for country in COUNTRIES.values()]
    return json_reply({"countries": rows, "uri": request.path})


@routes("GET", "/AvailablePhoneNumbers/{CountryCode}.json")
def country(twilio: State, request: Request, account_sid: str, country_code: str) -> Reply:
    return json_reply(_country(_known(country_code), account_sid))


@routes("GET", "/AvailablePhoneNumbers/{CountryCode}/{Kind}.json")
def search(twilio: State, request: Request, account_sid: str, country_code: str, kind: str) -> Reply:
    """Search numbers for sale. The reply holds only the array and ``uri``, on one page."""
    wanted, found = _known(country_code), spelled(kind)
    if found not in wanted.prefixes or _SPELLED[found] != kind:
        raise missing()
    criteria = asked(request, Criteria)
    if criteria.get("in_rate_center") and not criteria.get("in_lata"):
        raise Problem(400, 20001, "InRateCenter needs InLata")
    size = int(request.values.get("PageSize", "50"))
    inventory = twilio.part(Inventory)
    rows = [
        offer.view()
        for offer in offers(wanted, found, criteria.get("area_code"))
        if inventory.at(offer.number) is None and _fits(offer, criteria)
    ]
    return json_reply({"available_phone_numbers": rows[:size], "uri": request.path})


def _fits(offer: Offer, criteria: dict[str, Any]) -> bool:
    view = offer.view()
    pattern = re.sub(r"[*%]", r"\\d", re.escape(criteria.get("contains", "")).replace(r"\*", "*"))
    return (
        all(offer.capabilities[name] for flag, name in _FLAGS.items() if criteria.get(flag))
        and not criteria.get("fax_enabled")
        and not (criteria.get("exclude_all_address_required") and offer.country.needs != "none")
        and all(view[name] == criteria[flag] for flag, name in _PLACES.items() if criteria.get(flag))
        and re.search(pattern, offer.number) is not None
    )


@routes("GET", f"/IncomingPhoneNumbers/{_KINDS}.json")
def list_kind(twilio: State, request: Request, account_sid: str, kind: str) -> Reply:
    return _listed(twilio, request, spelled(kind))


@routes("GET", "/IncomingPhoneNumbers.json")
def list_numbers(twilio: State, request: Request, account_sid: str) -> Reply:
    return _listed(twilio, request, None)


@routes("POST", f"/IncomingPhoneNumbers/{_KINDS}.json")
def buy_kind(twilio: State, request: Request, account_sid: str, kind: str) -> Reply:
    return _bought(twilio, request, account_sid, spelled(kind))


@routes("POST", "/IncomingPhoneNumbers.json", test=True)
def buy(twilio: State, request: Request, account_sid: str) -> Reply:
    return _bought(twilio, request, account_sid, None)


@routes("GET", "/IncomingPhoneNumbers/{Sid}.json")
def fetch(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    return json_reply(twilio.part(Inventory).number(sid).view())


@routes("POST", "/IncomingPhoneNumbers/{Sid}.json")
def update(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    """Change a number. One that is moved to another account leaves this one and its services."""
    number = twilio.part(Inventory).number(sid)
    changes = given(request, Changes, _INVALID)
    number.account_sid = changes.pop("account_sid", account_sid)
    number.settings.update(changes)
    number.updated = twilio.clock.now()
    if number.account_sid != account_sid:
        _forget(twilio, number)
    return json_reply(number.view())


@routes("DELETE", "/IncomingPhoneNumbers/{Sid}.json")
def release(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    _forget(twilio, twilio.part(Inventory).number(sid))
    return Reply(204)


def _forget(twilio: State, number: Number) -> None:
    del twilio.part(Inventory).numbers[number.sid]
    twilio.part(Services).forget(number.sid)


def _listed(twilio: State, request: Request, kind: str | None) -> Reply:
    only = asked(request, Filter)

    def rows() -> Iterator[dict[str, Any]]:
        for number in sorted(twilio.part(Inventory).numbers.values(), key=lambda each: -each.created):
            view = number.view()
            if (
                kind in (None, number.kind)
                and re.search(re.escape(only.get("phone_number", "")).replace(r"\*", r"\d"), number.number)
                and only.get("friendly_name") in (None, view["friendly_name"])
                and only.get("origin") in (None, "twilio")
                and not only.get("beta")
            ):
                if kind:
                    del view["type"]  # only the list of all kinds names it
                yield view

    return uri_page(request, "incoming_phone_numbers", rows())


def _bought(twilio: State, request: Request, account_sid: str, kind: str | None) -> Reply:
    wanted = given(request, Purchase, _INVALID)
    number, area_code = wanted.pop("phone_number", None), wanted.pop("area_code", None)
    if number is None and (area_code is None or kind is not None):
        raise Problem(400, 21451 if kind is None else 21421, "PhoneNumber or AreaCode is required")
    inventory = twilio.part(Inventory)
    owned = inventory.at(number) if number == "+15005550006" else None
    if owned:  # the magic number can always be bought, and is the account's from the start
        return json_reply(owned.view(), 201)
    offer = _offer(inventory, number) if number else _in_area(inventory, area_code or "")
    if kind not in (None, offer.kind):
        raise Problem(400, 21422, "The number is not available as this kind")
    if offer.country.needs != "none" and not wanted.get("address_sid"):
        raise Problem(400, 21631, "Phone number requires an address")
    if offer.country.bundle and not wanted.get("bundle_sid"):
        raise Problem(400, 21649, "Bundle required")
    if request.caller and request.caller.kind == "test":
        bought = Number(f"PN{'0' * 32}", account_sid, offer.number, offer.kind, "US", offer.capabilities)
        return json_reply(bought.view(), 201)
    return json_reply(inventory.buy(offer, account_sid, wanted).view(), 201)


def _offer(inventory: Inventory, number: str) -> Offer:
    if number == "+15005550001":
        raise Problem(400, 21421, "The phone number is invalid")
    offer = stocked(number)
    if offer is None or inventory.at(number):
        raise Problem(400, 21422, "The phone number is not available")
    return offer


def _in_area(inventory: Inventory, area_code: str) -> Offer:
    if area_code != "533":
        for offer in offers(COUNTRIES["US"], "local", area_code):
            if inventory.at(offer.number) is None:
                return offer
    raise Problem(400, 21452, f"No phone numbers found in area code {area_code}")


def _known(country_code: str) -> Country:
    if country_code not in COUNTRIES:
        raise missing()
    return COUNTRIES[country_code]


def _country(country: Country, account_sid: str) -> dict[str, Any]:
    base = f"/2010-04-01/Accounts/{account_sid}/AvailablePhoneNumbers/{country.iso}"
    return {
        "country_code": country.iso,
        "country": country.name,
        "beta": False,
        "uri": f"{base}.json",
        "subresource_uris": {kind: f"{base}/{_SPELLED[kind]}.json" for kind in country.prefixes},
    }
