"""Local time: the moments at which a message may go out by the recipients' own clocks.

Clocks jump and are put back, and dates differ across the date line, so whatever is asked of a clock is
answered by the clock that a person would look at: a moment is open if that clock shows a time that is
allowed. A time that a clock skips is the moment of the jump; of a time that it shows twice, the first one
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from airflow_provider_twilio_comms._core.campaigns.sections import Placed
from airflow_provider_twilio_comms.exceptions import InvalidInput

IfPassed = Literal["tomorrow", "now", "skip"]
AHEAD = timedelta(days=36)  # farther than Twilio schedules
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITE = "Write it like 'Mon-Fri 09:00-18:00', 'Sat 10:00-14:00', 'Mon-Fri' or '09:00-18:00'"


class Quiet(Protocol):
    """Hours of every day that are closed, in one time zone or, with None, in each recipient's own."""

    @property
    def start(self) -> time: ...

    @property
    def end(self) -> time: ...

    @property
    def zone(self) -> str | None: ...


class Window(NamedTuple):
    """Open from ``start`` to ``end``, exclusive, on these weekdays (0 is Monday).

    Where ``end`` is not the later one, it is that of the next day; a whole day is from midnight to midnight.
    """

    days: frozenset[int]
    start: time = time()
    end: time = time()

    @classmethod
    def parse(cls, given: str) -> Window:
        """Read ``"Mon-Fri 09:00-18:00"``, ``"Mon,Wed"``, ``"09:00-18:00"``. Raises :class:`InvalidInput`."""
        parts = given.split() if isinstance(given, str) else []
        hours = parts.pop() if parts and ":" in parts[-1] else "00:00-24:00"
        try:
            start, end = (_clock(each) for each in re.split(r"[-\u2013]", hours))
            days = frozenset(_days(parts[0])) if parts else frozenset(range(7))
            if not given.strip() or len(parts) > 1 or (start == end != time()):
                raise ValueError
        except (ValueError, AttributeError):
            raise InvalidInput.at("send_window", f"{given!r} cannot be read", _WRITE) from None
        return cls(days, start, end)

    def covers(self, day: date, clock: time, closed: Iterable[date]) -> bool:
        """Tell whether it is open on a day, and at a time of it; ``closed`` are days like holidays."""
        if self.start < self.end:
            return self.start <= clock < self.end and self._on(day, closed)
        return (clock >= self.start and self._on(day, closed)) or (
            clock < self.end and self._on(day - _DAY, closed)
        )

    def _on(self, day: date, closed: Iterable[date]) -> bool:
        return day.weekday() in self.days and day not in closed


def parse_windows(given: str | Sequence[str]) -> tuple[Window, ...]:
    """Read one window or several, of which any may be open. Raises :class:`InvalidInput`."""
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, Sequence) or not listed:
        raise InvalidInput.at("send_window", f"{given!r} is not a window", _WRITE)
    return tuple(Window.parse(each) for each in listed)


def _clock(text: str) -> time:
    return time() if text == "24:00" else time.fromisoformat(text)


def _days(text: str) -> Iterator[int]:
    for part in text.lower().split(","):
        first, _, last = (name.strip()[:3] for name in part.partition("-"))
        begin, end = _NAMES.index(first), _NAMES.index(last or first)
        yield from range(begin, (end if end >= begin else end + 7) + 1)


class Holidays(NamedTuple):
    """Public holidays of one country (``DE``, or a part of it, ``DE-BY``), or with None of each number's."""

    country: str | None = None

    def of(self, country: str, year: int) -> frozenset[date]:
        """The holidays of a year. A country of which none are known has none, unless the author named it.

        Raises :class:`InvalidInput` where the package ``holidays`` is not installed.
        """
        return _holidays(self.country or country, year, self.country is not None)


@lru_cache(maxsize=1_000)
def _holidays(country: str, year: int, named: bool) -> frozenset[date]:
    try:
        import holidays
    except ImportError:
        fix = "Install airflow-provider-twilio-comms[holidays], or leave the argument out"
        raise InvalidInput.at("holidays", "the package holidays is not installed", fix) from None
    code, _, part = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(code, subdiv=part or None, years=year))
    except NotImplementedError:
        if named:
            fix = "Use a code of the package holidays, such as 'DE' or 'DE-BY'"
            raise InvalidInput.at("holidays", f"{country!r} is unknown", fix) from None
        return frozenset()


