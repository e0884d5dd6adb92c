"""Random campaigns: whatever is asked for, nobody is texted in closed hours, and every try plans the same.

Lists, hours, moments and paces are random; what comes out is held against each number's own clocks, read
from the tables of time zones and not from the package.
"""

from __future__ import annotations

import os
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import phonenumbers
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from phonenumbers.timezone import time_zones_for_geographical_number

from airflow_provider_twilio_comms._core.campaigns.ladder import RUNGS, Ladder
from airflow_provider_twilio_comms._core.campaigns.local_time import LocalTime, Window, parse_windows
from airflow_provider_twilio_comms._core.campaigns.variants import Assignment, Split
from airflow_provider_twilio_comms._core.planning.plan import Plan, planned, spooled
from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours, Schedule
from airflow_provider_twilio_comms._core.planning.screening import Screening
from airflow_provider_twilio_comms._core.recipients.reader import Reader
from airflow_provider_twilio_comms.exceptions import InvalidInput, NoRecipients

EXAMPLES = int(os.environ.get("TWILIO_PROPERTY_EXAMPLES", "0")) or 25
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# One zone each, several zones, both sides of the date line, half hours, clocks that never change.
PREFIXES = (
    *("+1202555", "+1808555", "+1907555", "+4930123", "+4420712", "+91981234", "+6421123", "+6129123"),
    *("+1684733", "+6867301", "+56221234", "+20100123", "+97150123", "+1416555", "+1800555"),
)
numbers = st.builds(lambda prefix, rest: f"{prefix}{rest:04d}", st.sampled_from(PREFIXES), st.integers(0, 60))
people = st.lists(numbers, min_size=1, max_size=40, unique=True)
quarters = st.integers(0, 95).map(lambda quarter: divmod(15 * quarter, 60))
clocks = quarters.map(lambda clock: f"{clock[0]:02d}:{clock[1]:02d}")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 1), timezones=st.just(timezone.utc))
windows = st.builds(
    lambda first, last, start, end: f"{DAYS[first]}-{DAYS[last]} {start}-{end}",
    *(st.integers(0, 6), st.integers(0, 6), clocks, clocks),
)


@st.composite
def schedules(draw: Any) -> Schedule:
    """Hours in which messages may go out, and a time of day."""
    quiet, window, local = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    start, end = draw(clocks), draw(clocks)
    given_window = draw(windows)
    try:
        return Schedule(
            draw(st.none() | moments),
            QuietHours.parse(f"{start}-{end}") if quiet else None,
            draw(st.sampled_from([timedelta(), timedelta(minutes=6)])),
            start=draw(moments).timestamp(),
            local=LocalTime.parse(draw(clocks)) if local else None,
            windows=parse_windows(given_window) if window else (),
        )
    except InvalidInput:
        assume(False)  # hours that begin when they end
        raise


often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES == 25,
    phases=(Phase.generate,),
)
ladders = st.builds(
    Ladder,
    st.none() | st.integers(60, 20 * 3600).map(lambda seconds: timedelta(seconds=seconds)),
    st.none() | st.floats(0.001, 5),
)


def plan(rows: list[str], schedule: Schedule, ladder: Ladder, split: Split | None = None) -> tuple[Plan, Any]:
    """A plan, and who is in each chunk."""
    screening = Screening(
        by_zone=["quiet_hours"] if schedule.by_zone else (), assignment=Assignment(split) if split else None
    )
    with spooled() as spool:
        made = planned(rows, Reader(), spool, envelope=0, at_most=7, screening=screening, ladder=ladder)
        inside = [[each["address"] for each in msgspec.json.decode(made.to(chunk))] for chunk in made.chunks]
    return made, inside


def clocks_of(number: str, moment: datetime) -> list[datetime]:
    zones = time_zones_for_geographical_number(phonenumbers.parse(number)) or ("Etc/UTC",)
    known = [zone if zone != "Etc/Unknown" else "Etc/UTC" for zone in zones]
    return [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for zone in known]


