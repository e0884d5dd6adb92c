"""Quiet hours, on the recipients' own clocks, and the time at which each part of a send goes out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_twilio_comms.exceptions import InvalidInput


class QuietHours(NamedTuple):
    """From ``start`` to ``end``, exclusive, on every day; over midnight where ``end`` is the earlier one.

    ``zone`` is the time zone of both; None is each recipient's own.
    """

    start: time
    end: time
    zone: str | None = None

    @classmethod
    def parse(cls, given: str) -> QuietHours:
        """Read ``"21:00-08:00"``, or ``"21:00-08:00 Europe/Lisbon"``. Raises :class:`InvalidInput`."""
        clock, _, zone = given.strip().partition(" ") if isinstance(given, str) else ("", "", "")
        zone = zone.strip()
        try:
            start, end = (time.fromisoformat(part) for part in re.split(r"[-\u2013]", clock))
            if zone:
                _zone(zone)
        except (ValueError, TypeError, KeyError, OSError):
            start = end = time()
        if start == end or start.tzinfo or end.tzinfo:
            fix = "Write them like '21:00-08:00' or '21:00-08:00 Europe/Lisbon'"
            raise InvalidInput.at("quiet_hours", f"{given!r} cannot be read", fix)
        return cls(start, end, zone or None)

    def over(self, moment: datetime, zones: Iterable[str]) -> datetime:
        """``moment``, or the first one after it that is quiet in none of the zones.

        Raises :class:`InvalidInput` where it is always quiet in one of them.
        """
        zones = (self.zone,) if self.zone else zones
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
        """The end of the quiet hours, if it is quiet at this moment."""
        local = moment.astimezone(_zone(zone))
        clock, day = local.time(), local.date()
        if self.start < self.end:
            if not self.start <= clock < self.end:
                return None
        elif self.end <= clock < self.start:
            return None
        elif clock >= self.start:
            day += timedelta(days=1)
        end = datetime.combine(day, self.end, _zone(zone))
        if end.astimezone(timezone.utc) <= moment:  # the clocks went back, and show this hour again
            end = end.replace(fold=1)
        return end.astimezone(timezone.utc)


@dataclass(frozen=True)
class Schedule:
    """The times at which a send goes out: at once, at ``send_at``, or at the end of each part's quiet hours.

    ``ahead`` is how long before a message Twilio has to know of it: whoever would be woken for less gets the
    message after that.
    """

    send_at: datetime | None = None
    quiet_hours: QuietHours | None = None
    ahead: timedelta = timedelta()

    def check(self, zones: Iterable[tuple[str, ...]], now: float) -> datetime | None:
        """The time at which the last part goes out; None is at once.

        Raises :class:`InvalidInput` where it is always quiet for somebody, before anything is sent.
        """
        return max(filter(None, (self.at(each, now) for each in set(zones))), default=None)

    def at(self, zones: tuple[str, ...], now: float) -> datetime | None:
        """The time at which a part goes out to recipients in these time zones; None is at once."""
        if self.quiet_hours is None:
            return self.send_at
        present = datetime.fromtimestamp(now, timezone.utc)
        moment = self.send_at or present
        later = self.quiet_hours.over(moment, zones)
        return max(later, present + self.ahead) if later > moment else self.send_at


@lru_cache(maxsize=500)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
