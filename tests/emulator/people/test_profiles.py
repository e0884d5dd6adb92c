"""Stored people of the emulator: merged by identifier, written later, limited, and never too forgiving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.api.memory import identifiers, profiles, stores, trait_groups
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError, ProfileMerged, RateLimited
from tests.emulator.people.conftest import Run

PHONE, MAIL = "+14155552671", "ada@example.com"


def contact(**traits: Any) -> dict[str, dict[str, Any]]:
    return {"Contact": traits}


def test_people_with_the_same_number_are_one(run: Run, store: str) -> None:
    first = run(profiles.create(store, contact(phone=PHONE, firstName="Ada"))).id
    again = run(profiles.create(store, contact(phone="(415) 555-2671", city="Lisbon"))).id
    assert first == again
    traits = run(profiles.fetch(store, first)).traits["Contact"]
    assert (traits["firstName"], traits["city"]) == ("Ada", "Lisbon")
    found = run(profiles.lookup(store, "phone", "415 555 2671"))
    assert (found.normalized_value, found.profiles) == (PHONE, (first,))


def test_people_who_turn_out_to_be_one_are_merged(run: Run, store: str) -> None:
    first = run(profiles.create(store, contact(phone=PHONE, firstName="Ada"))).id
    second = run(profiles.create(store, contact(email=MAIL, city="Porto"))).id
    run(profiles.update_bulk(store, [contact(phone=PHONE, email="ADA@example.com")]))
    kept = run(profiles.fetch(store, first))
    assert (kept.traits["Contact"]["city"], kept.id) == ("Porto", first)
    for call, status in (
        (profiles.fetch(store, second), 301),
        (profiles.update(store, second, contact(city="Faro")), 308),
        (identifiers.list(store, second), 301),
    ):
        with pytest.raises(ProfileMerged) as caught:
            run(call)
        assert (caught.value.profile_id, caught.value.status) == (first, status)
    assert run(profiles.list(store)).items == [first]


def test_people_can_be_read_only_after_a_while(emulator: Running, run: Run, store: str) -> None:
    emulator.twilio.change(profiles_after=5)
    profile = run(profiles.create(store, contact(phone=PHONE, firstName="Ada"))).id
    run(profiles.update_bulk(store, [contact(phone="+12025550100")]))
    assert "firstName" not in run(profiles.fetch(store, profile)).traits["Contact"]
    assert len(run(profiles.list(store)).items) == 1
    emulator.twilio.clock.advance(5)
    assert run(profiles.fetch(store, profile)).traits["Contact"]["firstName"] == "Ada"
    assert len(run(profiles.list(store)).items) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda store: profiles.create(store, contact(firstName="Ada")),
        lambda store: profiles.create(store, contact(phone="12")),
        lambda store: profiles.create(store, contact(phone=PHONE, shoeSize=42)),
        lambda store: profiles.create(store, {"Shoes": {"size": 42}, **contact(phone=PHONE)}),
        lambda store: profiles.update_bulk(store, [contact(phone=PHONE), contact(phone=5)]),
        lambda store: profiles.create(store, {"Orders": {"total": "many"}, **contact(phone=PHONE)}),
        lambda store: profiles.create(store, {"Orders": {"lapsed": 1}, **contact(phone=PHONE)}),
        lambda store: profiles.create(store, contact(phone=PHONE, city="x" * 1025)),
        lambda store: profiles.lookup(store, "passport", "1"),
        lambda store: trait_groups.create(store, "Orders"),
        lambda store: trait_groups.delete(store, "Contact"),
        lambda store: stores.create("shop"),
    ],
)
def test_people_of_bad_input_are_refused(run: Run, store: str, call: Callable[[str], Any]) -> None:
    with pytest.raises(ApiError) as caught:
        run(call(store))
    assert caught.value.status in (400, 409)
    assert run(profiles.list(store)).items == []


def test_people_in_a_bulk_without_an_identifier_are_dropped_without_a_word(run: Run, store: str) -> None:
    run(profiles.update_bulk(store, [contact(firstName="Ada"), contact(phone="0"), contact(phone=PHONE)]))
    assert len(run(profiles.list(store)).items) == 1


def test_people_beyond_the_limit_of_a_second_come_too_soon(emulator: Running, run: Run, store: str) -> None:
    emulator.twilio.change(profiles_per_second=2)
    for _ in range(2):
        run(profiles.list(store))
    with pytest.raises(RateLimited) as caught:
        run(profiles.list(store))
    assert caught.value.retry_after == 1
    emulator.twilio.clock.advance(1)
    run(profiles.list(store))


def test_people_are_seeded_on_demand(emulator: Running, run: Run) -> None:
    answer = requests.post(f"{emulator.url}/_emulator/people", json={"count": 120}, timeout=5)
    page = run(profiles.list(answer.json()["storeId"], page_size=100))
    assert page.next is not None
    assert len(page.items) + len(run(page.next).items) == 120