class _Rule(NamedTuple):
    """A time zone, and whether quiet hours and windows hold on its clock."""

    zone: str
    quiet: bool
    windows: bool = True


@dataclass(frozen=True)
class OpenHours:
    """The hours in which messages may go out: in one of the windows, on no holiday, and not in quiet hours.

    Where people can be in several time zones, a moment is open if it is open in all of them.
    """

    windows: tuple[Window, ...] = ()
    quiet: Quiet | None = None
    holidays: Holidays | None = None

    def __bool__(self) -> bool:
        return bool(self.windows or self.quiet or self.holidays)

    @property
    def by_zone(self) -> bool:
        """Tell whether a recipient's own clock matters."""
        own = self.quiet is not None and self.quiet.zone is None
        return bool(self.windows or self.holidays) or own

    def open_at(self, moment: datetime, where: Placed) -> bool:
        """Tell whether it is open at a moment."""
        return all(self._open(moment, rule, where.country) for rule in self._rules(where))

    def next_open(self, moment: datetime, where: Placed) -> datetime:
        """``moment``, or the first one after it that is open.

        Raises :class:`InvalidInput` where none is for as long as Twilio schedules.
        """
        rules, found, latest = self._rules(where), moment, moment + AHEAD
        while found <= latest:
            opened = [self._opens(found, rule, where.country, latest) for rule in rules]
            later = max(opened, default=found)
            if later == found:
                return found
            found = later
        named = ", ".join(rule.zone for rule in rules)
        if not (self.windows or self.holidays):
            raise InvalidInput.at(
                "quiet_hours",
                f"some numbers can be in {named}, and it is always quiet in one of these",
                "Shorten the quiet hours, or suppress numbers without a place",
            )
        raise InvalidInput.at(
            "send_window",
            f"some numbers can be in {named}, and for {AHEAD.days} days no moment is open in all of these",
            "Widen send_window, give time_zone_column, or suppress numbers without a place",
        )

    def after(self, moment: datetime, length: timedelta, where: Placed) -> datetime:
        """The moment at which it has been open for ``length`` since ``moment``: closed hours do not count."""
        found = self.next_open(moment, where)
        latest = found + AHEAD  # which is refused anyway
        while length and found < latest:
            closes = self._closes(found, found + length, where)
            if closes is None:
                return found + length
            length -= closes - found
            found = self.next_open(closes, where)
        return found

    def _closes(self, moment: datetime, end: datetime, where: Placed) -> datetime | None:
        """The first closed moment until ``end``, inclusive."""
        rules, found = self._rules(where), moment
        while rules:
            found = min(self._changes_after(found, rule.zone) for rule in rules)
            if found > end:
                return None
            if not self.open_at(found, where):
                return found
        return None

    def _rules(self, where: Placed) -> list[_Rule]:
        quiet = self.quiet
        zone = quiet.zone if quiet is not None else None
        found = [_Rule(each, quiet is not None and zone is None) for each in where.zones if self.by_zone]
        return [*found, _Rule(zone, True, False)] if zone else found

    def _open(self, moment: datetime, rule: _Rule, country: str) -> bool:
        local = moment.astimezone(zone_of(rule.zone))
        clock, day, quiet = local.time(), local.date(), self.quiet
        if quiet is not None and rule.quiet:
            if quiet.start < quiet.end:
                closed = quiet.start <= clock < quiet.end
            else:
                closed = not quiet.end <= clock < quiet.start
            if closed:
                return False
        if not (rule.windows and (self.windows or self.holidays)):
            return True
        off: frozenset[date] = frozenset()
        if self.holidays is not None:
            off = self.holidays.of(country, day.year) | self.holidays.of(country, (day - _DAY).year)
        return any(window.covers(day, clock, off) for window in self.windows or (_ALWAYS,))

    def _opens(self, moment: datetime, rule: _Rule, country: str, latest: datetime) -> datetime:
        found = moment
        while found <= latest and not self._open(found, rule, country):
            found = self._changes_after(found, rule.zone)
        return found

    def _changes_after(self, moment: datetime, zone: str) -> datetime:
        """The first moment after this one at which it may open or close."""
        day = moment.astimezone(zone_of(zone)).date()
        clocks = self._clocks()
        for later in range(3):  # today's may be over, and a day may be skipped at the date line
            for change in _changes(clocks, zone, day + later * _DAY):
                if change > moment:
                    return change
        return moment + _DAY

    def _clocks(self) -> tuple[time, ...]:
        found = {time()} if self.windows or self.holidays else set()
        for hours in (*self.windows, *([self.quiet] if self.quiet else ())):
            found |= {hours.start, hours.end}
        return tuple(sorted(found))


