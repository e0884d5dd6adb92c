"""Quiet hours, on the recipients' own clocks, and the time at which each part of a send goes out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, timezone
from functools import cached_property
from typing import NamedTuple, Protocol

from airflow_provider_twilio_comms._core.campaigns.local_time import (
    Holidays,
    IfPassed,
    LocalTime,
    OpenHours,
    Window,
    is_later_day,
    zone_of,
)
from airflow_provider_twilio_comms._core.campaigns.sections import Placed, Section
from airflow_provider_twilio_comms.exceptions import InvalidInput


class Timed(Placed, Protocol):
    """A part of a send, ``after`` so many seconds of open hours since its beginning."""

    @property
    def after(self) -> float: ...


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
                zone_of(zone)
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
        return OpenHours(quiet=self).next_open(moment, Section(tuple(zones)))


@dataclass(frozen=True)
class Schedule:
    """The times at which a send goes out, part by part.

    The send begins at ``send_at``, or where that is None at ``start`` (seconds since 1970): when the first
    try began, so that every try computes the same. A part goes out at the ``local`` time of its recipients,
    and the length of its rung later, in the hours that are open to them; ``if_passed`` says what to do where
    that is over for the day. ``ahead`` is how long before a message Twilio has to know of it: what is nearer
    goes out after that.
    """

    send_at: datetime | None = None
    quiet_hours: QuietHours | None = None
    ahead: timedelta = timedelta()
    start: float | None = None
    local: LocalTime | None = None
    windows: tuple[Window, ...] = ()
    holidays: Holidays | None = None
    if_passed: IfPassed = "tomorrow"

    @cached_property
    def hours(self) -> OpenHours:
        """The hours in which it may go out."""
        return OpenHours(self.windows, self.quiet_hours, self.holidays)

    @property
    def by_zone(self) -> bool:
        """Tell whether recipients in different time zones get it at different times."""
        return self.local is not None or self.hours.by_zone

    def check(self, parts: Iterable[Timed], now: float) -> datetime | None:
        """The time at which the last part goes out; None is at once.

        Raises :class:`InvalidInput` where it is always closed for somebody, before anything is sent.
        """
        each = {(part.zones, part.country, part.after): part for part in parts}
        return max(filter(None, (self.at(part, now) for part in each.values())), default=None)

    def at(self, part: Timed, now: float) -> datetime | None:
        """The time at which a part goes out; None is at once, since its time has come or is over."""
        if self.start is None and not (self.hours or self.local or part.after):
            return self.send_at
        present = datetime.fromtimestamp(now, timezone.utc)
        due = self.hours.after(self.base(part, now), timedelta(seconds=part.after), part)
        for _ in range(2):
            due = max(due, present + self.ahead) if due > present else present
            due = self.hours.next_open(due, part)
        return None if due <= present else due

    def base(self, where: Placed, now: float) -> datetime:
        """The time of the first part to such recipients, whatever hours are open then."""
        start = now if self.start is None else self.start
        moment = self.send_at or datetime.fromtimestamp(start, timezone.utc)
        if self.local is None:
            return moment
        return self.local.moment(moment, where, self.hours, self.if_passed)

    def passed(self, where: Placed, now: float) -> bool:
        """Tell whether it is too late for such recipients, where the author wants them left out then."""
        if self.if_passed != "skip":
            return False
        begin = replace(self, local=None).base(where, now)
        moment = self.hours.next_open(self.base(where, now), where)
        return is_later_day(moment, begin, self.local.day if self.local else None, where.zones)
