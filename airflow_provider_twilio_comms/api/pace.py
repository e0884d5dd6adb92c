"""Pace (rate limit) of requests that are made together: so many a second, and fewer where Twilio says 429.

Pure: whoever carries the requests out says what time it is, in seconds of any clock that only goes forward.
"""

from __future__ import annotations

import math

__all__ = ["Pace"]

BURST = 0.1  # seconds by which a start may be late without the next ones being put off
SLOWEST = 0.2  # a second: however often Twilio says 429, it is asked again every five seconds
CALM = 1.0  # seconds after a 429 in which others do not count: they were begun before the pace was cut
RECOVERY = 0.1  # share of the pace that comes back in each second without a 429


class Pace:
    """The pace of requests: tells when the next one may begin.

    ``per_second`` is the most (None: as fast as they are answered). A 429 halves the pace, and keeps to its
    Retry-After; it recovers by a tenth a second. What counts as one is for the caller to weigh: a message, or
    its segments.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._most = per_second or math.inf
        self._rate = self._most
        self._next = -math.inf
        self._calm = -math.inf
        self._changed = 0.0
        self._counted_from, self._counted, self._seen = 0.0, 0.0, 0.0

    @property
    def per_second(self) -> float:
        """The pace now; infinite where nothing limits it."""
        return self._rate

    def delay(self, time: float) -> float:
        """Seconds until the next one may begin; 0 for at once."""
        return max(0.0, self._next - time)

    def begin(self, weight: float, time: float) -> None:
        """Count one that begins now."""
        if time - self._counted_from >= 1.0:
            self._seen = self._counted / max(1.0, time - self._counted_from)
            self._counted_from, self._counted = time, 0.0
        self._counted += weight
        if self._rate < self._most:
            self._rate = min(self._most, self._rate * (1 + RECOVERY * max(0.0, time - self._changed)))
            self._changed = time
        if self._rate != math.inf:
            self._next = max(self._next, time - BURST) + weight / self._rate

    def throttled(self, retry_after: float | None, time: float) -> None:
        """Go slower: Twilio said 429, and perhaps for how long."""
        self._next = max(self._next, time + (retry_after or 0.0))
        if time < self._calm:
            return
        self._calm = time + max(CALM, retry_after or 0.0)
        now = self._rate if self._rate != math.inf else max(self._seen, self._counted)
        self._rate, self._changed = max(SLOWEST, now / 2), time + (retry_after or 0.0)
