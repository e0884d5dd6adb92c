"""Waits for bulk operations, and the verdict: Twilio's counts against what the author asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.waiting.base import Ending, Problem, Status, Until, Waiting, polled
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, amount_of
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms.operations import Operation, Stats
from airflow_provider_twilio_comms.api.flows import Flow, fetched, made
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    InvalidInput,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)

SHOWN = 5  # operations that an error names
KEPT = 7 * 24 * 3600.0  # seconds for which Twilio can be asked for an operation
ROWS = 100  # messages of an operation whose schedule is looked at: where it is by local time, they differ
LONGEST_END = 86_400.0  # seconds that a wait is given after the last message at most, to see its end


class Outcome(Ending, frozen=True, omit_defaults=True):
    """End of a wait: ``done``, ``timeout``, ``gone`` (Twilio knows the operation no more) or ``error``."""

    operations: dict[str, Operation] = msgspec.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


@dataclass
class Wait(Waiting[Operation, Outcome]):
    """A wait for operations.

    ``enough`` is the share (a float) or number (an int) of delivered messages at which a wait for delivery
    may end before the last receipt is in.
    """

    operation_ids: list[str]
    until: Until = "processed"
    deadline: float = 0.0
    since: float = 0.0
    enough: int | float | None = None
    in_time: frozenset[str] = field(default=frozenset(), init=False, repr=False)  # sent while they are kept

    @property
    def names(self) -> list[str]:
        return self.operation_ids

    def observed(self, name: str) -> Flow[Operation | None]:
        return observed(name)

    def moving(self, item: Operation) -> bool:
        return not item.done or (self.until == "delivered" and item.stats.under_way > 0)

    def settled(self, found: Sequence[Operation]) -> bool:
        if not all(operation.done for operation in found):
            return False
        stats = total(found)
        if not stats.asked:
            return False  # fresh counters may be 0: they have not been filled in
        if self.until == "processed" or not stats.under_way:
            return True
        return self.enough is not None and stats.arrived >= amount_of(self.enough, stats.asked)

    def suffices(self, item: Operation) -> bool:
        """Once it is processed: then its receipts are as complete as they will be seen to be."""
        return item.done

    def has_expired(self, item: Operation, time: float) -> bool:
        return item.created_at is not None and time >= item.created_at.timestamp() + KEPT

    def end(
        self,
        status: Status,
        found: dict[str, Operation],
        missing: tuple[str, ...] = (),
        error: Problem = None,
    ) -> Outcome:
        return Outcome(status, found, missing, error)


def polled_ahead(wait: Wait) -> Flow[Outcome | None]:
    """Look once, and end with an error where Twilio will have forgotten an operation before it is sent.

    An operation does not say when that is, its messages do; so it takes a request for each that is scheduled.
    """
    outcome = yield from polled(wait)
    for name, operation in wait.known.items() if outcome is None else ():
        if operation.status != "SCHEDULED" or operation.created_at is None or name in wait.in_time:
            continue
        sent_at = yield from _scheduled_for(name)
        forgotten_at = operation.created_at + timedelta(seconds=KEPT)
        if sent_at is not None and sent_at >= forgotten_at:
            error = InvalidInput.at(
                "operation_ids",
                f"{name} is scheduled for {sent_at:%Y-%m-%d %H:%M %Z}, and Twilio forgets it and its results "
                f"on {forgotten_at:%Y-%m-%d %H:%M %Z}, seven days after the request: its end can never be "
                "seen. It is sent all the same",
                "Leave out the wait, or let the sending task run later, six days before its send_at at most",
            )
            return wait.end("error", wait.known, error=error.to_dict())
        if sent_at is not None:
            wait.in_time |= {name}
    return outcome


def _scheduled_for(operation_id: str) -> Flow[datetime | None]:
    """The time of the last of its first messages; None where Twilio does not tell."""
    try:
        page = yield from made(messages.list(operation_id=operation_id, page_size=ROWS))
    except TwilioError:  # it would only save time: the wait goes on, and hears of it when Twilio forgets
        return None
    return max((row.scheduled_for for row in page.items if row.scheduled_for), default=None)


def total(found: Iterable[Operation]) -> Stats:
    """The counts of all operations together."""
    return sum((operation.stats for operation in found), Stats())


def observed(operation_id: str) -> Flow[Operation | None]:
    """Read an operation; None where Twilio does not know it, yet or any more."""
    return (yield from fetched(operations.fetch(operation_id)))


def judge(criteria: Criteria, outcome: Outcome, operation_ids: Sequence[str], recipients: int = 0) -> Stats:
    """The counts, where they are good enough for ``recipients`` (or as many as Twilio counts, if more).

    Raises :class:`DeliveryFailed`, :class:`WaitTimedOut` or :class:`OperationGone` with the counts, or the
    error that ended the wait.
    """
    stats = total(outcome.operations.values())
    carried: dict[str, Any] = {"operation_ids": list(operation_ids), "stats": stats.to_dict()}
    if outcome.status == "error":
        error = TwilioError.from_dict(outcome.error or {})
        raise error
    if outcome.status == "gone":
        last = {outcome.operations[name].status for name in outcome.missing if name in outcome.operations}
        ahead = " It was still scheduled: what is sent later than that cannot be waited for"
        raise OperationGone(
            f"Twilio does not know {', '.join(outcome.missing)} (any more: results are kept for seven days)."
            f"{ahead + '.' if 'SCHEDULED' in last else ''} Nothing is sent again by running the task again",
            **carried,
        )
    canceled = [name for name, operation in outcome.operations.items() if operation.status == "CANCELED"]
    if canceled:
        raise DeliveryFailed(
            f"{', '.join(canceled)}: canceled at Twilio. {describe_counts(stats)}", **carried
        )
    short = criteria.shortfall(stats, recipients)
    # Time may be up while a carrier still owes receipts. If what is in suffices, it suffices.
    if outcome.status == "timeout" and (short or not _complete(outcome, operation_ids)):
        raise WaitTimedOut(
            f"time is up; still under way: {pluralize(stats.under_way, 'message')} of "
            f"{_going(outcome, operation_ids)}. {describe_counts(stats)}. Running the task again "
            "waits on and sends nothing again",
            **carried,
        )
    if short:
        raise DeliveryFailed(f"{short}. {describe_counts(stats)}", **carried)
    return stats


def _complete(outcome: Outcome, operation_ids: Sequence[str]) -> bool:
    found = outcome.operations
    return len(found) == len(operation_ids) and all(operation.done for operation in found.values())


def _going(outcome: Outcome, operation_ids: Sequence[str]) -> str:
    """The operations that have not ended, or whose receipts are not all in."""
    found = outcome.operations
    ended = {name for name, operation in found.items() if operation.done and not operation.stats.under_way}
    ids = [name for name in operation_ids if name not in ended]
    return ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")


def describe_counts(stats: Stats) -> str:
    return (
        ", ".join(f"{name} {count:,}" for name, count in stats.to_dict().items() if count) or "no counts yet"
    )


def check_kept(ahead: float, timeout: float, wait_for: str) -> None:
    """Refuse a wait that would outlast Twilio's results; the last message goes out in ``ahead`` seconds."""
    if wait_for == "accepted" or ahead + min(timeout, LONGEST_END) <= KEPT:
        return
    raise InvalidInput.at(
        "send_at",
        f"the last message would go out {ahead / 86_400:.1f} days from now, and Twilio forgets results seven "
        f"days after the request: wait_for={wait_for!r} could never be answered, so nothing was sent",
        "Let the task run later (up to six days before send_at, or a timeout less than seven), or set "
        "wait_for='accepted'",
    )
