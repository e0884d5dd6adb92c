"""Assumptions about the classic generation that reading can settle.

https://www.twilio.com/docs/messaging/api
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_twilio_comms.api.flows import Flow, now
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.conformance.checks import (
    Check,
    Probe,
    Seen,
    answered,
    asked,
    named,
    stated,
    untried,
)
from airflow_provider_twilio_comms.exceptions import ApiError

__all__ = ["CHECKS"]

MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
DOCUMENT = "Twilio's OpenAPI documents of 2010-04-01, messaging v1 and pricing v1"
PAGE = "https://www.twilio.com/docs/messaging/api/message-resource"


def _refuses(path: str, status: int, code: int, **values: Any) -> Callable[[Probe], Flow[Seen]]:
    def look(probe: Probe) -> Flow[Seen]:
        reply = yield from answered(asked("GET", path, "api", **values))
        return Seen((reply.status, getattr(reply, "code", None)) == (status, code), stated(reply))

    return look


def _account(probe: Probe) -> Flow[Seen]:
    """Check whether the account can be read, or a Standard API key is refused it."""
    reply = yield from answered(asked("GET", "/2010-04-01/Accounts/{AccountSid}.json", "api"))
    holds = reply.status == 200 or (reply.status, getattr(reply, "code", None)) == (401, 20003)
    return Seen(holds, stated(reply))


def _listed(probe: Probe) -> Flow[Seen]:
    """Check whether a list has ``next_page_uri``, and that is a path."""
    reply = yield from answered(asked("GET", MESSAGES, "api", query=[("PageSize", "1")]))
    names = named(reply)
    following = reply.json().get("next_page_uri") if isinstance(reply, Reply) else None
    where = "none" if not following else "a path" if str(following).startswith("/") else "an address"
    return Seen({"messages", "next_page_uri"} <= set(names) and where != "an address", f"next page: {where}")


def _headers(probe: Probe) -> Flow[Seen]:
    """Check whether replies name the request and the time."""
    reply = yield from answered(asked("GET", MESSAGES, "api", query=[("PageSize", "1")]))
    wanted = ("twilio-request-id", "date")
    has = [name for name in wanted if isinstance(reply, Reply) and name in reply.headers]
    return Seen(len(has) == len(wanted), f"{stated(reply)}; {', '.join(has) or 'neither'}")


def _clock(probe: Probe) -> Flow[Seen]:
    """Check whether Twilio's clock and this one differ by less than a minute."""
    reply = yield from answered(asked("GET", MESSAGES, "api", query=[("PageSize", "1")]))
    ours = yield from now()
    if not isinstance(reply, Reply) or "date" not in reply.headers:
        return untried("no Date in the reply")
    ahead = parsedate_to_datetime(reply.headers["date"]).timestamp() - ours
    return Seen(abs(ahead) < 60, f"Twilio's clock is {round(ahead)} s ahead")


def _shapes(probe: Probe) -> Flow[Seen]:
    """Check whether a message has its date as RFC 2822, and its counts as text."""
    row = yield from _newest()
    if row is None:
        return untried("no messages")
    try:
        dated = parsedate_to_datetime(str(row.get("date_created"))) is not None
    except (TypeError, ValueError):
        dated = False
    texts = [name for name in ("num_segments", "num_media") if isinstance(row.get(name), str)]
    code = type(row.get("error_code")).__name__
    return Seen(
        dated and len(texts) == 2 and code in ("int", "NoneType"),
        f"date {'RFC 2822' if dated else 'otherwise'}; texts {', '.join(texts) or 'none'}; code {code}",
    )


def _filtered_by_day(probe: Probe) -> Flow[Seen]:
    """Check whether ``DateSent`` with a day finds that day's messages only."""
    row = yield from _newest()
    if row is None or not row.get("date_sent"):
        return untried("no message that was sent")
    day = parsedate_to_datetime(row["date_sent"]).astimezone(timezone.utc).date()
    query = [("DateSent", day.isoformat()), ("PageSize", "20")]
    reply = yield from answered(asked("GET", MESSAGES, "api", query=query))
    rows = reply.json()["messages"] if isinstance(reply, Reply) else []
    days = {
        parsedate_to_datetime(each["date_sent"]).astimezone(timezone.utc).date()
        for each in rows
        if each.get("date_sent")
    }
    return Seen(days == {day}, f"{stated(reply)}; {len(rows)} rows of {len(days)} days")


