"""Assumptions about the Communications API that reading can settle.

https://www.twilio.com/docs/bulk-messaging
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from airflow_provider_twilio_comms.api._times import timestamp
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

DOCUMENT = "Twilio's OpenAPI document of the Communications API, v1"
PAGES = "https://www.twilio.com/docs/bulk-messaging/api"
NOWHERE = "comms_operation_01h9krwprkeee8fzqspvwy6nq8"
NOBODY = "comms_message_01h9krwprkeee8fzqspvwy6nq8"


def _lists(path: str, key: str) -> Callable[[Probe], Flow[Seen]]:
    """Check whether a list answers with its rows under this name, beside ``pagination``."""

    def look(probe: Probe) -> Flow[Seen]:
        reply = yield from answered(asked("GET", path, query=[("pageSize", "1")]))
        names = named(reply)
        return Seen({key, "pagination"} <= set(names), f"{stated(reply)}; fields {', '.join(names)}")

    return look


def _refuses(
    method: str, path: str, status: int, code: int | None = None, **values: object
) -> Callable[[Probe], Flow[Seen]]:
    """Check whether Twilio answers with this status and code."""

    def look(probe: Probe) -> Flow[Seen]:
        reply = yield from answered(asked(method, path, **values))  # type: ignore[arg-type]
        holds = reply.status == status and code in (None, getattr(reply, "code", None))
        return Seen(holds, stated(reply))

    return look


def _pages(probe: Probe) -> Flow[Seen]:
    """Check whether a second page goes on where the first ended."""
    first = yield from answered(asked("GET", "/Messages", query=[("pageSize", "1")]))
    rows, token = _rows(first)
    if not token:
        return untried("fewer than two messages of the last seven days")
    query = [("pageSize", "1"), ("pageToken", token)]
    second = yield from answered(asked("GET", "/Messages", query=query))
    others, _ = _rows(second)
    return Seen(bool(others) and not set(rows) & set(others), f"{stated(second)}; {len(others)} other rows")


def _token_is_no_address(probe: Probe) -> Flow[Seen]:
    """Check whether ``pagination.next`` is a token, or an address that holds one."""
    reply = yield from answered(asked("GET", "/Messages", query=[("pageSize", "1")]))
    _, token = _rows(reply)
    if not token:
        return untried("fewer than two messages of the last seven days")
    return Seen("/" not in token, "an address" if "/" in token else "a token")


def _knows_filter_by_tag(probe: Probe) -> Flow[Seen]:
    """Check whether a tag that nobody has finds nothing."""
    return (yield from _finds_nothing("tags", f"airflow_conformance:{probe.tag}.nobody;"))


def _knows_filter_by_date(probe: Probe) -> Flow[Seen]:
    """Check whether a start in the future finds nothing."""
    time = yield from now()
    ahead = datetime.fromtimestamp(time, timezone.utc) + timedelta(days=2)
    return (yield from _finds_nothing("startDate", timestamp("start_date", ahead)))


def _finds_nothing(name: str, value: str) -> Flow[Seen]:
    reply = yield from answered(asked("GET", "/Messages", query=[("pageSize", "5"), (name, value)]))
    if isinstance(reply, ApiError):
        return Seen(False, stated(reply))
    rows, _ = _rows(reply)
    every, _ = _rows((yield from answered(asked("GET", "/Messages", query=[("pageSize", "1")]))))
    if not every:
        return untried("no messages of the last seven days")
    return Seen(not rows, f"{len(rows)} of at most 5 rows")


def _ignores_unknown_filters(probe: Probe) -> Flow[Seen]:
    """Check whether a filter that Twilio does not know is ignored, rather than refused."""
    reply = yield from answered(asked("GET", "/Messages", query=[("pageSize", "1"), ("airflowX", "1")]))
    return Seen(reply.status == 200, stated(reply))


def _error_has_four_fields(probe: Probe) -> Flow[Seen]:
    """Check whether an error is an entry of ``errors``, with a page to read."""
    reply = yield from answered(asked("GET", f"/Messages/Operations/{NOWHERE}"))
    if not isinstance(reply, ApiError):
        return Seen(False, stated(reply))
    has = [name for name in ("code", "message", "more_info") if reply.errors and reply.errors[0].get(name)]
    return Seen(len(has) == 3, f"{len(reply.errors or [])} errors, with {', '.join(has) or 'nothing'}")


def _refuses_before_sending(probe: Probe) -> Flow[Seen]:
    """Check whether a send to nobody is refused as a whole, with the place of the fault."""
    body = {"to": [], "content": {"text": "conformance"}}
    reply = yield from answered(asked("POST", "/Messages", json=body))
    if not isinstance(reply, ApiError):
        return Seen(False, stated(reply))
    place = bool(reply.errors and reply.errors[0].get("context"))
    return Seen(reply.status == 400, f"{stated(reply)}; {'with' if place else 'without'} a place")


def _rows(reply: Reply | ApiError) -> tuple[list[str], str]:
    body = reply.json() if isinstance(reply, Reply) else {}
    rows = [str(row.get("id")) for row in body.get("messages") or []]
    return rows, str((body.get("pagination") or {}).get("next") or "")


CHECKS = (
    Check(
        "comms-credentials",
        "wrong credentials are answered with 401 and code 20003",
        "assumed: the document names no 401",
        _refuses("GET", "/Messages", 401, 20003),
        credential="wrong",
    ),
    Check(
        "comms-messages",
        "messages are listed as messages, pagination",
        DOCUMENT,
        _lists("/Messages", "messages"),
    ),
    Check(
        "comms-operations",
        "operations are listed as operations, pagination",
        DOCUMENT,
        _lists("/Messages/Operations", "operations"),
    ),
    Check(
        "comms-senders", "senders are listed as senders, pagination", DOCUMENT, _lists("/Senders", "senders")
    ),
    Check(
        "comms-sender-pools",
        "pools are listed as senderPools, pagination",
        DOCUMENT,
        _lists("/SenderPools", "senderPools"),
    ),
    Check("comms-pages", "a page token goes on behind the last row", DOCUMENT, _pages),
    Check("comms-page-token", "pagination.next is a token, not an address", DOCUMENT, _token_is_no_address),
    Check("comms-filter-tags", "the list of messages is filtered by tags", DOCUMENT, _knows_filter_by_tag),
    Check(
        "comms-filter-dates", "the list of messages is filtered by startDate", DOCUMENT, _knows_filter_by_date
    ),
    Check(
        "comms-unknown-filter",
        "an unknown filter is ignored",
        "seen in an application by others",
        _ignores_unknown_filters,
    ),
    Check(
        "comms-unknown-operation",
        "an unknown operation is answered with 404 and code 20404",
        f"{PAGES}/operation-resource",
        _refuses("GET", f"/Messages/Operations/{NOWHERE}", 404, 20404),
    ),
    Check(
        "comms-unknown-message",
        "an unknown message is answered with 404 and code 20404",
        f"{PAGES}/message-resource",
        _refuses("GET", f"/Messages/{NOBODY}", 404, 20404),
    ),
    Check(
        "comms-unknown-path",
        "an unknown path is answered with 404",
        "seen by others",
        _refuses("GET", "/Nothing", 404),
    ),
    Check(
        "comms-seek",
        "Seek answers 404 for a SID that no attempt has",
        f"{PAGES}/seek-message-resource",
        _refuses("GET", "/Messages/Seek/SM" + "0" * 32, 404),
    ),
    Check("comms-error", "an error has code, message and infoUrl", DOCUMENT, _error_has_four_fields),
    Check(
        "comms-refusal", "a faulty send is refused as a whole with 400", "assumed", _refuses_before_sending
    ),
    Check(
        "comms-page-size",
        "a page size above 1,000 is refused with 400",
        DOCUMENT,
        _refuses("GET", "/Messages", 400, query=[("pageSize", "1001")]),
    ),
)
