"""Prices of messages and phone numbers by country, with the account's own discount.

https://www.twilio.com/docs/messaging/api/pricing and https://www.twilio.com/docs/phone-numbers/pricing
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import CountryCode, Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = [
    "Country",
    "MessagingPrices",
    "NumberPrices",
    "Outbound",
    "Price",
    "fetch",
    "fetch_numbers",
    "list",
    "list_numbers",
    "rows",
]


class Country(Resource, frozen=True):
    """A country that has prices."""

    iso_country: str
    country: str | None = None


class Price(msgspec.Struct, frozen=True):
    """The price of one message, or of one number for a month: list price, and price for this account."""

    number_type: str | None = None
    base_price: Decimal | None = None
    current_price: Decimal | None = None


class Outbound(msgspec.Struct, frozen=True):
    """The prices of a message to one carrier, by the type of the sender."""

    carrier: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    prices: tuple[Price, ...] = ()


class MessagingPrices(Resource, frozen=True):
    """A country's prices for messages."""

    iso_country: str
    country: str | None = None
    price_unit: str | None = None
    outbound_sms_prices: tuple[Outbound, ...] = ()
    inbound_sms_prices: tuple[Price, ...] = ()


class NumberPrices(Resource, frozen=True):
    """A country's monthly prices for numbers."""

    iso_country: str
    country: str | None = None
    price_unit: str | None = None
    phone_number_prices: tuple[Price, ...] = ()


def list(**paging: Unpack[Paged]) -> Call[Page[Country]]:
    """List countries with prices for messages: ``GET /v1/Messaging/Countries``."""
    call = Call("GET", "/v1/Messaging/Countries", nothing, "pricing", query=pairs(Paged, paging))
    return paged(call, "countries", Country)


def fetch(iso_country: CountryCode) -> Call[MessagingPrices]:
    """Read a country's prices for messages: ``GET /v1/Messaging/Countries/{IsoCountry}``."""
    return Call(
        "GET", "/v1/Messaging/Countries/{IsoCountry}", one(MessagingPrices), "pricing", _at(iso_country)
    )


def list_numbers(**paging: Unpack[Paged]) -> Call[Page[Country]]:
    """List countries with prices for numbers: ``GET /v1/PhoneNumbers/Countries``."""
    call = Call("GET", "/v1/PhoneNumbers/Countries", nothing, "pricing", query=pairs(Paged, paging))
    return paged(call, "countries", Country)


def fetch_numbers(iso_country: CountryCode) -> Call[NumberPrices]:
    """Read a country's prices for numbers: ``GET /v1/PhoneNumbers/Countries/{IsoCountry}``."""
    return Call(
        "GET", "/v1/PhoneNumbers/Countries/{IsoCountry}", one(NumberPrices), "pricing", _at(iso_country)
    )


def rows(prices: MessagingPrices) -> Iterator[dict[str, Any]]:
    """Flatten a country's prices for messages into rows that all have the same keys."""
    flat = [("outbound", to, price) for to in prices.outbound_sms_prices for price in to.prices]
    flat += [("inbound", Outbound(), price) for price in prices.inbound_sms_prices]
    for direction, to, price in flat:
        yield {
            "iso_country": prices.iso_country,
            "country": prices.country,
            "direction": direction,
            "carrier": to.carrier,
            "mcc": to.mcc,
            "mnc": to.mnc,
            "number_type": price.number_type,
            "base_price": price.base_price,
            "current_price": price.current_price,
            "price_unit": prices.price_unit,
        }


def _at(iso_country: str) -> dict[str, str]:
    return {"IsoCountry": valid("iso_country", iso_country, CountryCode)}
