"""Assumptions that only a send can settle. Each texts the number that was given, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, fetched, made, now, waited
from airflow_provider_twilio_comms.api.wire import Call, Reply
from airflow_provider_twilio_comms.conformance.checks import (
    Check,
    Probe,
    Seen,
    answered,
    asked,
    stated,
    untried,
)

__all__ = ["CHECKS"]

TEXT = "Conformance check of the Airflow provider for Twilio."
TAG = "airflow_conformance"
PATIENCE = 180.0  # seconds for which something is looked for
EVERY = 2.0  # seconds between two looks
AHEAD = timedelta(minutes=30)  # of a scheduled send, so that a cancel can be tried
PAGES = "https://www.twilio.com/docs/bulk-messaging/api"


def _place_of_id(probe: Probe) -> Flow[Seen]:
    """Find where the reply to a send names its operation."""
    probe.sent_at = yield from now()
    reply = yield from made(_as_it_is(_send(probe)))
    body = reply.json() if reply.body else {}
    wanted = ("operationid", "operation-id", "operation-location", "location")
    places = ["body"] if isinstance(body, dict) and body.get("operationId") else []
    places += [f"header {name}" for name in wanted if name in reply.headers]
    probe.operation_id = _send(probe).read(reply).operation_id
    found = ", ".join(places) or "nowhere"
    return Seen("body" in places and reply.status == 202, f"{reply.status}; {found}")


def _readable_at_once(probe: Probe) -> Flow[Seen]:
    """Measure how long a new operation answers 404."""
    if probe.operation_id is None:
        return untried("no operation was made")
    call = operations.fetch(probe.operation_id)
    found, after = yield from _until(probe, lambda: fetched(call), lambda each: each is not None)
    return Seen(found is not None and after <= 60, f"after {after:.0f} s" if found else "not at all")


def _counters(probe: Probe) -> Flow[Seen]:
    """Follow the counters until every message has ended."""
    if probe.operation_id is None:
        return untried("no operation was made")
    moves: list[str] = []
    call = operations.fetch(probe.operation_id)

    def look() -> Flow[Operation | None]:
        operation = yield from fetched(call)
        if operation is not None and (state := _state(operation)) not in moves[-1:]:
            moves.append(state)
        return operation

    found, after = yield from _until(
        probe, look, lambda each: bool(each and each.done and each.stats.asked and not each.stats.under_way)
    )
    ended = found is not None and found.done
    return Seen(ended and found.stats.asked == 1, f"{' -> '.join(moves)}; after {after:.0f} s")


def _shown_by_tag(probe: Probe) -> Flow[Seen]:
    """Measure how long the list takes to find a message by its tag, and look if rows show tags."""
    if probe.operation_id is None:
        return untried("no operation was made")
    call = messages.list(tags={TAG: probe.tag}, page_size=5)

    def look() -> Flow[Any]:
        page = yield from made(call)
        return page.items

    rows, after = yield from _until(probe, look, lambda each: bool(each))
    if not rows:
        return Seen(False, f"not within {PATIENCE:.0f} s")
    probe.message_id = rows[0].id
    tagged = all((row.tags or {}).get(TAG) == probe.tag for row in rows)
    shown = "rows show their tags" if tagged else "rows do not show their tags"
    return Seen(len(rows) == 1 and tagged, f"after {after:.0f} s; {len(rows)} rows; {shown}")


def _shown_by_operation(probe: Probe) -> Flow[Seen]:
    """Check whether the list of messages of an operation holds its message alone."""
    if probe.operation_id is None:
        return untried("no operation was made")
    page = yield from made(messages.list(operation_id=probe.operation_id, page_size=5))
    own = [row for row in page.items if row.operation_id == probe.operation_id]
    return Seen(len(page.items) == len(own) == 1, f"{len(page.items)} rows, {len(own)} name the operation")


def _attempts(probe: Probe) -> Flow[Seen]:
    """Check that an attempt's ``from`` says the channel, and that Seek finds the message by its SID."""
    if probe.message_id is None:
        return untried("no message was found")
    reply = yield from answered(asked("GET", f"/Messages/{probe.message_id}"))
    rows = reply.json().get("attempts") if isinstance(reply, Reply) else None
    if not rows:
        return Seen(False, f"{stated(reply)}; no attempts")
    fields = ", ".join(sorted(rows[0]))
    channel = isinstance(rows[0].get("from"), dict) and "channel" in rows[0]["from"]
    message = yield from made(messages.fetch(probe.message_id))
    sid = message.attempts[0].sid
    sought = sid is not None and (yield from made(messages.seek(sid))) == probe.message_id
    return Seen(channel and sought, f"fields {fields}; Seek {'finds' if sought else 'does not find'} it")


