"""Sends, as read from the XComs and notes that Airflow has stored of a task. Pure: no Airflow, no clock.

Anybody who writes a DAG can push an XCom of any name, so nothing is trusted: ids have to look like Twilio's,
counts have to be counts, an error is scrubbed and cut, and everything else is ignored. So neither a phone
number nor a text can get into the view.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_provider_twilio_comms._core.alerts.alert import clean_error
from airflow_provider_twilio_comms._core.sending.ledger import ASSUMED, HEADS, UNKNOWN, is_sid
from airflow_provider_twilio_comms._core.xcom_keys import MARK, OUTCOME, SENT
from airflow_provider_twilio_comms.api.comms.operations import Stats

__all__ = [
    "IN_FLIGHT",
    "LEDGER",
    "PHASES",
    "RETURNED",
    "Answer",
    "Found",
    "Key",
    "Kind",
    "Note",
    "Part",
    "Phase",
    "Send",
    "read",
]

LEDGER = "twilio.%"  # the names of the ledger's notes in the task state store, as SQL has it
RETURNED = "return_value"

Phase: TypeAlias = Literal["sending", "waiting", "resumable", "done", "failed", "skipped"]
Kind: TypeAlias = Literal["operations", "messages", "wait", "receipts", "nothing"]
Answer: TypeAlias = Literal["text", "airflow", "default"]
PHASES: tuple[Phase, ...] = ("sending", "waiting", "resumable", "done", "failed", "skipped")
IN_FLIGHT = frozenset({"sending", "waiting", "resumable"})

_ID = re.compile(r"comms_operation_[0-9a-z]{1,40}|[SM]M[0-9a-f]{32}")
_NAME = re.compile(r"[0-9a-f]{20}")
_NOTE = re.compile(r"twilio\.([0-9a-f]{20})\.(\d{1,7})")
_STATES = frozenset({"sending", "accepted", "assumed", "refused"})
_ENDED: dict[str, Phase] = {
    "success": "done",
    "failed": "failed",
    "upstream_failed": "failed",
    "skipped": "skipped",
    "removed": "skipped",
}
_WAITS = frozenset({"deferred", "up_for_reschedule", "awaiting_input"})
_ANSWERS: tuple[Answer, ...] = ("text", "airflow", "default")
_MOST_CODES = 500
_LONGEST = 500  # characters of an error
_CENTURY = 4_102_444_800  # its end, in seconds since 1970


class Key(NamedTuple):
    """The key of a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


class Note(NamedTuple):
    """A row of the task state store: ``value`` is JSON, ``at`` when it was written."""

    name: str
    value: str
    at: datetime


class Found(NamedTuple):
    """A task instance as stored in Airflow's tables; ``xcoms`` by their key."""

    key: Key
    state: str | None
    began: datetime | None
    ended: datetime | None
    xcoms: Mapping[str, Any] = {}
    notes: Sequence[Note] = ()


class Part(NamedTuple):
    """A request, or a batch of them, of a send in the ledger: ``people`` were sent to, or may have been.

    ``state`` is sending, accepted, assumed or refused.
    """

    number: int
    state: str
    people: int
    identity: str | None
    at: datetime
    batch: bool = False  # of single messages
    sids: tuple[str, ...] = ()  # of a batch of a few


@dataclass(frozen=True)
class Send:
    """A task that sends, waits for what others sent, reads receipts, or failed before it did anything.

    ``ids`` are Twilio's, ``planned`` is the number of requests to be made, ``codes`` counts failures by
    Twilio's code; ``sampled`` means that not every failure was looked up. ``error`` is that of the last try;
    ``answer`` is the way in which a question for approval was answered.
    """

    key: Key
    kind: Kind
    phase: Phase
    ids: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    planned: int | None = None
    recipients: int = 0
    rejected: int = 0
    stats: Stats | None = None
    codes: tuple[tuple[int, int], ...] = ()
    sampled: bool = False
    began: datetime | None = None
    ended: datetime | None = None
    error: str = ""
    answer: Answer | None = None

    @property
    def in_flight(self) -> bool:
        return self.phase in IN_FLIGHT

    @property
    def uncertain(self) -> int:
        """Requests that Twilio may or may not have accepted: they are not in flight and had no reply."""
        return 0 if self.phase == "sending" else sum(part.state == "sending" for part in self.parts)