def _filtered_by_later(probe: Probe) -> Flow[Seen]:
    """Check whether ``DateSent>`` with a day in the future finds nothing."""
    time = yield from now()
    day = (datetime.fromtimestamp(time, timezone.utc) + timedelta(days=3)).date()
    query = [("DateSent>", day.isoformat()), ("PageSize", "5")]
    reply = yield from answered(asked("GET", MESSAGES, "api", query=query))
    rows = reply.json()["messages"] if isinstance(reply, Reply) else []
    if (yield from _newest()) is None:
        return untried("no messages")
    return Seen(reply.status == 200 and not rows, f"{stated(reply)}; {len(rows)} of at most 5 rows")


def _services(probe: Probe) -> Flow[Seen]:
    """Check whether messaging services are listed under ``services``, beside ``meta``."""
    reply = yield from answered(asked("GET", "/v1/Services", "messaging", query=[("PageSize", "1")]))
    names = named(reply)
    return Seen({"services", "meta"} <= set(names), f"{stated(reply)}; fields {', '.join(names)}")


def _prices(probe: Probe) -> Flow[Seen]:
    """Check whether a country's prices are there, with a unit."""
    reply = yield from answered(asked("GET", "/v1/Messaging/Countries/US", "pricing"))
    wanted = {"outbound_sms_prices", "inbound_sms_prices", "price_unit"}
    return Seen(wanted <= set(named(reply)), stated(reply))


def _newest() -> Flow[dict[str, Any] | None]:
    query = [("PageSize", "20")]
    reply = yield from answered(asked("GET", MESSAGES, "api", query=query))
    if isinstance(reply, ApiError):
        return None
    rows = reply.json().get("messages") or []
    return next((row for row in rows if row.get("date_sent")), rows[0] if rows else None)


CHECKS = (
    Check("account", "the account can be read, but not with a Standard API key (401, 20003)", PAGE, _account),
    Check(
        "classic-credentials",
        "wrong credentials are answered with 401 and code 20003",
        "https://www.twilio.com/docs/api/errors/20003",
        _refuses(MESSAGES, 401, 20003),
        credential="wrong",
    ),
    Check("classic-list", "lists have next_page_uri, which is a path", DOCUMENT, _listed),
    Check(
        "classic-headers", "replies have Twilio-Request-Id and Date", "seen in recordings by others", _headers
    ),
    Check("clock", "Twilio's clock and this machine's differ by less than a minute", "assumed", _clock),
    Check("classic-shapes", "dates are RFC 2822, counts are texts, codes are numbers", PAGE, _shapes),
    Check("classic-filter-day", "DateSent with a day finds that day's messages", PAGE, _filtered_by_day),
    Check("classic-filter-later", "DateSent> finds later messages only", PAGE, _filtered_by_later),
    Check(
        "classic-page-size",
        "a page size above 1,000 is refused with 400 and code 20007",
        "https://www.twilio.com/docs/api/errors/20007",
        _refuses(MESSAGES, 400, 20007, query=[("PageSize", "1001")]),
    ),
    Check(
        "classic-page-number",
        "a page number without a token is refused with 400 and code 20001",
        "seen by others",
        _refuses(MESSAGES, 400, 20001, query=[("Page", "1")]),
    ),
    Check(
        "classic-unknown-message",
        "an unknown message is answered with 404 and code 20404",
        "https://www.twilio.com/docs/api/errors/20404",
        _refuses("/2010-04-01/Accounts/{AccountSid}/Messages/SM" + "0" * 32 + ".json", 404, 20404),
    ),
    Check("services", "messaging services are listed as services, meta", DOCUMENT, _services),
    Check("prices", "prices of a country have a unit, inbound and outbound prices", DOCUMENT, _prices),
)