def is_quiet(quiet: QuietHours, clock: time) -> bool:
    if quiet.start < quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def in_window(window: Window, local: datetime) -> bool:
    """Tell whether a moment is in the window that began on this day or on the one before."""

    def within(day: date) -> bool:
        start = datetime.combine(day, window.start)
        end = datetime.combine(day + timedelta(days=window.end <= window.start), window.end)
        return day.weekday() in window.days and start <= local < end

    return within(local.date()) or within(local.date() - timedelta(days=1))


@often
@given(rows=people, schedule=schedules(), ladder=ladders, late=st.integers(0, 40 * 3600))
def test_nobody_is_texted_in_quiet_hours_or_outside_a_window(
    rows: list[str], schedule: Schedule, ladder: Ladder, late: int
) -> None:
    """Neither by the first try nor by one that is so many seconds late."""
    assert schedule.start is not None
    made, inside = plan(rows, schedule, ladder)
    assert sorted(number for each in inside for number in each) == sorted(rows)
    sections = len({chunk.section for chunk in made.chunks})
    assert len(made.chunks) <= RUNGS + sections
    for now in (schedule.start, schedule.start + late):
        present = datetime.fromtimestamp(now, timezone.utc)
        for chunk, numbers in zip(made.chunks, inside, strict=True):
            try:
                due = schedule.at(chunk, now)
            except InvalidInput:  # it is always closed for them, so nothing is sent to anybody
                assert schedule.hours
                return
            moment = due or present
            assert moment >= present
            assert due is None or due >= present + schedule.ahead
            for local in (clock for number in numbers for clock in clocks_of(number, moment)):
                assert not (schedule.quiet_hours and is_quiet(schedule.quiet_hours, local.time()))
                assert not schedule.windows or any(in_window(window, local) for window in schedule.windows)


@often
@given(rows=people, schedule=schedules(), ladder=ladders, late=st.integers(1, 40 * 3600))
def test_a_later_try_plans_the_same_moments(
    rows: list[str], schedule: Schedule, ladder: Ladder, late: int
) -> None:
    """Those that are still to come are the same; those that are over are at once, or the next open ones."""
    assert schedule.start is not None
    first, _ = plan(rows, schedule, ladder)
    again, _ = plan(rows, schedule, Ladder(ladder.spread_over, ladder.per_second, first.at_most))
    assert [(each.fingerprint, each.after) for each in again.chunks] == [
        (each.fingerprint, each.after) for each in first.chunks
    ]
    now = schedule.start + late
    later = datetime.fromtimestamp(now, timezone.utc)
    try:
        before = [schedule.at(chunk, schedule.start) for chunk in first.chunks]
        after = [schedule.at(chunk, now) for chunk in first.chunks]
    except InvalidInput:
        return
    for was, due, chunk in zip(before, after, first.chunks, strict=True):
        if was is not None and was >= later + schedule.ahead:
            assert due == was
        elif due is not None:
            assert due == schedule.hours.next_open(due, chunk)


@often
@given(
    rows=people,
    more=people,
    weights=st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 10), min_size=1),
    holdout=st.floats(0, 0.5),
    schedule=schedules(),
    ladder=ladders,
    chance=st.randoms(use_true_random=False),
)
def test_people_have_one_variant_on_every_try_and_with_edited_lists(
    rows: list[str],
    more: list[str],
    weights: dict[str, float],
    holdout: float,
    schedule: Schedule,
    ladder: Ladder,
    chance: Any,
) -> None:
    edited = list(dict.fromkeys([*rows, *more]))
    chance.shuffle(edited)
    split, known = Split("spring", weights, holdout), dict[str, str]()
    for listed in (rows, rows, edited, edited[::2]):
        try:
            made, inside = plan(listed, schedule, ladder, split)
        except NoRecipients:
            continue
        found = {
            number: chunk.variant for chunk, each in zip(made.chunks, inside, strict=True) for number in each
        }
        assert len(found) + made.held_out == len(listed)
        assert sum(made.variants.values()) == len(found)
        held_out = set(listed) - set(found)
        assert not held_out & known.keys()
        assert all(known.get(number, variant) == variant for number, variant in found.items())
        known.update(found)
