"""What the emulator took: the judge of "sent twice" and "lost", and a log of what was asked."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

__all__ = ["Journal", "Ledger"]


class Ledger:
    """Counts every recipient of every request that Twilio accepted, whatever became of the message, and
    whether or not its reply ever arrived. A person with several addresses counts under the first.
    """

    def __init__(self) -> None:
        self.recipients: Counter[str] = Counter()
        self.requests: int = 0
        self.messages: int = 0

    def accept(self, recipients: Iterable[str]) -> None:
        """Count one request that sends."""
        before = self.messages
        for self.messages, recipient in enumerate(recipients, before + 1):
            self.recipients[recipient] += 1
        self.requests += 1

    def accept_uncounted(self, messages: int) -> None:
        """Count a request of the null sink, which remembers nobody."""
        self.requests += 1
        self.messages += messages

    def to_dict(self, recipients: bool = True) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "messages": self.messages,
            "distinct": len(self.recipients),
            "twice": sum(1 for count in self.recipients.values() if count > 1),
            **({"recipients": dict(self.recipients)} if recipients else {}),
        }


class Journal:
    """Every request, counted by method and route, and the most recent ones, without bodies."""

    def __init__(self, keep: int = 2000) -> None:
        self.counts: Counter[str] = Counter()
        self.recent: deque[dict[str, Any]] = deque(maxlen=keep)

    def note(self, route: str, **entry: Any) -> None:
        self.counts[route] += 1
        self.recent.append(entry)

    def to_dict(self) -> dict[str, Any]:
        return {
            "total": sum(self.counts.values()),
            "counts": dict(self.counts),
            "recent": list(self.recent),
        }
