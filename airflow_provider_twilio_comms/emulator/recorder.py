"""Recorders: the ledger, which tells what was sent twice or lost, and the journal of requests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

__all__ = ["Journal", "Ledger"]


class Ledger:
    """Counts of the recipients of every accepted request, whatever the outcome of the message, and even if
    the reply was lost. A person with several addresses counts under the first.
    """

    def __init__(self) -> None:
        self.recipients: Counter[str] = Counter()
        self.requests: int = 0
        self.messages: int = 0

    def accept(self, recipients: Iterable[str]) -> None:
        """Count an accepted request that sends."""
        before = self.messages
        for self.messages, recipient in enumerate(recipients, before + 1):
            self.recipients[recipient] += 1
        self.requests += 1

    def accept_uncounted(self, messages: int) -> None:
        """Count a request of the null sink, which keeps no addresses."""
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
    """Counts of requests by method and route, with the most recent ones, without bodies."""

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
