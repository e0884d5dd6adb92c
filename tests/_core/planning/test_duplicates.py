"""Rows that are wholly equal are sent once; those of one number that differ are all sent, and counted."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms._core.planning.limits import Limits
from airflow_provider_twilio_comms._core.planning.plan import Plan, planned, spooled
from airflow_provider_twilio_comms._core.planning.screening import Counts, Screening
from airflow_provider_twilio_comms._core.planning.texts import renderer
from airflow_provider_twilio_comms._core.recipients.reader import Reader, Reject
from airflow_provider_twilio_comms.exceptions import InvalidInput

US, DE, LOS_ANGELES = "+12125550101", "+491711234567", "+13105550101"
PROFILE = {"profileId": "mem_profile_01", "memoryStoreId": "mem_store_01"}
BOTH = {"addresses": [{"address": each, "channel": "PHONE"} for each in (US, DE)]}


def plan(rows: list[Any], screening: Screening, **kwargs: Any) -> tuple[Plan, list[list[Any]], list[Reject]]:
    """The plan, the recipients of each chunk as they are sent, and the rejects."""
    rejects: list[Reject] = []
    with spooled() as spool:
        made = planned(
            rows, Reader(), spool, envelope=100, screening=screening, reject=rejects.append, **kwargs
        )
        return made, [msgspec.json.decode(made.to(chunk)) for chunk in made.chunks], rejects


def row(number: str, name: str = "Ada") -> dict[str, str]:
    return {"phone": number, "name": name}


def sent(chunks: list[list[Any]]) -> list[tuple[str, str]]:
    return [(one["address"], one["variables"]["name"]) for chunk in chunks for one in chunk]


def test_equal_rows_are_sent_once_and_different_ones_all() -> None:
    screening = Screening(duplicates="equal")
    rows = [row(US), row(DE), row(US), row(US, "Eve"), {"name": "Ada", "phone": US}, row(US, "Eve")]
    made, chunks, rejects = plan(rows, screening)
    assert sent(chunks) == [(US, "Ada"), (DE, "Ada"), (US, "Eve")]
    assert [(reject.row, reject.reason, reject.given) for reject in rejects] == [
        (number, "duplicate", US) for number in (3, 5, 6)
    ]
    assert (made.reasons, screening.differing) == ({"duplicate": 3}, 1)
    assert "US" not in str(made.chunks)


def test_every_form_of_a_recipient_is_compared() -> None:
    also = {**PROFILE, "variables": {"name": "Ada"}}
    whatsapp = {"address": US, "channel": "WHATSAPP"}
    screening = Screening(duplicates="equal")
    _, chunks, rejects = plan([PROFILE, BOTH, whatsapp, PROFILE, also, US, BOTH, whatsapp, US], screening)
    assert len(chunks[0]) == 5
    assert [reject.row for reject in rejects] == [4, 7, 8, 9]
    assert screening.differing == 3  # the profile with a name; WhatsApp and PHONE beside the pair's first


def test_a_list_without_duplicates_is_planned_as_it_was() -> None:
    rows = [row(f"+1202555{last:04d}") for last in range(1000)]
    kept, _, _ = plan(rows, Screening(duplicates="keep"), at_most=300)
    equal, _, _ = plan(rows, Screening(duplicates="equal"), at_most=300)
    assert equal.chunks == kept.chunks


@pytest.mark.parametrize("by_zone", [False, True])
@pytest.mark.parametrize("at_most", [1, 7, 10_000])
def test_random_lists(by_zone: bool, at_most: int) -> None:
    chance = random.Random(f"{by_zone}{at_most}")
    numbers = [US, DE, LOS_ANGELES, *(f"+1202555{last:04d}" for last in range(200))]
    rows = [row(chance.choice(numbers), chance.choice("ab")) for _ in range(900)]
    expected = list(dict.fromkeys((each["phone"], each["name"]) for each in rows))
    screening = Screening(duplicates="equal", by_zone=["quiet_hours"] * by_zone)
    made, chunks, rejects = plan(rows, screening, at_most=at_most)
    assert sorted(sent(chunks)) == sorted(expected)
    assert by_zone or sent(chunks) == expected
    assert screening.differing == len(expected) - len({number for number, _ in expected})
    assert [chunk.number for chunk in made.chunks] == list(range(len(made.chunks)))
    assert [chunk.count for chunk in made.chunks] == [len(chunk) for chunk in chunks]
    assert all(chunk.count for chunk in made.chunks)
    seen: set[Any] = set()
    again = [n for n, each in enumerate(map(str, rows), 1) if each in seen or seen.add(each)]
    assert sorted(reject.row for reject in rejects) == again
    screened_again = Screening(duplicates="equal", by_zone=["quiet_hours"] * by_zone)
    assert plan(rows, screened_again, at_most=at_most)[0].chunks == made.chunks


def test_rows_that_are_left_out_before_keep_their_numbers() -> None:
    rows = ["12", row(US), "13", row(DE), row(US)]
    _, _, rejects = plan(rows, Screening(duplicates="equal"), on_invalid="skip")
    assert [(reject.row, reject.reason) for reject in rejects] == [
        (1, "invalid"),
        (3, "invalid"),
        (5, "duplicate"),
    ]


def test_what_is_not_sent_is_not_counted() -> None:
    text = renderer({"text": "Hello {{ name }}" + "." * 150})
    screening = Screening(duplicates="equal", counts=Counts(text))
    plan([row(US), row(DE, "Jørgen ✓"), row(US), row(DE, "Jørgen ✓")], screening)
    assert screening.counts
    once = Counts(text)
    once.add(Reader().read([row(US), row(DE, "Jørgen ✓")], 1).recipients)
    assert screening.counts.to_dict() == once.to_dict()


def test_a_limit_holds_for_those_who_are_sent() -> None:
    rows = [row(f"+1202555{last:04d}") for last in range(300)] * 3
    made, _, _ = plan(rows, Screening(duplicates="equal", limits=Limits(recipients=300)))
    assert made.recipients == 300


def test_a_long_list_is_not_read_to_its_end_to_learn_that_it_is_too_long() -> None:
    source = (row(f"+1202{last:07d}") for last in range(100_000))
    with pytest.raises(InvalidInput, match="and 299 is the limit"):
        plan(source, Screening(duplicates="equal", limits=Limits(recipients=299)))  # type: ignore[arg-type]
    assert next(source)
