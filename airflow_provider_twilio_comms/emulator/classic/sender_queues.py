"""Queue and rate (MPS) of each sender: https://www.twilio.com/docs/messaging/guides/understanding-rate-limits

With the option ``sender_rates`` a sender sends so many segments a second, and what comes faster waits in its
queue, which holds ten hours' worth. A message beyond that is refused where its sender was named (21611), and
fails where a messaging service took it (30001). One that waits for longer than its validity period fails
(30036), and takes nothing of the rate.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["LENGTH", "Queue", "Queues", "segments_per_second"]

LENGTH = 36_000.0  # seconds that the last message in a full queue waits
_RATES = {"toll_free": 3.0, "short_code": 100.0, "alphanumeric": 10.0, "channel": 80.0}
_LONG_CODE = 1.0  # every other number
_OVERFLOW, _EXPIRED = Outcome("FAILED", 30001), Outcome("FAILED", 30036)


def segments_per_second(twilio: State, sender: str) -> float:
    """Find the rate of a sender, by its kind."""
    if ":" in sender:
        return _RATES["channel"]
    number = twilio.part(Inventory).at(sender)
    if number is not None:
        return _RATES.get(number.kind, _LONG_CODE)
    if sender.isdecimal():
        return _RATES["short_code"]
    return _LONG_CODE if sender.startswith("+") else _RATES["alphanumeric"]


class Queued(Protocol):
    """A message that waits in a queue, as far as its times depend on that."""

    from_: str
    start: float
    begin: float
    validity: float
    segments: int
    outcome: Outcome
    canceled_at: float | None
    queue: Queue | None


class Queue:
    """The queue of one sender. ``free_at`` is when everything in it has been sent.

    Scheduled messages join it when their time comes, in the order of their times.
    """

    def __init__(self, rate: float) -> None:
        self.rate: float = rate
        self.free_at: float = 0.0
        self._scheduled: list[tuple[float, int, Queued]] = []
        self._count: int = 0

    def wait(self, now: float) -> float:
        """Return the seconds for which a message that comes now would wait."""
        self.settle(now)
        return max(0.0, self.free_at - now)

    def add(self, message: Queued, now: float) -> None:
        """Add a message, at once or when it is scheduled."""
        self.settle(now)
        if message.start <= now:
            self._join(message)
            return
        message.queue = self
        self._count += 1
        heapq.heappush(self._scheduled, (message.start, self._count, message))

    def settle(self, now: float) -> None:
        """Let scheduled messages join whose time has come, except those that were canceled."""
        while self._scheduled and self._scheduled[0][0] <= now:
            _, _, message = heapq.heappop(self._scheduled)
            message.queue = None
            if message.canceled_at is None:
                self._join(message)

    def _join(self, message: Queued) -> None:
        wait = max(0.0, self.free_at - message.start)
        if wait > LENGTH:
            message.outcome = _OVERFLOW
        elif wait > message.validity:
            message.outcome, message.begin = _EXPIRED, message.start + message.validity
        else:
            message.begin = message.start + wait
            self.free_at = message.begin + message.segments / self.rate


class Queues:
    """The queues of all senders by address. Without ``sender_rates`` nothing waits in them."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._of: dict[str, Queue] = {}

    def of(self, sender: str) -> Queue:
        if sender not in self._of:
            self._of[sender] = Queue(segments_per_second(self._twilio, sender))
        return self._of[sender]

    def wait(self, sender: str) -> float:
        """Return the seconds for which a message from that sender would wait now."""
        return self.of(sender).wait(self._twilio.clock.now()) if self._twilio.options.sender_rates else 0.0

    def settle(self) -> None:
        """Let all scheduled messages join their queues whose time has come."""
        for queue in self._of.values():
            queue.settle(self._twilio.clock.now())

    def add(self, message: Queued) -> None:
        if self._twilio.options.sender_rates:
            self.of(message.from_).add(message, self._twilio.clock.now())
