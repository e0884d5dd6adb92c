"""Stretches of time, from a moment up to but without another, and their names in files and notes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["Interval"]

_STAMP = "%Y%m%dT%H%M%SZ"
_ZERO = (
    "Since Airflow 3 a cron schedule has no data interval of its own: use CronDataIntervalTimetable (or set "
    "[scheduler] create_cron_data_intervals), or give interval_start and interval_end"
)


@dataclass(frozen=True, order=True)
class Interval:
    """From ``start`` up to ``end``, both in UTC and whole seconds."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: Any, end: Any) -> Interval:
        """From datetimes, or what templates make of them. Raises :class:`InvalidInput`."""
        moments = [_moment("interval_start", start), _moment("interval_end", end)]
        if moments[0] == moments[1]:
            raise InvalidInput.at("interval_end", "is interval_start: there is nothing between them", _ZERO)
        if moments[0] > moments[1]:
            raise InvalidInput.at("interval_end", "is before interval_start", "Swap them")
        return cls(*moments)

    @classmethod
    def named(cls, name: str) -> Interval | None:
        """The interval of a name, if it is one."""
        found = re.fullmatch(r"(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)", name)
        if not found:
            return None
        start, end = (datetime.strptime(text, _STAMP).replace(tzinfo=timezone.utc) for text in found.groups())
        return cls(start, end)

    @property
    def name(self) -> str:
        """``20260301T000000Z_20260302T000000Z``."""
        return f"{self.start.strftime(_STAMP)}_{self.end.strftime(_STAMP)}"

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last UTC day that it touches."""
        return self.start.date(), (self.end - timedelta(microseconds=1)).date()

    @property
    def whole_days(self) -> bool:
        """Whether it begins and ends at midnight, UTC."""
        return self.start.time() == self.end.time() == time()

    def holds(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment < self.end

    def overlaps(self, other: Interval) -> bool:
        return self.start < other.end and other.start < self.end

    def from_before(self, before: timedelta) -> Interval:
        """The same, begun so much earlier."""
        return Interval(self.start - before, self.end)


def _moment(field: str, given: Any) -> datetime:
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(_text(given))
    except ValueError:
        raise InvalidInput.at(
            field,
            "is no date or time",
            "Give one in ISO 8601. A run without a data interval, as one started by hand, has none to take",
        ) from None
    if moment.tzinfo is None:
        raise InvalidInput.at(field, "has no time zone", "Give its offset, such as +00:00")
    return datetime.fromtimestamp(int(moment.timestamp()), timezone.utc)


def _text(given: Any) -> str:
    """A date alone is its midnight, UTC."""
    text = str(given).strip().replace("Z", "+00:00")
    return f"{text}T00:00:00+00:00" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text
