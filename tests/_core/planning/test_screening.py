"""Screening before a send, piece by piece."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.planning.plan import planned, spooled
from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours
from airflow_provider_twilio_comms._core.planning.screening import EXACT, Counts, Screening
from airflow_provider_twilio_comms._core.planning.texts import Text, renderer
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of
from airflow_provider_twilio_comms._core.recipients.phone_numbers import (
    Countries,
    all_e164,
    normalised,
    zones_of,
)
from airflow_provider_twilio_comms._core.recipients.reader import Reader, Reject
from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.exceptions import InvalidInput

NEW_YORK, LOS_ANGELES, BERLIN, TOLL_FREE = "+12125550101", "+13105550101", "+491711234567", "+18005550101"


@pytest.mark.parametrize(
    ("text", "count", "wide"),
    [
        ("", 1, False),
        ("a" * 160, 1, False),
        ("a" * 161, 2, False),
        ("a" * 306, 2, False),
        ("a" * 307, 3, False),
        ("{" * 80, 1, False),
        ("{" * 81, 2, False),
        ("a" * 152 + "{" * 5, 2, False),  # an escape is not cut in two: 152, then 10
        ("é" * 160, 1, False),
        ("ê" * 70, 1, True),
        ("ê" * 71, 2, True),
        ("ê" * 134, 2, True),
        ("ê" * 135, 3, True),
        ("😀" * 35, 1, True),
        ("😀" * 36, 2, True),
        ("😀" * 67, 3, True),  # 33 a segment: one half would be left over
    ],
)
def test_segments(text: str, count: int, wide: bool) -> None:
    assert segments(text) == (count, wide)


@pytest.mark.parametrize(
    ("text", "rendered", "costly"),
    [
        ("plain", "plain", False),
        ("100% of {{ name }}", "100% of Ines", False),
        ("{{ name }}{{ none }}|{{ none | default: 'you' }}", "Ines|you", False),
        ("{{ name | upcase }}", "INES", True),
        ("{% if name %}x{% else %}y{% endif %}", "x", True),
        ("{{ void | default: 'you' }}{{ name | default: none }}", "youInes", True),
        ("a {{- name -}} b", "aInesb", False),
    ],
)
def test_texts_are_what_liquid_makes_of_them(text: str, rendered: str, costly: bool) -> None:
    made = renderer({"text": text})
    assert made.render
    assert (made.render({"name": "Ines", "void": ""}), made.costly) == (rendered, costly)
    from liquid import Environment

    assert rendered == Environment().from_string(text).render(name="Ines", void="")


def test_content_without_a_text_of_its_own() -> None:
    assert renderer({"contentId": "HX"}) == Text(None)
    assert renderer({"text": "x", "media": [{"url": "u"}]}).media
    assert renderer({"modules": [{"rcs": {}}, {"sms": {"text": "x"}}]}).render
    template = renderer({}, "Hi {{1}}, {{ 2 }}").render
    assert template
    assert template({"1": "Ines"}) == "Hi Ines, "


def test_keys_are_a_set() -> None:
    numbers = [random.Random(1).randrange(1, 2**64) for _ in range(1)] + list(range(1, 20_000, 3))
    keys = NumberSet(numbers, slots=16)
    assert len(keys) == len(set(numbers))
    assert keys.add([4, 5, 5, 7]) == [0, 2, 3]
    assert keys.among([4, 6, 5]) == [0, 2]
    assert key_of(NEW_YORK) == 12125550101
    assert key_of("mem_profile_01") != key_of("mem_profile_02")
    assert key_of("p12125550101") != key_of(NEW_YORK)


@pytest.mark.parametrize("number", ["+4917", "+4420718387501234", "+99912345678", "+33123", "+3912"])
def test_what_no_country_has_is_impossible(number: str) -> None:
    assert not all_e164([number])
    assert normalised(number)[0] == ""


@pytest.mark.parametrize(
    ("given", "number"),
    [("+4407911123456", "+447911123456"), ("+390669812345", "+390669812345")],
)
def test_what_is_possible_is_read_as_its_country_writes_it(given: str, number: str) -> None:
    assert normalised(given) == (number, "")


def test_places() -> None:
    countries = Countries()
    assert [countries.of(number) for number in (NEW_YORK, "+14165550101", BERLIN, "+447700900123")] == [
        "US",
        "CA",
        "DE",
        "GB",
    ]
    assert countries.of("+77012345678") == "KZ"
    assert countries.of("+88312345678901") == "??"
    assert zones_of(NEW_YORK) == ("America/New_York",)
    assert zones_of(BERLIN) == zones_of("+33612345678")  # their clocks agree
    assert len(zones_of(TOLL_FREE)) > 5
    assert zones_of("+80012345678") == ("Etc/UTC",)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("number", "moment", "then"),
    [
        (NEW_YORK, "2027-01-15T20:00", "2027-01-15T20:00"),
        (NEW_YORK, "2027-01-16T02:00", "2027-01-16T13:00"),  # 21:00 there
        (NEW_YORK, "2027-01-16T12:59", "2027-01-16T13:00"),
        (NEW_YORK, "2027-01-16T13:00", "2027-01-16T13:00"),
        (LOS_ANGELES, "2027-01-16T13:00", "2027-01-16T16:00"),
        (NEW_YORK, "2027-03-14T04:00", "2027-03-14T12:00"),  # its clocks go forward that night
        (BERLIN, "2027-06-01T19:30", "2027-06-02T06:00"),
    ],
)
def test_quiet_hours_are_the_recipients_own(number: str, moment: str, then: str) -> None:
    hours = QuietHours.parse("21:00-08:00")
    assert hours.over(at(moment), zones_of(number)) == at(then)


def test_of_several_zones_the_strictest_counts() -> None:
    hours = QuietHours.parse("21:00-08:00")
    moment = hours.over(at("2027-01-16T02:00"), ("America/New_York", "America/Los_Angeles"))
    assert moment == at("2027-01-16T16:00")
    moment = hours.over(at("2027-01-16T13:30"), zones_of("+61491570156"))
    assert moment.hour == 21


def test_hours_that_leave_no_time_for_a_number() -> None:
    hours = QuietHours.parse("08:00-07:00")
    with pytest.raises(InvalidInput, match="it is always quiet in one of these"):
        hours.over(at("2027-01-15T20:00"), ("America/New_York", "Europe/Berlin"))


@pytest.mark.parametrize(
    "given", ["", "21:00", "21-25", "08:00-08:00", "21:00-08:00 Europe/Atlantis", ("a", "b"), 7]
)
def test_hours_that_are_none(given: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        QuietHours.parse(given)


def plan(rows: list[Any], screen: Screening, **kwargs: Any) -> tuple[list[list[str]], list[Reject]]:
    """The addresses of each chunk, and the rejects."""
    import msgspec

    rejects: list[Reject] = []
    with spooled() as spool:
        made = planned(rows, Reader(), spool, envelope=100, screening=screen, reject=rejects.append, **kwargs)
        chunks = [[one["address"] for one in msgspec.json.decode(made.to(chunk))] for chunk in made.chunks]
    return chunks, rejects


def people(*lasts: int) -> list[dict[str, str]]:
    return [{"phone": f"+1202555{last:04d}", "row": str(row)} for row, last in enumerate(lasts, 1)]


@pytest.mark.parametrize(
    ("rule", "rows", "left_out"),
    [("keep", [1, 2, 1, 3, 1], []), ("first", [1, 2, 3], [3, 5]), ("last", [2, 3, 1], [1, 3])],
)
def test_duplicates(rule: Any, rows: list[int], left_out: list[int]) -> None:
    chunks, rejects = plan(people(1, 2, 1, 3, 1), Screening(duplicates=rule))
    assert chunks == [[f"+1202555{last:04d}" for last in rows]]
    assert [reject.row for reject in rejects] == left_out
    assert {reject.reason for reject in rejects} <= {"duplicate"}


@pytest.mark.parametrize("rule", ["first", "last"])
def test_duplicates_over_many_batches(rule: Any) -> None:
    numbers = [random.Random(rule).randrange(900) for _ in range(3000)]
    chunks, rejects = plan(people(*numbers), Screening(duplicates=rule))
    assert len(chunks[0]) == len(set(numbers))
    assert len(rejects) == 3000 - len(set(numbers))
    order = numbers if rule == "first" else numbers[::-1]
    expected = list(dict.fromkeys(order))
    assert chunks[0] == [f"+1202555{n:04d}" for n in (expected if rule == "first" else expected[::-1])]


def test_everyone_left_out_has_one_reason() -> None:
    screen = Screening(
        duplicates="first",
        suppressed=NumberSet([key_of("+12025550002")]),
        allows=lambda address: address != "+12025550003",
    )
    chunks, rejects = plan([*people(1, 2, 3, 1, 2), "x"], screen, on_invalid="skip")
    assert chunks == [["+12025550001"]]
    assert [(reject.row, reject.reason) for reject in rejects] == [
        (6, "invalid"),
        (2, "suppressed"),
        (3, "not_allowed"),
        (4, "duplicate"),
        (5, "suppressed"),
    ]


def test_a_person_with_a_suppressed_address_is_suppressed() -> None:
    both = {"addresses": [{"address": f"+1202555000{n}", "channel": "PHONE"} for n in (1, 2)]}
    _, rejects = plan([both, people(3)[0]], Screening(suppressed=NumberSet([key_of("+12025550002")])))
    assert [reject.row for reject in rejects] == [1]


def test_chunks_by_time_zone_do_not_depend_on_the_clock() -> None:
    rows = [NEW_YORK, BERLIN, LOS_ANGELES, NEW_YORK[:-1] + "2", "+33612345678"]
    chunks, _ = plan(rows, Screening(by_zone=["quiet_hours"]))
    assert sorted(chunks) == sorted(
        [[NEW_YORK, NEW_YORK[:-1] + "2"], [BERLIN, "+33612345678"], [LOS_ANGELES]]
    )
    mixed = [rows[n % 5] for n in range(2000)]
    small, _ = plan(mixed, Screening(by_zone=["quiet_hours"]), at_most=300)
    assert sum(map(len, small)) == 2000
    assert all(len({zones_of(number) for number in chunk}) == 1 for chunk in small)


def test_many_costly_texts_are_sampled() -> None:
    counts = Counts(Text(lambda values: "x" * 161, costly=True))
    people_ = Reader().read([NEW_YORK] * 200, 1).recipients
    for _ in range(EXACT // 100):
        counts.add(people_)
    segments_ = counts.to_dict()["segments"]
    assert segments_["exact"] is False
    assert segments_["total"] == pytest.approx(4 * EXACT, rel=0.01)


def test_reading_ahead_hands_on_errors_and_stops_when_nobody_listens() -> None:
    from airflow_provider_twilio_comms._core.recipients.prefetch import prefetch

    closed: list[str] = []

    def items() -> Any:
        try:
            yield from range(1000)
            raise OSError("gone")
        finally:
            closed.append("closed")

    read = []
    with pytest.raises(OSError, match="gone"):
        read.extend(prefetch(items))
    listening = prefetch(items, depth=2)
    assert next(listening) == 0
    listening.close()  # type: ignore[attr-defined]
    assert closed == ["closed", "closed"]
