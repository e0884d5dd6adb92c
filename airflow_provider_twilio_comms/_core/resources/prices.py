"""The prices of messages, as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from airflow_provider_twilio_comms.api import pricing
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made


class Row(msgspec.Struct, frozen=True):
    """One price: from or to the numbers of a carrier, with a sender of one type."""

    iso_country: str
    country: str | None
    direction: str
    carrier: str | None
    mcc: str | None
    mnc: str | None
    number_type: str | None
    base_price: Decimal | None
    current_price: Decimal | None
    price_unit: str | None


def every_price(
    countries: Sequence[str] | None, take: Callable[[Sequence[Row]], Any], limit: int | None
) -> Flow[int]:
    """Hand the prices of these countries, or all, to ``take``, a country at a time."""
    codes = list(countries or ())
    if countries is None:
        codes = [country.iso_country for country in (yield from every_item(pricing.list(page_size=1000)))]
    calls = [pricing.fetch(code) for code in codes]  # checked before anything is asked
    count = 0
    for call in calls:
        if limit is not None and count >= limit:
            break
        rows = [Row(**row) for row in pricing.rows((yield from made(call)))]
        taken = rows if limit is None else rows[: limit - count]
        take(taken)
        count += len(taken)
    return count