_ALWAYS = Window(frozenset(range(7)))


@lru_cache(maxsize=20_000)
def _changes(clocks: tuple[time, ...], zone: str, day: date) -> tuple[datetime, ...]:
    """The moments of a local day at which its clock shows one of these times, or is changed."""
    found = set()
    for clock in clocks:
        found.add(instant(day, clock, zone))
        again = datetime.combine(day, clock, zone_of(zone)).replace(fold=1).astimezone(timezone.utc)
        if again.astimezone(zone_of(zone)).time() == clock:
            found.add(again)
    start, end = instant(day, time(), zone), instant(day + _DAY, time(), zone)
    jump = _jump(start - _SECOND, end, zone_of(zone))
    return tuple(sorted(found | ({jump} if jump else set())))


def instant(day: date, clock: time, zone: str) -> datetime:
    """The moment, in UTC, at which a clock in the zone shows this time on this day for the first time.

    Of a time that the clock skips it is the moment of the jump; of a day that is skipped, the moment after
    it.
    """
    there = zone_of(zone)
    local = datetime.combine(day, clock.replace(fold=0), there)
    moment = local.astimezone(timezone.utc)
    if moment.astimezone(there).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    before = local.replace(fold=1).astimezone(timezone.utc)
    return _jump(before, moment, there) or moment


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The first moment after a change of the clock between these two; None if there is none."""
    offset: Any = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return None
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


class LocalTime(NamedTuple):
    """A time on the recipients' clocks: on ``day``, or on the one that it is there when the send begins."""

    clock: time
    day: date | None = None

    @classmethod
    def parse(cls, given: str) -> LocalTime:
        """Read ``"09:00"`` or ``"2027-03-01T09:00"``. Raises :class:`InvalidInput`."""
        text = given.strip() if isinstance(given, str) else ""
        try:
            if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
                return cls(time.fromisoformat(text))
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is not None or len(text) <= len("2027-03-01"):
            fix = "Write it like '09:00' or '2027-03-01T09:00', without an offset: everybody has their own"
            raise InvalidInput.at("send_at_local", "is not a time of day", fix)
        return cls(moment.time(), moment.date())

    def moment(
        self, base: datetime, where: Placed, hours: OpenHours, if_passed: IfPassed = "tomorrow"
    ) -> datetime:
        """The moment for people in these zones, of a send that begins at ``base``; ``now`` is then.

        It is the first one from ``base`` on that is open; where none is, since the time itself is closed
        every day, the first one, from which the caller looks for the next open moment. Where people can be
        in several zones it is the latest of what it would be in each, so that it is too early in none.
        """
        zones = where.zones or ("UTC",)
        days = {zone: self.day or _today(base, zone) for zone in zones}
        if self._on(days) < base and if_passed == "now":
            return base
        for zone, day in days.items():
            day = max(day, _today(base, zone))
            days[zone] = day if instant(day, self.clock, zone) >= base else day + _DAY
        first = self._on(days)
        for later in range(AHEAD.days):
            moment = self._on({zone: day + later * _DAY for zone, day in days.items()})
            if hours.open_at(moment, where):
                return moment
        return first

    def _on(self, days: Mapping[str, date]) -> datetime:
        return max(instant(day, self.clock, zone) for zone, day in days.items())


def is_later_day(moment: datetime, base: datetime, day: date | None, zones: Sequence[str]) -> bool:
    """Tell whether a moment is on a later day than people in these zones were meant to get a message."""
    return any(_today(moment, zone) > (day or _today(base, zone)) for zone in zones)


def _today(moment: datetime, zone: str) -> date:
    return moment.astimezone(zone_of(zone)).date()


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; raises ``ValueError`` or ``KeyError`` for what is none."""
    return ZoneInfo(name)
