"""Local times on clocks that change, across the date line, and in open hours: three years of them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_twilio_comms._core.campaigns.local_time import (
    Holidays,
    LocalTime,
    OpenHours,
    instant,
    parse_windows,
)
from airflow_provider_twilio_comms._core.campaigns.sections import Section
from airflow_provider_twilio_comms._core.planning.plan import Chunk
from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours, Schedule
from airflow_provider_twilio_comms.exceptions import InvalidInput

NEW_YORK, BERLIN, TOKYO = "America/New_York", "Europe/Berlin", "Asia/Tokyo"
HONOLULU, KIRITIMATI, PAGO_PAGO = "Pacific/Honolulu", "Pacific/Kiritimati", "Pacific/Pago_Pago"
# Clocks that jump by an hour, by half an hour, at midnight, in the south; and one that never does.
ZONES = (NEW_YORK, BERLIN, "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Kolkata")
YEARS = (2026, 2027, 2028)
ALWAYS = OpenHours()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def local(text: str, base: str, *zones: str, hours: OpenHours = ALWAYS, **kwargs: str) -> datetime:
    return LocalTime.parse(text).moment(at(base), Section(zones), hours, **kwargs)  # type: ignore[arg-type]


def open_hours(window: str | list[str], quiet: str | None = None) -> OpenHours:
    return OpenHours(parse_windows(window), QuietHours.parse(quiet) if quiet else None)


def transitions(zone: str) -> list[tuple[datetime, timedelta]]:
    """The moments, of these years, at which a zone's clock is changed, and by how much."""
    there, found = ZoneInfo(zone), []
    moment = datetime(YEARS[0], 1, 1, tzinfo=timezone.utc)
    while moment.year <= YEARS[-1]:
        later = moment + timedelta(minutes=30)
        change = later.astimezone(there).utcoffset() - moment.astimezone(there).utcoffset()  # type: ignore
        if change:
            found.append((later, change))
        moment = later
    return found


@pytest.fixture(scope="module")
def changes() -> dict[str, list[tuple[datetime, timedelta]]]:
    return {zone: transitions(zone) for zone in ZONES}


class TestATimeOfDay:
    @pytest.mark.parametrize("zone", ZONES)
    def test_is_shown_by_the_clock_on_every_day(self, zone: str) -> None:
        day = date(YEARS[0], 1, 1)
        while day.year <= YEARS[-1]:
            shown = instant(day, time(9), zone).astimezone(ZoneInfo(zone))
            assert (shown.date(), shown.time()) == (day, time(9))
            day += timedelta(days=1)

    @pytest.mark.parametrize("zone", ZONES[:-1])
    def test_that_the_clock_skips_is_the_moment_of_the_jump(self, changes: object, zone: str) -> None:
        jumps = [(when, by) for when, by in transitions(zone) if by > timedelta()]
        assert len(jumps) == 3
        for when, by in jumps:
            before = (when - timedelta(seconds=1)).astimezone(ZoneInfo(zone)) + timedelta(seconds=1)
            skipped = (before + by / 2).replace(tzinfo=None)
            assert instant(skipped.date(), skipped.time(), zone) == when

    @pytest.mark.parametrize("zone", ZONES[:-1])
    def test_that_comes_twice_is_the_first(self, zone: str) -> None:
        backs = [(when, by) for when, by in transitions(zone) if by < timedelta()]
        assert len(backs) == 3
        for when, by in backs:
            again = (when + -by / 2).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            assert instant(again.date(), again.time(), zone) == when + by / 2

    @pytest.mark.parametrize(
        ("zone", "then"),
        [
            (KIRITIMATI, "2026-11-26T19:00"),  # where the 27th has begun: nine of it
            ("Pacific/Auckland", "2026-11-26T20:00"),  # eleven at night: nine of the 27th
            (TOKYO, "2026-11-27T00:00"),
            (BERLIN, "2026-11-27T08:00"),  # eleven: nine is over
            (NEW_YORK, "2026-11-26T14:00"),
            (HONOLULU, "2026-11-26T19:00"),  # midnight: nine of the 26th
            (PAGO_PAGO, "2026-11-26T20:00"),  # still the 25th, whose nine is over: nine of the 26th
        ],
    )
    def test_is_the_next_one_on_either_side_of_the_date_line(self, zone: str, then: str) -> None:
        assert local("09:00", "2026-11-26T10:00", zone) == at(then)

    @pytest.mark.parametrize("zone", [KIRITIMATI, TOKYO, BERLIN, HONOLULU, PAGO_PAGO])
    def test_of_a_day_is_on_that_day_everywhere(self, zone: str) -> None:
        moment = local("2026-12-01T09:00", "2026-11-26T10:00", zone)
        assert moment.astimezone(ZoneInfo(zone)).isoformat()[:16] == "2026-12-01T09:00"

    def test_is_the_latest_where_a_number_can_be_in_several_zones(self) -> None:
        assert local("09:00", "2026-11-26T06:00", NEW_YORK, HONOLULU) == at("2026-11-26T19:00")

    def test_that_is_over_now_means_at_once(self) -> None:
        base = "2026-11-26T10:00"
        assert local("09:00", base, BERLIN, if_passed="now") == at(base)
        assert local("09:00", base, NEW_YORK, if_passed="now") == at("2026-11-26T14:00")

    def test_is_on_the_next_open_day(self) -> None:
        weekdays = open_hours("Mon-Fri 08:00-18:00")
        assert local("09:00", "2026-11-27T10:00", BERLIN, hours=weekdays) == at("2026-11-30T08:00")

    def test_that_is_never_open_is_the_next_open_moment(self) -> None:
        local_time, windows = LocalTime.parse("20:00"), parse_windows("09:00-18:00")
        schedule = Schedule(at("2026-11-27T10:00"), local=local_time, windows=windows)
        due = schedule.at(Chunk(0, 1, "", (BERLIN,)), at("2026-11-27T09:00").timestamp())
        assert due == at("2026-11-28T08:00")

    @pytest.mark.parametrize("given", ["9", "9 o'clock", "2027-03-01", "09:00+01:00", "25:00", "", "soon"])
    def test_that_cannot_be_read_is_refused(self, given: str) -> None:
        with pytest.raises(InvalidInput, match="send_at_local: is not a time of day"):
            LocalTime.parse(given)


