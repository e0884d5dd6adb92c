"""Sends, as read from the XComs and notes that Airflow has stored of a task. Pure: no Airflow, no clock.

Anybody who writes a DAG can push an XCom of any name, so nothing is trusted: ids have to look like Twilio's,
counts have to be counts, and everything else is ignored. So neither a phone number nor a text can get into
the view.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_provider_twilio_comms._core.xcom_keys import MARK, OUTCOME, SENT
from airflow_provider_twilio_comms.api.comms.operations import Stats

__all__ = [
    "IN_FLIGHT",
    "LEDGER",
    "PHASES",
    "RETURNED",
    "Found",
    "Key",
    "Kind",
    "Note",
    "Part",
    "Phase",
    "Send",
    "read",
]

LEDGER = "twilio.%"  # the names of the notes in the task state store, as SQL has it
RETURNED = "return_value"

Phase: TypeAlias = Literal["sending", "waiting", "resumable", "done", "failed", "skipped"]
Kind: TypeAlias = Literal["operations", "messages", "wait", "receipts"]
PHASES: tuple[Phase, ...] = ("sending", "waiting", "resumable", "done", "failed", "skipped")
IN_FLIGHT = frozenset({"sending", "waiting", "resumable"})

_ID = re.compile(r"comms_operation_[0-9a-z]{1,40}|[SM]M[0-9a-f]{32}")
_NOTE = re.compile(r"twilio\.([0-9a-f]{20})\.(begun|held|\d{1,7})")
_STATES = frozenset({"sending", "accepted", "assumed", "refused"})
_ENDED: dict[str, Phase] = {
    "success": "done",
    "failed": "failed",
    "upstream_failed": "failed",
    "skipped": "skipped",
    "removed": "skipped",
}
_WAITS = frozenset({"deferred", "up_for_reschedule", "awaiting_input"})
_MOST_CODES = 500


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
    """A request of a send in the ledger: ``state`` is sending, accepted, assumed or refused."""

    number: int
    state: str
    people: int
    identity: str | None
    at: datetime


@dataclass(frozen=True)
class Send:
    """A task that sends, waits for what others sent, or reads receipts.

    ``ids`` are Twilio's, ``planned`` is the number of requests to be made, ``codes`` counts failures by
    Twilio's code; ``sampled`` means that not every failure was looked up.
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
    ids = ids or tuple(part.identity for part in parts if part.identity)
    taken = sum(part.people for part in parts if part.state in ("accepted", "assumed"))
    codes = _counts(outcome.get("codes") or returned.get("codes"))
    stats = _stats(returned) or _stats(outcome)
    unexplained = stats.failed + stats.undelivered - sum(codes.values()) if stats else 1
    return Send(
        found.key,
        kind,
        _phase(found.state, sent is not None or kind == "wait"),
        ids,
        parts,
        planned,
        _count(told.get("recipients")) or (len(ids) if kind == "messages" else taken),
        _count(told.get("rejected")),
        stats,
        tuple((int(code), count) for code, count in codes.items() if re.fullmatch(r"\d{4,6}", code)),
        outcome.get("complete") is not True and unexplained > 0,
        began or found.began,
        found.ended,
    )


def _kind(
    sent: Any, noted: bool, marked: bool, parts: Iterable[Part], outcome: Mapping[str, Any]
) -> Kind | None:
    if isinstance(sent, list) or (noted and any((part.identity or "c")[0] in "SM" for part in parts)):
        return "messages"
    if sent is not None or noted:
        return "operations"
    if marked:
        return "wait"
    return "receipts" if outcome else None


def _phase(state: str | None, sent: bool) -> Phase:
    if state == "running":
        return "waiting" if sent else "sending"
    return "waiting" if state in _WAITS else _ENDED.get(state or "", "resumable")


def _ledger(notes: Sequence[Note]) -> tuple[str | None, tuple[Part, ...], int | None, datetime | None]:
    """Read the ledger of the latest send, since a clear may have started another."""
    read = [(match[1], match[2], note) for note in notes if (match := _NOTE.fullmatch(note.name))]
    begun = [(note.at, name, _object(note.value)) for name, what, note in read if what == "begun"]
    if not begun:
        return None, (), None, None
    _, latest, value = max(begun, key=lambda each: each[:2])
    parts = (_part(int(what), note) for name, what, note in read if name == latest and what.isdecimal())
    ordered = tuple(sorted(part for part in parts if part is not None))
    since = value.get("since")
    began = datetime.fromtimestamp(since, timezone.utc) if isinstance(since, (int, float)) else None
    return latest, ordered, _count(value.get("parts")) or None, began


def _part(number: int, note: Note) -> Part | None:
    value = _object(note.value)
    state = value.get("state")
    if state not in _STATES:
        return None
    identity = next(iter(_ids([value.get("operation_id")])), None)
    return Part(number, state, _count(value.get("count")), identity, note.at)


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