def _no_cancel(probe: Probe) -> Flow[Seen]:
    """Check whether a scheduled operation can be taken back: nothing published says how."""
    time = yield from now()
    at = datetime.fromtimestamp(time, timezone.utc) + AHEAD
    accepted = yield from made(_send(replace(probe, tag=f"{probe.tag}.later"), at))
    if accepted.operation_id is None:
        return untried("the reply named no operation")
    path = f"/Messages/Operations/{accepted.operation_id}"
    deleted = yield from answered(asked("DELETE", path))
    posted = yield from answered(asked("POST", path, json={"status": "CANCELED"}))
    holds = all(reply.status in (404, 405) for reply in (deleted, posted))
    return Seen(holds, f"DELETE {stated(deleted)}; POST {stated(posted)}")


def _single(probe: Probe) -> Flow[Seen]:
    """Look how a message of the classic generation begins, and when the list shows it."""
    to, sender = str(probe.to), str(probe.sender)
    start = replace(probe, sent_at=(yield from now()))
    message = yield from made(classic.send(to, from_=sender, body=TEXT))

    def look() -> Flow[bool]:
        page = yield from made(classic.list(to=to, page_size=20))
        return any(row.sid == message.sid for row in page.items)

    found, after = yield from _until(start, look, bool)
    shown = f"listed after {after:.0f} s" if found else "not listed"
    price = "no price yet" if message.price is None else "with a price"
    holds = message.status in ("queued", "accepted") and bool(found) and after <= 30
    return Seen(holds, f"{message.status}; {price}; {shown}")


def _send(probe: Probe, send_at: datetime | None = None) -> Call[messages.Accepted]:
    return messages.send(
        [{"address": probe.to, "channel": "PHONE"}],
        TEXT,
        sender=probe.sender,
        send_at=send_at,
        tags={TAG: probe.tag},
    )


def _as_it_is(call: Call[Any]) -> Call[Reply]:
    return replace(call, read=lambda reply: reply)


def _state(operation: Operation) -> str:
    counts = {name: count for name, count in operation.stats.to_dict().items() if count}
    return f"{operation.status} {counts}"


def _until(
    probe: Probe, look: Callable[[], Flow[Any]], enough: Callable[[Any], bool]
) -> Flow[tuple[Any, float]]:
    """Look again and again; returns what was seen last, and the seconds since the send."""
    while True:
        found = yield from look()
        after = (yield from now()) - probe.sent_at
        if enough(found) or after > PATIENCE:
            return found, after
        yield from waited(EVERY)


CHECKS = (
    Check(
        "send-place-of-id",
        "a send is answered with 202, and the operation id is in the body",
        "Twilio's OpenAPI document, against pages that name a header",
        _place_of_id,
        sends=1,
    ),
    Check("send-readable", "a new operation can be read within a minute", "assumed", _readable_at_once),
    Check("send-filter-tags", "the list shows a message by its tag, and its tags", "assumed", _shown_by_tag),
    Check(
        "send-counters",
        "an operation ends, and counts its one recipient",
        f"{PAGES}/operation-resource",
        _counters,
    ),
    Check(
        "send-filter-operation",
        "the list of an operation holds its messages alone",
        f"{PAGES}/message-resource",
        _shown_by_operation,
    ),
    Check(
        "send-attempts",
        "attempts have their channel in from, and Seek finds the message",
        f"{PAGES}/seek-message-resource",
        _attempts,
    ),
    Check(
        "send-classic",
        "a single message begins as queued and is listed within 30 s",
        "assumed",
        _single,
        sends=1,
    ),
    Check(
        "send-cancel", "an operation cannot be canceled", "assumed: no page names a way", _no_cancel, sends=1
    ),
)
