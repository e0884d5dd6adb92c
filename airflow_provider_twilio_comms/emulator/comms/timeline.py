"""Timeline of an operation: fronts that pass over its messages in order and change their statuses.

At a pace of ten seconds, the sending front passes over all messages in the first six, the front of receipts
follows three behind it, that of read receipts one more behind. The status of a message at any moment depends
only on its place and the fronts, so nothing has to be stored or moved, and a count is a bisection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Attempted", "Fronts", "Plan", "Timeline"]

_SENDING, _SETTLING, _READING = 0.6, 0.3, 0.1  # parts of the pace


class Fronts(NamedTuple):
    """Numbers of messages, from the first, that are sent, have their receipt, and are read by now."""

    sent: int
    settled: int
    read: int


@dataclass(slots=True)
class Timeline:
    """The fronts over time. ``lag`` is the delay of receipts; ``canceled_at`` stops the sending."""

    start: float
    pace: float
    lag: float
    count: int
    canceled_at: float | None = None

    @property
    def end(self) -> float:
        return self.start + self.pace

    def fronts(self, now: float) -> Fronts:
        until = now if self.canceled_at is None else min(now, self.canceled_at)
        sent = self._passed(until, 0.0)
        settled = min(sent, self._passed(now, _SETTLING * self.pace + self.lag))
        return Fronts(sent, settled, min(settled, self._passed(now, (1 - _SENDING) * self.pace + self.lag)))

    def _passed(self, now: float, behind: float) -> int:
        time = now - self.start - behind + 1e-6  # floats of 1970 seconds are exact to a quarter of that
        if time < 0:
            return 0
        span = _SENDING * self.pace
        return self.count if time >= span else int(time / span * self.count)

    def sent_at(self, index: int) -> float:
        return self.start + _SENDING * self.pace * (index + 1) / self.count

    def settled_at(self, index: int) -> float:
        return self.sent_at(index) + _SETTLING * self.pace + self.lag

    def read_at(self, index: int) -> float:
        return self.settled_at(index) + _READING * self.pace


class Attempted(NamedTuple):
    """One attempt of a plan: indices of the operation's sender and the recipient's address, the outcome."""

    sender: int
    address: int
    status: str
    code: int | None


class Plan(NamedTuple):
    """The plan of a message: its status behind each front, and its attempts."""

    stages: tuple[str, str, str]
    attempts: tuple[Attempted, ...]

    @property
    def unaddressable(self) -> bool:
        return not self.attempts

    def status(self, index: int, fronts: Fronts) -> str:
        """Find the status of a message that is sent; before that it is QUEUED in every plan."""
        if index >= fronts.settled:
            return self.stages[0]
        return self.stages[1] if index >= fronts.read else self.stages[2]

    def tally(self, members: Sequence[int], fronts: Fronts, into: dict[str, int]) -> int:
        """Count the statuses of the plan's members (indices, in order); returns the number of those sent."""
        sent, settled, read = (bisect_left(members, front) for front in fronts)
        for status, count in zip(self.stages, (sent - settled, settled - read, read), strict=True):
            into[status] = into.get(status, 0) + count
        return sent
