"""Waiting: what counts as the end, decided in one place for workers and triggerers alike.

A ``Waiting`` says it for anything that is fetched by its id; ``Wait`` is that for operations. Waits are plain
data, fit for a trigger's arguments; outcomes are plain data, fit for its event.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

from airflow_provider_twilio_comms.api.flows import Flow, now, waited
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, Refused, TwilioError

__all__ = [
    "Ending",
    "Status",
    "Until",
    "Waiting",
    "finished",
    "polled",
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


def _found(known: Mapping[str, T | None]) -> dict[str, T]:
    return {name: item for name, item in known.items() if item is not None}


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
