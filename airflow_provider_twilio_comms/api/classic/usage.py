"""Usage records and the account's balance: https://www.twilio.com/docs/usage/api/usage-record"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Balance", "Filter", "Period", "UsageRecord", "balance", "records"]

RECORDS = "/2010-04-01/Accounts/{AccountSid}/Usage/Records.json"
# {Period} is ours: Twilio's documents have one path per period, alike but for this word.
RECORDS_OF_PERIOD = "/2010-04-01/Accounts/{AccountSid}/Usage/Records/{Period}.json"
BALANCE = "/2010-04-01/Accounts/{AccountSid}/Balance.json"

Period = Literal["all_time", "daily", "last_month", "monthly", "this_month", "today", "yearly", "yesterday"]


class UsageRecord(Resource, frozen=True):
    """Usage of one category from ``start_date`` to ``end_date``, both included, and its price."""

    category: str
    description: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    usage: Decimal | None = None
    usage_unit: str | None = None
    count: Decimal | None = None
    count_unit: str | None = None
    price: Decimal | None = None
    price_unit: str | None = None
    as_of: datetime | None = None
    account_sid: str | None = None


class Balance(Resource, frozen=True):
    """The account's balance."""

    balance: Decimal
    currency: str | None = None
    account_sid: str | None = None


class Filter(Paged, total=False):
    """Filters of the list of usage records; days are UTC days."""

    category: str
    start_date: date
    end_date: date
    include_subaccounts: bool


def records(period: Period | None = None, **only: Unpack[Filter]) -> Call[Page[UsageRecord]]:
    """List usage records: ``GET /2010-04-01/Accounts/{AccountSid}/Usage/Records.json``, or a period's.

    ``.../Usage/Records/Daily.json``, ``Monthly``, ``Yearly``, ``AllTime``, ``Today``, ``Yesterday``,
    ``ThisMonth``, ``LastMonth``.
    """
    path, values = RECORDS, {}
    if period is not None:
        path = RECORDS_OF_PERIOD
        values = {"Period": valid("period", period, Period).title().replace("_", "")}
    call = Call("GET", path, nothing, "api", values, pairs(Filter, only))
    return paged(call, "usage_records", UsageRecord)


def balance() -> Call[Balance]:
    """Read the balance: ``GET /2010-04-01/Accounts/{AccountSid}/Balance.json``."""
    return Call("GET", BALANCE, one(Balance), "api")
