"""Quiet hours, on the clocks of those who would be woken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["QuietHours"]


class QuietHours(NamedTuple):
    """From ``start`` to ``end``, exclusive, on every day; over midnight where ``end`` is the earlier one."""

    start: time
    end: time

    @classmethod
    def read(cls, given: str | Sequence[str | time] | None) -> QuietHours | None:
        """From ``"21:00-08:00"`` or ``("21:00", "08:00")``. Raises :class:`InvalidInput`."""
        if given is None:
            return None
        parts = re.split(r"\s*[-\u2013]\s*", given.strip()) if isinstance(given, str) else list(given)
        try:
            start, end = (part if isinstance(part, time) else time.fromisoformat(part) for part in parts)
        except (ValueError, TypeError):
            start = end = time()
        if start == end or start.tzinfo or end.tzinfo:
            raise InvalidInput.at("quiet_hours", f"{given!r} are none", "Write them like '21:00-08:00'")
        return cls(start, end)

    def over(self, moment: datetime, zones: Iterable[str]) -> datetime:
        """``moment``, or the first one after it that is quiet in none of the zones.

        Raises :class:`InvalidInput` where it is always quiet in one of them.
        """
        latest = moment + timedelta(days=3)
        found = moment
        while found <= latest:
            ends = [self._end(found, zone) for zone in zones]
            later = max((end for end in ends if end), default=None)
            if later is None:
                return found
            found = later
        raise InvalidInput.at(
            "quiet_hours",
            f"some numbers can be in {', '.join(zones)}, and it is always quiet in one of these",
            "Shorten the quiet hours, or suppress numbers without a place",
        )

    def _end(self, moment: datetime, zone: str) -> datetime | None:
        """When the quiet ends, where it is quiet at this moment."""
        local = moment.astimezone(_zone(zone))
        clock, day = local.time(), local.date()
        if self.start < self.end:
            if not self.start <= clock < self.end:
                return None
        elif self.end <= clock < self.start:
            return None
        elif clock >= self.start:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, _zone(zone)).astimezone(timezone.utc)


@lru_cache(maxsize=500)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
