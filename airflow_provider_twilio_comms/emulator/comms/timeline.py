"""How an operation's messages move with time: by fronts that pass over them in order.

Of a pace of ten seconds, the sending front passes over all messages in the first six, the front of receipts
follows three behind it, that of read receipts one more behind. What a message is at any moment depends on
nothing but its place and the fronts, so nothing has to be kept or moved, and a count is a bisection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Attempted", "Fronts", "Plan", "Timeline"]

_SENDING, _SETTLING, _READING = 0.6, 0.3, 0.1  # parts of the pace


class Fronts(NamedTuple):
    """How many messages, from the first, are sent, have their receipt, have been read by now."""

    sent: int
    settled: int
    read: int


@dataclass(slots=True)
class Timeline:
    """``lag`` is the time by which receipts come late; ``canceled_at`` stops the sending."""

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
    """One attempt of a plan: which of the operation's senders, which address of the recipient, the end."""

    sender: int
    address: int
    status: str
    code: int | None


class Plan(NamedTuple):
    """What is in store for a message: its status behind each front, and its attempts."""

    stages: tuple[str, str, str]
    attempts: tuple[Attempted, ...]

    @property
    def unaddressable(self) -> bool:
        return not self.attempts

    def status(self, index: int, fronts: Fronts) -> str:
        """Once it is sent: before, it is QUEUED whatever the plan."""
        if index >= fronts.settled:
            return self.stages[0]
        return self.stages[1] if index >= fronts.read else self.stages[2]

    def tally(self, members: Sequence[int], fronts: Fronts, into: dict[str, int]) -> int:
        """Add the statuses of the plan's members (indices, in order); returns how many are sent."""
        sent, settled, read = (bisect_left(members, front) for front in fronts)
        for status, count in zip(self.stages, (sent - settled, settled - read, read), strict=True):
            into[status] = into.get(status, 0) + count
        return sent