class TestAWindow:
    @pytest.mark.parametrize(
        ("window", "moment", "then"),
        [
            ("Mon-Fri 09:00-18:00", "2026-11-26T08:00", "2026-11-26T08:00"),
            ("Mon-Fri 09:00-18:00", "2026-11-26T07:59", "2026-11-26T08:00"),
            ("Mon-Fri 09:00-18:00", "2026-11-27T17:00", "2026-11-30T08:00"),
            ("Sat,Sun", "2026-11-26T08:00", "2026-11-27T23:00"),
            ("Fri-Mon 10:00-11:00", "2026-12-01T08:00", "2026-12-04T09:00"),
            ("09:00-18:00", "2026-11-28T20:00", "2026-11-29T08:00"),
            ("Fri 22:00-02:00", "2026-11-28T00:30", "2026-11-28T00:30"),
            ("Fri 22:00-02:00", "2026-11-28T01:00", "2026-12-04T21:00"),
        ],
    )
    def test_opens(self, window: str, moment: str, then: str) -> None:
        assert open_hours(window).next_open(at(moment), Section((BERLIN,))) == at(then)

    def test_may_be_one_of_several(self) -> None:
        hours = open_hours(["Mon-Fri 09:00-18:00", "Sat 10:00-12:00"])
        assert hours.next_open(at("2026-11-27T20:00"), Section((BERLIN,))) == at("2026-11-28T09:00")

    def test_and_quiet_hours_hold_both(self) -> None:
        hours = open_hours("06:00-22:00", quiet="21:00-08:00")
        assert hours.next_open(at("2026-11-26T20:30"), Section((BERLIN,))) == at("2026-11-27T07:00")

    def test_is_open_in_all_zones_of_a_number(self) -> None:
        hours = open_hours("Mon-Fri 09:00-18:00")
        where = Section((NEW_YORK, HONOLULU))
        assert hours.next_open(at("2026-11-26T15:00"), where) == at("2026-11-26T19:00")
        with pytest.raises(InvalidInput, match="for 36 days no moment is open in all of these"):
            hours.next_open(at("2026-11-26T15:00"), Section((TOKYO, NEW_YORK)))

    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize("window", ["09:00-18:00", "02:15-02:45", "00:30-01:30", "23:00-00:30", "Sun"])
    def test_is_kept_to_through_every_change_of_the_clock(
        self, changes: dict[str, list[tuple[datetime, timedelta]]], zone: str, window: str
    ) -> None:
        """Held against the clock itself, minute by minute around each change."""
        hours, where = open_hours(window), Section((zone,))
        around = changes[zone] or [(at("2027-03-28T01:00"), timedelta())]
        for when, _ in around:
            moments = [when + timedelta(minutes=10 * step) for step in range(-200, 200)]
            opened = [moment for moment in moments if hours.open_at(moment, where)]
            for moment in moments[:300]:
                then = hours.next_open(moment, where)
                assert then >= moment
                assert hours.open_at(then, where)
                first = next((each for each in opened if each >= moment), then)
                assert then <= first
                assert then == moment or not hours.open_at(then - timedelta(seconds=1), where)

    @pytest.mark.parametrize("given", ["", "Mon-Fri 9-18", "Monday to Friday", "Mon 09:00-09:00", "X", [], 5])
    def test_that_cannot_be_read_is_refused(self, given: object) -> None:
        with pytest.raises(InvalidInput, match="send_window:"):
            parse_windows(given)  # type: ignore[arg-type]


