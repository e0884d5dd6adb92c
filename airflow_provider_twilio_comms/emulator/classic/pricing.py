"""Prices of messages and numbers: https://www.twilio.com/docs/messaging/api/pricing"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api._forms import Paged
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.countries import COUNTRIES, Country
from airflow_provider_twilio_comms.emulator.classic.fields import asked
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.http import Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("pricing", "/v1")
_LIST = "/{Of:Messaging|PhoneNumbers}/Countries"


@routes("GET", _LIST)
def list_countries(twilio: State, request: Request, of: str) -> Reply:
    asked(request, Paged)
    return meta_page(request, "countries", [_head(of, country) for country in COUNTRIES.values()])


@routes("GET", f"{_LIST}/{{IsoCountry}}")
def fetch(twilio: State, request: Request, of: str, iso_country: str) -> Reply:
    if iso_country not in COUNTRIES:
        raise missing()
    country = COUNTRIES[iso_country]
    prices = _messaging(country) if of == "Messaging" else _numbers(country)
    return json_reply({**_head(of, country), "price_unit": "USD", **prices})


def _head(of: str, country: Country) -> dict[str, Any]:
    return {
        "country": country.name,
        "iso_country": country.iso,
        "url": address("pricing", f"/v1/{of}/Countries/{country.iso}"),
    }


def _messaging(country: Country) -> dict[str, Any]:
    """Build the prices for messages: two carriers, one of them more expensive, and one inbound price."""
    carriers = [
        ("Carrier One", "001", country.sms),
        ("Carrier Two", "002", f"{float(country.sms) * 1.5:.4f}"),
    ]
    kinds = [kind.replace("_", " ") for kind in country.prefixes]
    return {
        "outbound_sms_prices": [
            {"carrier": name, "mcc": "999", "mnc": mnc, "prices": [_price(kind, price) for kind in kinds]}
            for name, mnc, price in carriers
        ],
        "inbound_sms_prices": [_price(kind, "0.0075") for kind in kinds],
    }


def _numbers(country: Country) -> dict[str, Any]:
    return {
        "phone_number_prices": [_price(kind.replace("_", " "), country.number) for kind in country.prefixes]
    }


def _price(kind: str, price: str) -> dict[str, Any]:
    return {"number_type": kind, "base_price": price, "current_price": price}
