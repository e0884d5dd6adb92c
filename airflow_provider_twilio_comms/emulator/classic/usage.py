"""Usage records and balance: https://www.twilio.com/docs/usage/api/usage-record"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_twilio_comms.api.classic.usage import Filter
from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked
from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory
from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("api", "/2010-04-01/Accounts/{AccountSid}")
_PERIODS = "{Period:AllTime|Daily|LastMonth|Monthly|ThisMonth|Today|Yearly|Yesterday}"
_CATEGORIES = {
    "sms-outbound": ("Outbound SMS", "segments", "messages"),
    "mms-outbound": ("Outbound MMS", "messages", "messages"),
    "phonenumbers": ("Phone Numbers", "numbers", "numbers"),
    "totalprice": ("Total Price", "usd", ""),
}
_SINCE, _START = date(2023, 11, 14), Decimal(100)  # creation of the account, and its first balance in dollars


class _Span(NamedTuple):
    first: date
    last: date


@routes("GET", "/Usage/Records.json")
def list_records(twilio: State, request: Request, account_sid: str) -> Reply:
    return _records(twilio, request, account_sid, "AllTime")


@routes("GET", f"/Usage/Records/{_PERIODS}.json")
def list_period(twilio: State, request: Request, account_sid: str, period: str) -> Reply:
    return _records(twilio, request, account_sid, period)


@routes("GET", "/Balance.json")
def balance(twilio: State, request: Request, account_sid: str) -> Reply:
    now = twilio.clock.now()
    spent = sum((message.price(now) for message in twilio.part(Messages).listed(account_sid)), Decimal(0))
    return json_reply({"account_sid": account_sid, "balance": str(_START + spent), "currency": "USD"})


def _records(twilio: State, request: Request, account_sid: str, period: str) -> Reply:
    only, now = asked(request, Filter), twilio.clock.now()
    today = datetime.fromtimestamp(now, timezone.utc).date()
    bounds = _Span(only.get("start_date", _SINCE), only.get("end_date", today))
    sent = [message for message in twilio.part(Messages).listed(account_sid) if message.price(now)]
    numbers = len(twilio.part(Inventory).numbers)
    rows = (
        _row(account_sid, category, span, _used(category, _within(sent, span), numbers), now)
        for span in _spans(period, bounds, today)
        for category in _CATEGORIES
        if only.get("category") in (None, category)
    )
    return uri_page(request, "usage_records", rows)


def _spans(period: str, bounds: _Span, today: date) -> Iterator[_Span]:
    """List the periods of the records, newest first, cut to the bounds."""
    month = today.replace(day=1)
    whole = {
        "AllTime": bounds,
        "Today": _Span(today, today),
        "Yesterday": _Span(today - timedelta(days=1), today - timedelta(days=1)),
        "ThisMonth": _Span(month, today),
        "LastMonth": _Span((month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
    }
    if period in whole:
        yield whole[period]
        return
    last = bounds.last
    while last >= bounds.first:
        start = {"Daily": last, "Monthly": last.replace(day=1), "Yearly": last.replace(month=1, day=1)}[
            period
        ]
        yield _Span(max(start, bounds.first), last)
        last = start - timedelta(days=1)


def _within(messages: Iterable[Message], span: _Span) -> list[Message]:
    return [
        message
        for message in messages
        if span.first <= datetime.fromtimestamp(message.sent_at, timezone.utc).date() <= span.last
    ]


def _used(category: str, messages: list[Message], numbers: int) -> tuple[int, int, Decimal]:
    """Calculate usage, count and price."""
    chosen = [
        message
        for message in messages
        if category == "totalprice" or bool(message.media) == (category[0] == "m")
    ]
    price = sum((Decimal("0.0083") * segments(message.body)[0] for message in chosen), Decimal(0))
    if category == "phonenumbers":
        return numbers, numbers, Decimal("1.15") * numbers
    if category == "sms-outbound":
        return sum(segments(message.body)[0] for message in chosen), len(chosen), price
    return len(chosen), len(chosen), price


def _row(
    account_sid: str, category: str, span: _Span, used: tuple[int, int, Decimal], now: float
) -> dict[str, Any]:
    description, usage_unit, count_unit = _CATEGORIES[category]
    base = f"/2010-04-01/Accounts/{account_sid}/Usage/Records"
    usage, count, price = used
    return {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "as_of": iso(now)[:19] + "+00:00",
        "category": category,
        "description": description,
        "start_date": span.first.isoformat(),
        "end_date": span.last.isoformat(),
        "usage": str(usage),
        "usage_unit": usage_unit,
        "count": str(count),
        "count_unit": count_unit,
        "price": str(price),
        "price_unit": "usd",
        "subresource_uris": {"daily": f"{base}/Daily.json?Category={category}"},
        "uri": f"{base}.json?Category={category}&StartDate={span.first}&EndDate={span.last}",
    }