def read(found: Found) -> Send | None:
    """Read a task instance as a send; None if it is none."""
    name, parts, planned, began = _ledger(found.notes)
    sent, outcome, returned = (found.xcoms.get(key) for key in (SENT, OUTCOME, RETURNED))
    returned = returned if isinstance(returned, Mapping) else {}
    outcome = outcome if isinstance(outcome, Mapping) else {}
    kind = _kind(sent, bool(name), MARK in found.xcoms, parts, outcome)
    if kind is None:
        return None
    told = sent if isinstance(sent, Mapping) else {}
    ids = _ids(sent if kind == "messages" else told.get("operation_ids"))
    ids = ids or _ids(returned.get("operation_ids")) or _ids(outcome.get("operation_ids"))
    ids = ids or tuple(each for part in parts for each in (part.identity, *part.sids) if each)
    taken = sum(part.people for part in parts if part.state in ("accepted", "assumed"))
    codes = _counts(outcome.get("codes") or returned.get("codes"))
    stats = _stats(returned) or _stats(outcome)
    unexplained = stats.failed + stats.undelivered - sum(codes.values()) if stats else 1
    via = returned.get("via")
    return Send(
        found.key,
        kind,
        _phase(found.state, sent is not None or kind == "wait"),
        ids,
        parts,
        planned,
        _count(told.get("recipients")) or max(len(ids) if kind == "messages" else 0, taken),
        _count(told.get("rejected")),
        stats,
        tuple((int(code), count) for code, count in codes.items() if re.fullmatch(r"\d{4,6}", code)),
        outcome.get("complete") is not True and unexplained > 0,
        began or found.began,
        found.ended,
        _error(outcome.get("error")),
        via if via in _ANSWERS else None,
    )


def _kind(
    sent: Any, noted: bool, marked: bool, parts: Iterable[Part], outcome: Mapping[str, Any]
) -> Kind | None:
    if isinstance(sent, list) or (isinstance(sent, Mapping) and isinstance(sent.get("messages"), Mapping)):
        return "messages"
    if noted and any((part.identity or "c")[0] in "SM" or part.batch for part in parts):
        return "messages"
    if sent is not None or noted:
        return "operations"
    if marked:
        return "wait"
    if outcome:
        return "nothing" if outcome.get("error") else "receipts"
    return None


def _phase(state: str | None, sent: bool) -> Phase:
    if state == "running":
        return "waiting" if sent else "sending"
    return "waiting" if state in _WAITS else _ENDED.get(state or "", "resumable")


def _ledger(notes: Sequence[Note]) -> tuple[str | None, tuple[Part, ...], int | None, datetime | None]:
    """Read the ledger of the latest send, since a clear may have started another."""
    heads = [head for note in notes if note.name == HEADS for head in _object(note.value).values()]
    begun = [(_seconds(head.get("since")), head) for head in heads if _is_head(head)]
    if not begun:
        return None, (), None, None
    since, head = max(begun, key=lambda each: each[0])
    read = [(match[1], match[2], note) for note in notes if (match := _NOTE.fullmatch(note.name))]
    parts = (_part(int(place), note) for name, place, note in read if name == head["name"])
    ordered = tuple(sorted((part for part in parts if part is not None), key=lambda part: part.number))
    outline = head.get("outline")
    planned = _count(outline.get("parts")) if isinstance(outline, Mapping) else 0
    began = datetime.fromtimestamp(since, timezone.utc) if since else None
    return head["name"], ordered, planned or None, began


def _is_head(head: Any) -> bool:
    return (
        isinstance(head, Mapping)
        and isinstance(head.get("name"), str)
        and bool(_NAME.fullmatch(head["name"]))
    )


def _part(number: int, note: Note) -> Part | None:
    value = _object(note.value)
    state = value.get("state")
    if state not in _STATES:
        return None
    identity = next(iter(_ids([value.get("operation_id")])), None)
    messages, few = value.get("messages"), isinstance(value.get("people"), list)
    if not isinstance(messages, list):
        return Part(number, state, _count(value.get("count")), identity, note.at, batch=few)
    taken = sum(is_sid(each) or each in (ASSUMED, UNKNOWN) for each in messages if isinstance(each, str))
    people = _count(value.get("count")) if state == "sending" else taken
    sids = _ids(messages) if few else ()
    return Part(number, "sending" if UNKNOWN in messages else state, people, None, note.at, True, sids)


def _seconds(given: Any) -> float:
    """Read a time of this century, in seconds since 1970; 0 if it is none."""
    is_time = isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given < _CENTURY
    return float(given) if is_time else 0.0


def _stats(told: Mapping[str, Any]) -> Stats | None:
    """Read Twilio's counters of operations, or the statuses of single messages."""
    counts = _counts(told.get("stats") or told.get("statuses"))
    if not counts:
        return None
    if "total" in counts or "recipients" in counts:
        return Stats(**{name: count for name, count in counts.items() if name in Stats.__struct_fields__})
    counted = dict.fromkeys(("queued", *_STATUSES), 0)
    for status, count in counts.items():
        counted[status if status in _STATUSES else "queued"] += count
    return Stats(**counted, total=sum(counted.values()))


_STATUSES = frozenset(
    {"scheduled", "sent", "delivered", "read", "undelivered", "failed", "canceled", "unaddressable"}
)


def _error(given: Any) -> str:
    return clean_error(given)[:_LONGEST] if isinstance(given, str) else ""


def _ids(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        return ()
    return tuple(each for each in given if isinstance(each, str) and _ID.fullmatch(each))


def _counts(given: Any) -> dict[str, int]:
    if not isinstance(given, Mapping):
        return {}
    names = [str(name).lower() for name in given][:_MOST_CODES]
    return {name: _count(value) for name, value in zip(names, given.values(), strict=False)}


def _count(given: Any) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else 0


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        value = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
