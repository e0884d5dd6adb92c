"""Waiting for operations: what counts as the end, decided in one place for workers and triggerers alike.

A ``Wait`` is plain data, fit for a trigger's arguments; an ``Outcome`` is plain data, fit for its event.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation, Stats
from airflow_provider_twilio_comms.api.flows import Flow, made, now, waited
from airflow_provider_twilio_comms.exceptions import ApiError, TwilioError

__all__ = ["Outcome", "Until", "Wait", "amount_of", "finished", "observed", "total"]

Until = Literal["processed", "delivered"]
GRACE = 60.0  # seconds for which a fresh operation may answer 404
FLAKY = 20  # polls in a row that may fail
HOPELESS = 3  # polls in a row that may fail for want of a right or a credential


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a wait ended: ``done``, ``timeout``, ``gone`` (Twilio knows the operation no more) or ``error``."""

    status: Literal["done", "timeout", "gone", "error"]
    operations: dict[str, Operation] = {}
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None

    def to_event(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]

    @staticmethod
    def from_event(event: Any) -> Outcome:
        """Raises :class:`TwilioError` for an event that no trigger of ours sends."""
        try:
            return msgspec.convert(event, Outcome)
        except msgspec.ValidationError as error:
            raise TwilioError(f"the trigger's event cannot be read: {error}") from None


class Wait(msgspec.Struct):
    """A wait for operations.

    ``deadline`` and ``since`` (when the last one was made, or 0) are seconds since 1970. ``enough`` is the
    share (a float) or number (an int) of delivered messages at which a wait for delivery may end before the
    last receipt is in.
    """

    operation_ids: list[str]
    until: Until = "processed"
    deadline: float = 0.0
    since: float = 0.0
    enough: int | float | None = None
    failures: int = 0

    def judged(self, known: Mapping[str, Operation | None], time: float) -> Outcome | None:
        """The outcome, if this is the end. ``known`` maps ids to operations; None where Twilio said 404."""
        self.failures = 0
        found = {name: operation for name, operation in known.items() if operation is not None}
        missing = tuple(name for name, operation in known.items() if operation is None)
        if missing and time >= self.since + GRACE:
            return Outcome("gone", found, missing)
        if len(found) == len(self.operation_ids) and self._settled(found.values()):
            return Outcome("done", found)
        if time >= self.deadline:
            return Outcome("timeout", found, missing)
        return None

    def failed(
        self, error: TwilioError, known: Mapping[str, Operation | None], time: float
    ) -> Outcome | None:
        """The outcome after a poll that failed: one flaky poll is none, a row of them is."""
        self.failures += 1
        found = {name: operation for name, operation in known.items() if operation is not None}
        hopeless = isinstance(error, ApiError) and error.verdict == "configuration"
        if self.failures >= (HOPELESS if hopeless else FLAKY):
            return Outcome("error", found, error=error.to_dict())
        return Outcome("timeout", found) if time >= self.deadline else None

    def _settled(self, found: Iterable[Operation]) -> bool:
        states = list(found)
        if not all(operation.done for operation in states):
            return False
        stats = total(states)
        if self.until == "processed" or not stats.under_way:
            return True
        return self.enough is not None and stats.arrived >= amount_of(self.enough, stats.asked)


def amount_of(amount: int | float, asked: int) -> int:
    """A count as it is; a share of what was asked for, rounded up."""
    return amount if isinstance(amount, int) else math.ceil(round(amount * asked, 6))


def total(found: Iterable[Operation]) -> Stats:
    """The counts of all operations together."""
    return sum((operation.stats for operation in found), Stats())


def observed(operation_id: str) -> Flow[Operation | None]:
    """Read an operation; None where Twilio does not know it, yet or any more."""
    try:
        return (yield from made(operations.fetch(operation_id)))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def polled(wait: Wait, known: dict[str, Operation | None]) -> Flow[Outcome | None]:
    """Look once at every operation that may still change. ``known`` is brought up to date."""
    try:
        for name in wait.operation_ids:
            before = known.get(name)
            if before is None or not before.done or (wait.until == "delivered" and before.stats.under_way):
                known[name] = yield from observed(name)
    except TwilioError as error:
        return wait.failed(error, known, (yield from now()))
    return wait.judged(known, (yield from now()))


def finished(wait: Wait, every: float) -> Flow[Outcome]:
    """Poll until the end, ``every`` so many seconds."""
    known: dict[str, Operation | None] = {}
    while True:
        outcome = yield from polled(wait, known)
        if outcome is not None:
            return outcome
        time = yield from now()
        yield from waited(max(0.1, min(every, wait.deadline - time)))
