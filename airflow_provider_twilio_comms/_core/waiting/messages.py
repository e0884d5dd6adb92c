"""Waiting for single messages: what counts as arrived, and the verdict.

A message has no end of its own where a carrier sends no receipt: it stays ``sent``. To wait for ``delivered``
is then to wait until time is up, and ``sent`` is what to wait for.
https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from airflow_provider_twilio_comms._core.waiting.base import Ending, Problem, Status, Waiting
from airflow_provider_twilio_comms._core.waiting.results import (
    describe_reasons,
    describe_result,
    describe_statuses,
)
from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import FINAL, Message
from airflow_provider_twilio_comms.api.flows import Flow, fetched
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    InvalidInput,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)

# What is as good as a status, or better. A status that is not here is waited for as it stands.
_AS_GOOD = {
    "queued": frozenset({"queued", "sending", "sent", "delivered", "read"}),
    "sent": frozenset({"sent", "delivered", "read"}),
    "delivered": frozenset({"delivered", "read"}),
}
MessageStatus = Literal[
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "canceled",
    "read",
    "partially_delivered",
    "receiving",
    "received",
]
SHOWN = 5  # SIDs that an error names


class Seen(msgspec.Struct, frozen=True):
    """A message as a look shows it: no number, no text."""

    status: str
    code: int | None = None
    created_at: datetime | None = None

    @staticmethod
    def of(message: Message) -> Seen:
        return Seen(message.status or "unknown", message.error_code, message.date_created)


class MessageOutcome(Ending, frozen=True, omit_defaults=True):
    """End of a wait: ``done``, ``timeout``, ``gone`` (Twilio does not know a message) or ``error``.

    ``statuses`` are those last seen, by SID, and ``codes`` the reasons of those that failed.
    """

    statuses: dict[str, str] = msgspec.field(default_factory=dict)
    codes: dict[str, int] = msgspec.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


@dataclass
class MessageWait(Waiting[Seen, MessageOutcome]):
    """A wait for messages, until each has the status ``until``, a better one, or one that is its last."""

    sids: list[str]
    until: str = "delivered"
    deadline: float = 0.0
    since: float = 0.0

    @property
    def names(self) -> list[str]:
        return self.sids

    def observed(self, name: str) -> Flow[Seen | None]:
        return seen(name)

    def moving(self, item: Seen) -> bool:
        return item.status not in FINAL and not self.reached(item.status)

    def settled(self, found: Sequence[Seen]) -> bool:
        """All of them, or one that has failed: the others cannot make up for it."""
        return any(self.lost(item.status) for item in found) or not any(map(self.moving, found))

    def end(
        self, status: Status, found: dict[str, Seen], missing: tuple[str, ...] = (), error: Problem = None
    ) -> MessageOutcome:
        return MessageOutcome(
            status,
            {sid: item.status for sid, item in found.items()},
            {sid: item.code for sid, item in found.items() if item.code},
            missing,
            error,
        )

    def reached(self, status: str) -> bool:
        return status in _AS_GOOD.get(self.until, {self.until})

    def lost(self, status: str) -> bool:
        return status in FINAL and not self.reached(status)


def checked_until(until: str) -> str:
    """A status that can be waited for. Raises :class:`InvalidInput`."""
    known = get_args(MessageStatus)
    if until not in known:
        raise InvalidInput.at("wait_for", f"{until!r} is not a status", f"Use one of {', '.join(known)}")
    return until


def seen(sid: str) -> Flow[Seen | None]:
    """Look at a message; None where Twilio does not know it, yet or any more."""
    message = yield from fetched(messages.fetch(sid))
    return None if message is None else Seen.of(message)


def judge(wait: MessageWait, outcome: MessageOutcome) -> dict[str, int]:
    """Count messages by status, where that is good enough.

    Raises :class:`DeliveryFailed`, :class:`WaitTimedOut` or :class:`OperationGone` with the counts, or the
    error that ended the wait.
    """
    if outcome.status == "error":
        raise TwilioError.from_dict(outcome.error or {})
    counts = dict(Counter(outcome.statuses.values()))
    carried: dict[str, Any] = {"operation_ids": list(wait.sids), "stats": counts}
    if outcome.status == "gone":
        raise OperationGone(
            f"Twilio does not know {_named(outcome.missing)}: never sent from this account, or deleted. "
            "Nothing is sent again by running the task again",
            **carried,
        )
    lost = [sid for sid, status in outcome.statuses.items() if wait.lost(status)]
    if lost:
        raise _failed(wait, outcome, lost, carried)
    waiting = [sid for sid in wait.sids if not wait.reached(outcome.statuses.get(sid, ""))]
    if waiting:
        raise WaitTimedOut(
            f"time is up; {len(waiting)} of {len(wait.sids)} messages are not {wait.until} yet, and go on: "
            f"{_named(waiting)}. {_counted(outcome)}. Running the task again waits on and sends nothing "
            "again",
            **carried,
        )
    return counts


def result_line(wait: MessageWait, outcome: MessageOutcome) -> tuple[str, int]:
    """Describe in one line how a wait ended; beside it, how many messages have failed."""
    statuses = outcome.statuses.values()
    reached, lost = sum(map(wait.reached, statuses)), sum(map(wait.lost, statuses))
    under_way = len(wait.sids) - reached - lost
    codes = Counter(outcome.codes[sid] for sid in wait.sids if sid in outcome.codes)
    line = describe_result(
        wait.until,
        reached,
        len(wait.sids),
        "all",
        under_way=under_way,
        lost=lost,
        reasons=describe_reasons(codes, [(lost - codes.total(), "unexplained")]),
    )
    return line, lost


def by_verdict(outcome: MessageOutcome) -> dict[str, int]:
    """Count the messages that have failed, by what to do about it."""
    lost = [sid for sid, status in outcome.statuses.items() if status in ("failed", "undelivered")]
    return dict(Counter(error_codes.verdict(outcome.codes.get(sid)).value for sid in lost))


def _failed(
    wait: MessageWait, outcome: MessageOutcome, lost: Sequence[str], carried: Mapping[str, Any]
) -> DeliveryFailed:
    found = Counter(outcome.codes[sid] for sid in lost if sid in outcome.codes)
    verdicts = {error_codes.verdict(code).value for code in found}
    return DeliveryFailed(
        f"{len(lost)} of {len(wait.sids)} messages ended without being {wait.until}: {_named(lost)}. "
        f"{_counted(outcome)}" + (f". Reasons: {describe_reasons(found)}" if found else ""),
        codes={str(code): count for code, count in found.items()},
        verdict=verdicts.pop() if len(verdicts) == 1 else None,
        **carried,
    )


def _named(sids: Sequence[str]) -> str:
    return ", ".join(sids[:SHOWN]) + (f" and {len(sids) - SHOWN} more" if len(sids) > SHOWN else "")


def _counted(outcome: MessageOutcome) -> str:
    return describe_statuses(outcome.statuses.values()) or "no status yet"
