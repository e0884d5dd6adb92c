"""Waits: when a wait ends, decided in one place for workers and triggerers alike.

A ``Waiting`` decides it for anything that is fetched by its id: ``Wait`` for operations, ``MessageWait`` for
messages. Their arguments are plain data, fit for a trigger; outcomes are plain data, fit for its event.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from typing_extensions import Self

from airflow_provider_twilio_comms.api.flows import Flow, now, waited
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, Refused, TwilioError

T = TypeVar("T")


Status = Literal["done", "timeout", "gone", "error"]


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """End of a wait, as plain data."""

    status: Status

    def to_event(self) -> dict[str, Any]:
        return msgspec.to_builtins(self, str_keys=True)  # type: ignore[no-any-return]

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """Read a trigger's event. Raises :class:`TwilioError` for one that no trigger of ours sends."""
        try:
            return msgspec.convert(event, cls, str_keys=True)
        except msgspec.ValidationError as error:
            raise TwilioError(f"the trigger's event cannot be read: {error}") from None


End = TypeVar("End", bound=Ending, covariant=True)
Until = Literal["processed", "delivered"]
Problem: TypeAlias = "dict[str, Any] | None"
GRACE = 60.0  # seconds for which what Twilio has made may answer 404
FLAKY = 600.0  # seconds for which every poll may fail
HOPELESS = 60.0  # seconds for which every poll may fail for want of a right or a credential
LEAST = 3  # polls in a row that end a wait, at least: one alone is never believed


@dataclass(frozen=True)
class Budget:
    """Budget of failed polls and 404s that a wait puts up with, in seconds, and ``LEAST`` polls at least."""

    flaky: float = FLAKY
    hopeless: float = HOPELESS
    grace: float = GRACE


@dataclass(slots=True)
class Row:
    """Polls in a row that ended the same way: how many, and since when (seconds since 1970)."""

    count: int = 0
    since: float = 0.0

    def add(self, time: float) -> None:
        if not self.count:
            self.since = time
        self.count += 1

    def lasts(self, seconds: float, time: float) -> bool:
        """Tell if it goes on for so many seconds, and for enough polls."""
        return self.count >= LEAST and time - self.since >= seconds


@dataclass(slots=True)
class Failures:
    """Polls that failed in a row, and apart those that waiting alone does not change."""

    all: Row = field(default_factory=Row)
    hopeless: Row = field(default_factory=Row)

    def add(self, error: TwilioError, time: float, *, confirmed: bool = True) -> None:
        """Count a failure. The time for which Twilio asked to be left alone is not held against it.

        ``confirmed`` is False where the connection that was used may have been changed since it was read: an
        error of configuration then says nothing of the connection as it is now.
        """
        self.all.add(time)
        self.all.since += retry_after(error)
        if not is_configuration(error):
            self.hopeless = Row()
        elif confirmed:
            self.hopeless.add(time)

    def exceed(self, budget: Budget, time: float) -> bool:
        return self.hopeless.lasts(budget.hopeless, time) or self.all.lasts(budget.flaky, time)


def is_configuration(error: TwilioError) -> bool:
    """Tell if a person has to change the connection or the account before this can go well."""
    return isinstance(error, InvalidInput | Refused) or (
        isinstance(error, ApiError) and error.verdict == "configuration"
    )


def retry_after(error: TwilioError) -> float:
    """Seconds for which Twilio asks to be left alone, of any length; 0 where it does not."""
    return float(getattr(error, "retry_after", None) or 0.0)


