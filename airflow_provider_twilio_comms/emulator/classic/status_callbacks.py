"""Status callbacks: the webhooks of messages that were sent with ``StatusCallback``, when they are due.

Nothing is posted here: a thread of the server takes what is due, signs it and posts it (``callbacks.py``).
At most ``MOST`` wait, and by default only addresses of this machine are called. None is posted for the status
that the reply to the send has said already.
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["LOOPBACK", "Due", "StatusCallbacks"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MOST = 10_000


class Due(NamedTuple):
    """A status that a message reached ``at`` a time; ``number`` keeps the order of equal times."""

    at: float
    number: int
    message: Message
    status: str

    @property
    def url(self) -> str:
        return self.message.status_callback or ""


class StatusCallbacks:
    """The callbacks that wait, and counts of those that are done with."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._waiting: list[Due] = []
        self._numbers = itertools.count()
        self.answered: int = 0
        self.failed: int = 0
        self.skipped: int = 0

    def to_dict(self) -> dict[str, int]:
        counts = {"answered": self.answered, "failed": self.failed, "skipped": self.skipped}
        return {"waiting": len(self._waiting), **counts}

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def expect(self, message: Message) -> None:
        """Note what a new message will have to report."""
        for at, status in message.stages():
            if status != message.initial:
                self._add(at, message, status)

    def cancel(self, message: Message) -> None:
        self._add(self._twilio.clock.now(), message, "canceled")

    def _add(self, at: float, message: Message, status: str) -> None:
        if not message.status_callback:
            return
        where, allowed = urlsplit(message.status_callback), self._twilio.options.status_callbacks
        local = where.hostname in LOOPBACK
        if allowed == "off" or (allowed == "loopback" and not local) or len(self._waiting) >= MOST:
            self.skipped += 1
            return
        heapq.heappush(self._waiting, Due(at, next(self._numbers), message, status))
        self._twilio.webhooks_wait.set()

    def take(self) -> Due | None:
        """Take the next callback that is due. A message that is deleted or canceled reports nothing else."""
        while self._waiting and self._waiting[0].at <= self._twilio.clock.now() + 1e-6:
            due = heapq.heappop(self._waiting)
            canceled = due.message.canceled_at is not None and due.status != "canceled"
            if due.message.sid in self._twilio.part(Messages).by_sid and not canceled:
                return due
        return None
