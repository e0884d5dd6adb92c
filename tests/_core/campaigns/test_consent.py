"""Consent and the guard of a plan, without Airflow: order does not matter, and nobody is lost in counting."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from airflow_provider_twilio_comms._core.campaigns.consent import Words, event, moment_of, opted_out, refuses
from airflow_provider_twilio_comms._core.campaigns.guard import CampaignGuard, Person
from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.sending.ledger import Entry

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
PEOPLE = [f"+1202555010{n}" for n in range(6)]


class Refusals:
    """A consent table: who refuses now, and what was noted."""

    def __init__(self, *numbers: str) -> None:
        self.now, self.noted = set(numbers), Counter[tuple[str, int]]()

    def refused(self, numbers: Sequence[str]) -> set[str]:
        return self.now & set(numbers)

    def add(self, number: str, code: int) -> None:
        self.noted[number, code] += 1


def planned() -> Plan:
    body = msgspec.json.encode([{"address": number, "channel": "PHONE"} for number in PEOPLE])[1:-1]
    return Plan([Chunk(0, len(PEOPLE), "fingerprint")], rows=6, read=lambda chunk: body)


def guarded(refusals: Refusals, plan: Plan, **begun: Entry) -> CampaignGuard:
    guard = CampaignGuard(refusals, None, claiming=True, when=lambda zones: 0.0)
    guard.screen(plan, begun, lambda reject: None, lambda person: None)
    return guard


def test_the_newest_event_counts_in_whatever_order_they_come() -> None:
    hours = [("a", "stop", 1), ("a", "start", 3), ("a", "stop", 2), ("b", "start", 1), ("b", "stop", 1)]
    told = [(person, kind, NOON + timedelta(hours=hour)) for person, kind, hour in hours]
    assert all(opted_out(some) == {"b"} for some in itertools.permutations(told))


def test_the_same_event_has_the_same_name() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9))).replace(microsecond=5)
    assert event("stop", "a", NOON, "inbound") == event("stop", "a", elsewhere, "inbound")
    others = [
        event("start", "a", NOON, "inbound"),
        event("stop", "b", NOON, "inbound"),
        event("stop", "a", NOON, "receipt", 21610),
    ]
    assert len({each.event_id for each in others}) == 3


@pytest.mark.parametrize("given", ["2026-11-01T12:00:00Z", "2026-11-01 12:00:00", NOON.timestamp(), NOON])
def test_times_are_read_as_databases_write_them(given: object) -> None:
    assert moment_of(given) == NOON


def test_words_are_whole_texts() -> None:
    words = Words({"stop": ["Basta"]})
    assert [words.kind_of(text) for text in ("STOP", "Stop.", " arrêté", "BASTA!", "unstop")] == [
        "stop",
        "stop",
        "stop",
        "stop",
        "start",
    ]
    assert [words.kind_of(text) for text in ("", None, "stop it", "stopping")] == [None] * 4


def test_codes_that_refuse() -> None:
    assert refuses(21610)
    assert not any(map(refuses, (None, 30003, 21211)))


def test_a_batch_that_goes_out_in_two_steps_counts_everybody_once() -> None:
    refusals, plan = Refusals(PEOPLE[0]), planned()
    guard = guarded(refusals, plan)
    assert (plan.recipients, plan.left_out()) == (5, {"opted_out": 1})
    people = {place: Person(number) for place, number in enumerate(PEOPLE)}
    refusals.now.add(PEOPLE[1])
    assert guard.admit(0, people) == {0: "opted_out", 1: "opted_out"}
    refusals.now.add(PEOPLE[5])
    assert guard.admit(0, {5: people[5]}) == {5: "opted_out"}
    assert (plan.recipients, plan.rejected) == (3, 3)


def test_a_batch_that_was_sent_in_part_keeps_who_was_left_out_of_it() -> None:
    places = ["SM" + "0" * 32, "-", "", "", "", ""]
    refusals, plan = Refusals(PEOPLE[0], PEOPLE[2]), planned()
    guard = guarded(refusals, plan, fingerprint=Entry("sending", "fingerprint", 6, messages=places))
    assert plan.recipients == 5, "who was texted before they refused is one of them"
    guard.admit(0, {place: Person(PEOPLE[place]) for place in range(2, 6)})
    assert (plan.recipients, plan.left_out()) == (4, {"left_out": 1, "opted_out": 1})


def test_an_opt_out_that_twilio_tells_is_noted_once() -> None:
    refusals, plan = Refusals(), planned()
    guard = guarded(refusals, plan)
    for _ in range(2):
        guard.refused(0, {0: Person(PEOPLE[0]), 1: Person(PEOPLE[1])}, ["21610", "21211"])
    assert refusals.noted == {(PEOPLE[0], 21610): 1}