class Waiting(ABC, Generic[T, End]):
    """A wait for things of type ``T`` that Twilio makes; it ends in an ``End``.

    ``deadline`` and ``since`` (from when on the grace for a 404 counts, or 0) are seconds since 1970.
    ``known`` is how each was when last seen, ``absent`` the 404s in a row of those that answer so now,
    ``failures`` the polls that failed since one last went well: most of the thousands that may wait at a time
    have neither.
    """

    deadline: float
    since: float
    budget: Budget = Budget()
    known: dict[str, T]
    absent: Mapping[str, Row] = MappingProxyType({})
    failures: Failures | None = None
    quiet_until: float = 0.0
    told: str = ""  # the state that the log told last

    def __post_init__(self) -> None:
        self.known = {}

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Twilio's ids of all that is waited for."""

    @abstractmethod
    def observed(self, name: str) -> Flow[T | None]:
        """Look at one of them; None where Twilio says 404."""

    @abstractmethod
    def moving(self, item: T) -> bool:
        """Tell if it can still change in a way that matters here."""

    @abstractmethod
    def settled(self, found: Sequence[T]) -> bool:
        """Tell if this is the end, for all of them together."""

    @abstractmethod
    def end(
        self, status: Status, found: dict[str, T], missing: tuple[str, ...] = (), error: Problem = None
    ) -> End:
        """The outcome, as plain data. ``found`` is how each was when last seen, the missing ones included."""

    def suffices(self, item: T) -> bool:
        """Tell if it can be judged as it was last seen, once Twilio does not know it any more."""
        return False

    def has_expired(self, item: T, time: float) -> bool:
        """Tell if Twilio has had it for longer than it keeps such things."""
        return False

    @property
    def is_failing(self) -> bool:
        """True if the last poll failed."""
        return self.failures is not None

    @property
    def is_in_doubt(self) -> bool:
        """True if the last poll said what is not believed of one poll alone."""
        return bool(self.absent) or (self.failures is not None and self.failures.hopeless.count > 0)

    def take(self, found: Mapping[str, T], absent: Mapping[str, Row]) -> None:
        """Take in what was seen. What answers 404 keeps its last counts, and does not matter once settled."""
        self.known.update(found)
        if absent or self.absent:
            self.absent = {
                name: row
                for name, row in absent.items()
                if name not in self.known or self.moving(self.known[name])
            }

    def judge(self, time: float) -> End | None:
        """The outcome after a poll that went well, if this is the end."""
        self.failures = None
        gone = [name for name, row in self.absent.items() if self._is_gone(name, row, time)]
        lost = tuple(name for name in gone if name not in self.known or not self.suffices(self.known[name]))
        if lost:
            return self.end("gone", self.known, lost)
        if len(self.known) == len(set(self.names)) and (
            self.settled(list(self.known.values())) or (gone and not self._moves_without(gone))
        ):
            return self.end("done", self.known, tuple(gone))
        return self._time_out(time)

    def fail(self, error: TwilioError, time: float, *, confirmed: bool = True) -> End | None:
        """The outcome after a poll that failed: one flaky poll is none, a row of them is.

        ``confirmed`` is as in :meth:`Failures.add`.
        """
        self.failures = self.failures or Failures()
        self.failures.add(error, time, confirmed=confirmed)
        self.quiet_until = max(self.quiet_until, time + retry_after(error))
        if self.failures.exceed(self.budget, time):
            return self.end("error", self.known, error=error.to_dict())
        return self._time_out(time)

    def _time_out(self, time: float) -> End | None:
        return self.end("timeout", self.known, tuple(self.absent)) if time >= self.deadline else None

    def _moves_without(self, gone: Collection[str]) -> bool:
        return any(self.moving(item) for name, item in self.known.items() if name not in gone)

    def _is_gone(self, name: str, row: Row, time: float) -> bool:
        """Tell if a 404 is the last word: after a row of them, and not while the thing may be too new."""
        if name not in self.known:
            return row.count >= LEAST and time >= self.since + self.budget.grace
        return row.lasts(0.0 if self.has_expired(self.known[name], time) else self.budget.grace, time)


def polled(wait: Waiting[T, End]) -> Flow[End | None]:
    """Look once at everything that may still change, unless Twilio has asked to be left alone."""
    time = yield from now()
    if time < wait.quiet_until:
        return wait._time_out(time)
    absent = dict(wait.absent)
    try:
        for name in dict.fromkeys(wait.names):
            before = wait.known.get(name)
            if before is not None and not wait.moving(before):
                continue
            item = yield from wait.observed(name)
            if item is not None:
                absent.pop(name, None)
                wait.take({name: item}, absent)
            else:
                absent.setdefault(name, Row()).add((yield from now()))
    except TwilioError as error:
        wait.take({}, absent)
        return wait.fail(error, (yield from now()))
    wait.take({}, absent)
    return wait.judge((yield from now()))


FIRST = 2.0  # seconds to the first look after the one at once


def pause_of(interval: float, waited: float) -> float:
    """Seconds until the next look of a wait that goes on for ``waited``: from 2 up to the interval."""
    return min(interval, max(FIRST, waited / 2))


def finished(
    wait: Waiting[T, End], every: float, tell: Callable[[float], None] | None = None
) -> Flow[End | None]:
    """Poll until the end, soon at first, then ``every`` so many seconds; ``tell`` gets each pause.

    None some time after a poll that failed: the connection is to be read again, and this called again.
    """
    began = yield from now()
    while True:
        outcome = yield from polled(wait)
        if outcome is not None:
            return outcome
        time = yield from now()
        pause = max(pause_of(every, time - (wait.since or began)), wait.quiet_until - time)
        if tell:
            tell(pause)
        yield from waited(max(0.1, min(pause, wait.deadline - time)))
        if wait.is_failing:
            return None