class TestOpenTime:
    def test_does_not_pass_while_it_is_closed(self) -> None:
        hours, where = open_hours("Mon-Fri 09:00-18:00"), Section((BERLIN,))
        assert hours.after(at("2026-11-27T16:00"), timedelta(hours=3), where) == at("2026-11-30T10:00")

    @pytest.mark.parametrize("zone", ZONES)
    def test_is_as_long_as_asked_for(
        self, changes: dict[str, list[tuple[datetime, timedelta]]], zone: str
    ) -> None:
        hours, where = open_hours("00:00-03:30"), Section((zone,))
        for when, _ in changes[zone]:
            start = when - timedelta(hours=30)
            end = hours.after(start, timedelta(hours=7), where)
            steps = range(int((end - start).total_seconds() // 60))
            minutes = (start + timedelta(minutes=step) for step in steps)
            assert sum(hours.open_at(moment, where) for moment in minutes) == 7 * 60


class TestHolidays:
    def test_are_closed_in_the_country_of_the_number(self) -> None:
        hours = OpenHours(holidays=Holidays())
        christmas = at("2026-12-25T10:00")
        assert hours.next_open(christmas, Section((NEW_YORK,), "US")) == at("2026-12-26T05:00")
        assert hours.next_open(christmas, Section((BERLIN,), "DE")) == at("2026-12-26T23:00")  # both days
        assert hours.next_open(christmas, Section((TOKYO,), "JP")) == christmas
        assert hours.next_open(christmas, Section((TOKYO,), "??")) == christmas

    def test_may_be_those_of_a_part_of_a_country(self) -> None:
        epiphany = at("2027-01-06T10:00")
        for country, then in (("DE", epiphany), ("DE-BY", at("2027-01-06T23:00"))):
            hours = OpenHours(holidays=Holidays(country))
            assert hours.next_open(epiphany, Section((BERLIN,), "")) == then

    def test_of_a_country_that_is_unknown_are_an_error(self) -> None:
        with pytest.raises(InvalidInput, match="holidays: 'XX' is unknown"):
            OpenHours(holidays=Holidays("XX")).next_open(at("2027-01-06T10:00"), Section((BERLIN,)))

    def test_move_a_local_time_to_the_next_day(self) -> None:
        hours = OpenHours(parse_windows("Mon-Fri 08:00-18:00"), holidays=Holidays())
        moment = LocalTime(time(9)).moment(at("2026-12-25T05:00"), Section((BERLIN,), "DE"), hours)
        assert moment == at("2026-12-28T08:00")


def test_a_part_whose_time_has_passed_goes_out_at_once_but_in_no_closed_hour() -> None:
    start = at("2026-11-26T12:00").timestamp()
    schedule = Schedule(None, QuietHours.parse("21:00-08:00"), start=start)
    part = Chunk(0, 1, "", (BERLIN,), after=3_600.0)
    assert schedule.at(part, start) == at("2026-11-26T13:00")
    assert schedule.at(part, start + 7_200) is None
    assert schedule.at(part, start + 9 * 3_600) == at("2026-11-27T07:00")


def test_what_is_too_near_to_be_scheduled_goes_out_a_little_later_in_open_hours() -> None:
    start = at("2026-11-26T12:00").timestamp()
    schedule = Schedule(None, ahead=timedelta(minutes=6), start=start, windows=parse_windows("09:00-13:03"))
    part = Chunk(0, 1, "", (BERLIN,), after=60.0)
    assert schedule.at(part, start) == at("2026-11-27T08:00")


def test_a_moment_that_was_given_and_is_over_does_not_wake_anybody() -> None:
    """A retry at night, of a message that was meant for the evening."""
    schedule = Schedule(at("2026-11-26T18:00"), QuietHours.parse("21:00-08:00"))
    part = Chunk(0, 1, "", (BERLIN,))
    assert schedule.at(part, at("2026-11-26T22:00").timestamp()) == at("2026-11-27T07:00")
    assert schedule.at(part, at("2026-11-26T19:00").timestamp()) is None


@pytest.mark.parametrize(
    ("text", "zone", "too_late"),
    [
        ("09:00", BERLIN, True),
        ("09:00", NEW_YORK, False),
        ("2026-11-26T09:00", KIRITIMATI, True),  # where it is the 27th
        ("2026-11-27T09:00", KIRITIMATI, False),
        ("2026-11-26T09:00", PAGO_PAGO, False),
    ],
)
def test_those_for_whom_it_is_too_late_are_known(text: str, zone: str, too_late: bool) -> None:
    start = at("2026-11-26T10:00").timestamp()
    schedule = Schedule(None, start=start, local=LocalTime.parse(text), if_passed="skip")
    assert schedule.passed(Section((zone,)), start + 50_000) is too_late


def test_a_window_that_is_over_for_the_day_is_too_late() -> None:
    for hour, too_late in ((16, False), (17, True)):
        start = at(f"2026-11-26T{hour}:00").timestamp()
        schedule = Schedule(None, start=start, windows=parse_windows("09:00-18:00"), if_passed="skip")
        assert schedule.passed(Section((BERLIN,)), start) is too_late
