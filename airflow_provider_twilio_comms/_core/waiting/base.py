"""Waiting: what counts as the end, decided in one place for workers and triggerers alike.

A ``Waiting`` says it for anything that is fetched by its id; ``Wait`` is that for operations. Waits are plain
data, fit for a trigger's arguments; outcomes are plain data, fit for its event.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from airflow_provider_twilio_comms._core.waiting.criteria import amount_of
from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation, Stats
from airflow_provider_twilio_comms.api.flows import Flow, fetched, now, waited
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, Refused, TwilioError

__all__ = [
    "Ending",
    "Outcome",
    "Status",
    "Until",
    "Wait",
    "Waiting",
    "finished",
    "observed",
    "polled",
    "total",
]

T = TypeVar("T")


class Ending(Protocol):
    """How a wait ended, as plain data."""

    def to_event(self) -> dict[str, Any]: ...


End = TypeVar("End", bound=Ending, covariant=True)
Until = Literal["processed", "delivered"]
Status = Literal["done", "timeout", "gone", "error"]
Problem: TypeAlias = "dict[str, Any] | None"
GRACE = 60.0  # seconds for which a fresh operation may answer 404
FLAKY = 20  # polls in a row that may fail
HOPELESS = 3  # polls in a row that may fail for want of a right or a credential


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a wait ended: ``done``, ``timeout``, ``gone`` (Twilio knows the operation no more) or ``error``."""

    status: Status
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


class Waiting(ABC, Generic[T, End]):
    """A wait for things of type ``T`` that Twilio makes; it ends in an ``End``.

    ``deadline`` and ``since`` (when the last one was made, or 0) are seconds since 1970, ``failures`` the
    polls in a row that failed.
    """

    deadline: float
    since: float
    failures: int

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Twilio's ids of all that is waited for."""

    @abstractmethod
    def observed(self, name: str) -> Flow[T | None]:
        """Look at one of them; None where Twilio says 404."""

    @abstractmethod
    def moving(self, item: T) -> bool:
        """Whether it can still change in a way that matters here."""

    @abstractmethod
    def settled(self, found: Sequence[T]) -> bool:
        """Whether this is the end, for all of them together."""

    @abstractmethod
    def ended(
        self, status: Status, found: dict[str, T], missing: tuple[str, ...] = (), error: Problem = None
    ) -> End:
        """The outcome, as plain data."""

    def judged(self, known: Mapping[str, T | None], time: float) -> End | None:
        """The outcome, if this is the end. ``known`` has None where Twilio said 404."""
        self.failures = 0
        found = _found(known)
        missing = tuple(name for name, item in known.items() if item is None)
        if missing and time >= self.since + GRACE:
            return self.ended("gone", found, missing)
        if len(found) == len(set(self.names)) and self.settled(list(found.values())):
            return self.ended("done", found)
        return self.ended("timeout", found, missing) if time >= self.deadline else None

    def failed(self, error: TwilioError, known: Mapping[str, T | None], time: float) -> End | None:
        """The outcome after a poll that failed: one flaky poll is none, a row of them is."""
        self.failures += 1
        hopeless = isinstance(error, InvalidInput | Refused) or (
            isinstance(error, ApiError) and error.verdict == "configuration"
        )
        if self.failures >= (HOPELESS if hopeless else FLAKY):
            return self.ended("error", _found(known), error=error.to_dict())
        return self.ended("timeout", _found(known)) if time >= self.deadline else None


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
    failures: int = 0

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
        if self.until == "processed" or not stats.under_way:
            return True
        return self.enough is not None and stats.arrived >= amount_of(self.enough, stats.asked)

    def ended(
        self,
        status: Status,
        found: dict[str, Operation],
        missing: tuple[str, ...] = (),
        error: Problem = None,
    ) -> Outcome:
        return Outcome(status, found, missing, error)


def _found(known: Mapping[str, T | None]) -> dict[str, T]:
    return {name: item for name, item in known.items() if item is not None}


def total(found: Iterable[Operation]) -> Stats:
    """The counts of all operations together."""
    return sum((operation.stats for operation in found), Stats())


def observed(operation_id: str) -> Flow[Operation | None]:
    """Read an operation; None where Twilio does not know it, yet or any more."""
    return (yield from fetched(operations.fetch(operation_id)))


def polled(wait: Waiting[T, End], known: dict[str, T | None]) -> Flow[End | None]:
    """Look once at everything that may still change. ``known`` is brought up to date."""
    try:
        for name in wait.names:
            before = known.get(name)
            if before is None or wait.moving(before):
                known[name] = yield from wait.observed(name)
    except TwilioError as error:
        return wait.failed(error, known, (yield from now()))
    return wait.judged(known, (yield from now()))


def finished(wait: Waiting[T, End], every: float) -> Flow[End]:
    """Poll until the end, ``every`` so many seconds."""
    known: dict[str, T | None] = {}
    while True:
        outcome = yield from polled(wait, known)
        if outcome is not None:
            return outcome
        time = yield from now()
        yield from waited(max(0.1, min(every, wait.deadline - time)))
