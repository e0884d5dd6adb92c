"""Quiet hours on clocks that change, and in zones whose clocks differ for a part of the year."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_twilio_comms._core.planning.plan import Chunk
from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours, Schedule
from airflow_provider_twilio_comms._core.recipients.phone_numbers import zones_of
from airflow_provider_twilio_comms.exceptions import InvalidInput

NEW_YORK = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("moment", "then"),
    [
        ("2026-11-01T05:10", "2026-11-01T05:30"),  # 01:10, before the clocks go back
        ("2026-11-01T05:40", "2026-11-01T05:40"),
        ("2026-11-01T06:10", "2026-11-01T06:30"),  # 01:10 once more
        ("2026-11-01T06:30", "2026-11-01T06:30"),
    ],
)
def test_the_hour_that_comes_twice_is_quiet_twice(moment: str, then: str) -> None:
    hours = QuietHours.parse("21:00-01:30")
    assert hours.over(at(moment), [NEW_YORK]) == at(then)


@pytest.mark.parametrize("quiet", ["21:00-01:30", "00:30-02:30", "22:00-03:00", "02:10-02:20"])
@pytest.mark.parametrize("zone", [NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo"])
def test_no_quiet_hours_end_before_they_are_asked_for(quiet: str, zone: str) -> None:
    hours = QuietHours.parse(quiet)
    for month in (3, 4, 10, 11):
        for quarter in range(0, 31 * 24 * 4, 1):
            moment = datetime(2026, month, 1, tzinfo=timezone.utc) + timedelta(minutes=15 * quarter)
            then = hours.over(moment, [zone])
            assert then >= moment
            assert hours.over(then, [zone]) == then


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+97221234567", "Asia/Jerusalem"),
        ("+9611123456", "Asia/Beirut"),
        ("+37322123456", "Europe/Chisinau"),
        ("+5371234567", "America/Havana"),
        ("+35891234567", "Europe/Helsinki"),
    ],
)
def test_a_number_has_the_clock_of_its_own_zone_all_year(number: str, zone: str) -> None:
    (taken,) = zones_of(number)
    hour = datetime(2026, 1, 1, tzinfo=timezone.utc)
    while hour.year < 2031:
        assert hour.astimezone(ZoneInfo(taken)).utcoffset() == hour.astimezone(ZoneInfo(zone)).utcoffset()
        hour += timedelta(hours=1)


def part(number: str) -> Chunk:
    return Chunk(0, 1, "", zones_of(number))


def test_all_zones_are_checked_before_anything_is_sent() -> None:
    schedule = Schedule(None, QuietHours.parse("19:00-11:00"))
    now = at("2026-11-25T12:00").timestamp()
    schedule.check([part("+27821234567")], now)
    with pytest.raises(InvalidInput, match="it is always quiet in one of these"):
        schedule.check([part("+27821234567"), part("+18005550101")], now)
