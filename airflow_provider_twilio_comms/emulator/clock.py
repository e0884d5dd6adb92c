"""The emulator's clock, its only source of time."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone

__all__ = ["Clock", "iso", "moment_of", "rfc2822"]

_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|z|[+-]\d\d:\d\d)?")


class Clock:
    """Seconds since 1970: the real time, or, from a ``start``, one that stands still until advanced."""

    def __init__(self, start: float | None = None) -> None:
        self._start = start
        self._ahead = 0.0

    def now(self) -> float:
        return (time.time() if self._start is None else self._start) + self._ahead

    def advance(self, seconds: float) -> float:
        """Advance the clock at once; returns the new time. It cannot go back."""
        if seconds < 0:
            raise ValueError("the clock can only go forward")
        self._ahead += seconds
        return self.now()


def iso(moment: float) -> str:
    """Format a time like ``2026-10-01T17:00:00.123Z``, as the JSON APIs do."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def rfc2822(moment: float) -> str:
    """Format a time like ``Thu, 24 Aug 2023 05:01:45 +0000``, as 2010-04-01 does."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%a, %d %b %Y %H:%M:%S +0000")


def moment_of(text: str, zoned: bool = False) -> float | None:
    """Read an RFC 3339 time, in UTC if it has no offset; None if it is none, or ``zoned`` and without one."""
    match = _RFC_3339.fullmatch(text)
    if match is None or (zoned and not match[4]):
        return None
    offset = match[4] if match[4] and match[4] not in "Zz" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{match[1]}{match[2] or ':00'}{offset}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).timestamp() + float(match[3] or 0)
