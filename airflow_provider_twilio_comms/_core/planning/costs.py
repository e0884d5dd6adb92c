"""Estimate the cost of a send, by the price list of the account: at least, and at most.

The list has a price for each carrier and kind of sender, and nobody knows a number's carrier beforehand.
https://www.twilio.com/docs/messaging/api/pricing
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from airflow_provider_twilio_comms._core.recipients.phone_numbers import UNKNOWN
from airflow_provider_twilio_comms.api import pricing
from airflow_provider_twilio_comms.api.flows import Flow, fetched


class Span(NamedTuple):
    """A country's lowest and highest price of a segment."""

    low: Decimal
    high: Decimal
    unit: str


def prices(countries: Iterable[str]) -> Flow[dict[str, Span]]:
    """The prices of these countries, those that have one; a request for each."""
    found: dict[str, Span] = {}
    for country in countries:
        if country == UNKNOWN:
            continue
        listed = yield from fetched(pricing.fetch(country))
        if listed is None:
            continue
        costs = [
            price.current_price if price.current_price is not None else price.base_price
            for carrier in listed.outbound_sms_prices
            for price in carrier.prices
        ]
        known = [cost for cost in costs if cost is not None]
        if known:
            found[country] = Span(min(known), max(known), (listed.price_unit or "").upper())
    return found


def priced(countries: Mapping[str, dict[str, Any]], spans: Mapping[str, Span]) -> dict[str, Any]:
    """``{"low", "high", "unit", "unpriced"}``, as text; each country gets its own two."""
    low = high = Decimal(0)
    units = {span.unit for span in spans.values()}
    unit = min(units, default="")
    unpriced = []
    for name, country in countries.items():
        span = spans.get(name)
        if span is None or span.unit != unit or "segments" not in country:
            unpriced.append(name)
            continue
        country["low"] = _text(span.low * country["segments"])
        country["high"] = _text(span.high * country["segments"])
        low += span.low * country["segments"]
        high += span.high * country["segments"]
    return {"low": _text(low), "high": _text(high), "unit": unit, "unpriced": unpriced}


def _text(amount: Decimal) -> str:
    return f"{amount:.4f}"
