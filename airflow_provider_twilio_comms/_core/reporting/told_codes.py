"""Error codes that events have told, as text for an Airflow Variable: ids, codes and counts only.

The API server writes them as events come in, and workers read them, so that no task asks Twilio once more.
One Variable holds the failed messages of one operation, ``MOST`` of them at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

PREFIX = "twilio_codes_"
MOST = 10_000  # messages of an operation, as many as Twilio takes recipients
KEPT_DAYS = 7  # Twilio keeps results no longer
_OPERATION = re.compile(r"comms_operation_[0-9a-z]{1,40}")
_MESSAGE = re.compile(r"comms_message_[0-9a-z]{1,40}")
_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_KIND = "com.twilio.comms-api.message."
_FAILED = frozenset({"failed", "undelivered"})
_ARRIVED = frozenset({"delivered", "read"})


class Told(NamedTuple):
    """An event's word about a message that failed: Twilio's code, the number of attempts, the last SID."""

    code: int
    attempts: int | None = None
    sid: str | None = None


Known: TypeAlias = "Mapping[str, Mapping[str, Told]]"  # by operation and message id
Changes: TypeAlias = "dict[str, dict[str, Told | None]]"  # the same; None for a message that has arrived


def variable_of(operation_id: str) -> str:
    """Name the Variable of an operation."""
    return PREFIX + operation_id


def read_changes(extras: Iterable[Mapping[str, Any]]) -> Changes:
    """Read events, as webhooks store them, for messages that failed and for those that have arrived since."""
    changes: Changes = {}
    for extra in extras:
        kind = str(extra.get("type", ""))
        ended = kind.removeprefix(_KIND) if kind.startswith(_KIND) else ""
        operation, message = str(extra.get("operation_id")), str(extra.get("message_id"))
        if not (_OPERATION.fullmatch(operation) and _MESSAGE.fullmatch(message)):
            continue
        if ended in _ARRIVED:
            changes.setdefault(operation, {})[message] = None
        elif ended in _FAILED and (code := _number(extra.get("error_code"))):
            sid = str(extra.get("downstream_id"))
            told = Told(code, _number(extra.get("attempt")), sid if _SID.fullmatch(sid) else None)
            changes.setdefault(operation, {})[message] = told
    return changes


def read_told(text: str | None) -> dict[str, Told]:
    """Read a Variable. One that somebody has edited into something else holds nothing."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Told])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def add_changes(text: str | None, changes: Mapping[str, Told | None]) -> str | None:
    """Add what events told to a Variable's text; None if that leaves it as it is, or without a message."""
    before = read_told(text)
    after = dict(before)
    for message, told in changes.items():
        if told is None:
            after.pop(message, None)
        elif message in after or len(after) < MOST:
            after[message] = told
    return None if after == before else msgspec.json.encode(after).decode()


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and 0 < int(text) < 10**6 else None
