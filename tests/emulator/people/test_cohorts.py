"""Cohorts of the emulator: criteria by a CEL library, snapshots in partitions, limits, and sends to them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.audiences import cohort_operations, cohort_snapshots, cohorts
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.api.memory import profiles
from airflow_provider_twilio_comms.emulator.memory.seed import Seed, seed
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError, RateLimited
from tests.emulator.people.conftest import Run

LISBON = 'profile.trait.Contact.city == "Lisbon"'


def person(number: int, city: str, **orders: Any) -> dict[str, dict[str, Any]]:
    return {
        "Contact": {"phone": f"+1202555{number:04d}", "city": city},
        **({"Orders": orders} if orders else {}),
    }


@pytest.fixture
def people(run: Run, store: str) -> list[str]:
    """Four people: two in Lisbon, one of them lapsed."""
    rows = [
        person(100, "Lisbon", lapsed=True, total=3),
        person(101, "Lisbon", lapsed=False),
        person(102, "Porto", lapsed=True, segment='say "hi"'),
        person(103, "Faro"),
    ]
    return [run(profiles.create(store, row)).id for row in rows]


def members(run: Run, store: str, criteria: str) -> list[str]:
    operation = run(cohort_snapshots.create(store_id=store, criteria=criteria))
    snapshot = run(cohort_operations.fetch(operation.operation_id)).cohort_snapshot_id
    return [member.profile_id for member in run(every_item(cohort_snapshots.list_profiles(snapshot)))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("criteria", "who"),
    [
        (LISBON, [0, 1]),
        (f"{LISBON} && profile.trait.Orders.lapsed == true", [0]),
        (f"{LISBON} || profile.trait.Orders.lapsed == true", [0, 1, 2]),
        (f"!({LISBON})", [2, 3]),
        ('profile.trait.Contact.city in ["Porto", "Faro"]', [2, 3]),
        ("has(profile.trait.Orders.lapsed)", [0, 1, 2]),
        ("profile.trait.Orders.total == 3", [0]),
        ('"+12025550103" in profile.address.phone', [3]),
        ("has(profile.address.whatsapp)", []),
        ("profile.trait.Orders.segment == 'say \"hi\"'", [2]),
    ],
)
def test_cohorts_hold_those_of_whom_the_criteria_are_true(
    run: Run, store: str, people: list[str], criteria: str, who: list[int]
) -> None:
    assert members(run, store, criteria) == [people[number] for number in who]


@pytest.mark.parametrize(
    "criteria",
    [
        "profile.trait.Contact.city ==",
        'profile.trait.Contact.shoe == "42"',
        'profile.trait.Shoes.size == "42"',
        '"a" in profile.trait.Orders.tags',
        'profile.name == "Ada"',
        'profile.address.pigeon == "x"',
        "profile.trait.Orders.total > 3",
        'profile.trait.Contact.city != "Lisbon"',
        'profile.trait.Contact.city.startsWith("L")',
        "profile.trait.Contact.city",
        '"a text"',
    ],
)
def test_cohorts_of_other_criteria_are_refused(run: Run, store: str, criteria: str) -> None:
    with pytest.raises(ApiError) as caught:
        run(cohorts.create("odd", store, criteria))
    assert caught.value.status == 400
    assert run(cohorts.list()).items == []


def test_cohorts_may_use_all_of_cel_if_told(
    emulator: Running, run: Run, store: str, people: list[str]
) -> None:
    emulator.twilio.change(whole_cel=True)
    assert members(run, store, "profile.trait.Orders.total > 2") == [people[0]]


def test_cohorts_change_only_as_they_were_read(run: Run, store: str) -> None:
    create = cohorts.create("a", store, LISBON, labels={"team": "crm", "x": "y"}, idempotency_key="k")
    cohort = run(create).cohort
    assert run(create).cohort.id == cohort.id
    with pytest.raises(ApiError, match="409"):
        run(cohorts.create("b", store, LISBON, idempotency_key="k"))
    etag = run(cohorts.fetch(cohort.id)).etag
    assert run(cohorts.fetch_if_changed(cohort.id, etag)) is None
    assert run(cohorts.update(cohort.id, labels={"x": None}, etag=etag)).status == "COMPLETED"
    changed = run(cohorts.fetch_if_changed(cohort.id, etag))
    assert changed.labels == {"team": "crm"}
    with pytest.raises(ApiError) as caught:
        run(cohorts.update(cohort.id, display_name="b", etag=etag))
    assert caught.value.status == 412
    assert [each.id for each in run(cohorts.list(labels={"team": "crm"}, store_id=store)).items] == [
        cohort.id
    ]
    assert run(cohorts.list(labels={"team": "ops"})).items == []
    run(cohorts.delete(cohort.id))
    with pytest.raises(ApiError, match="404"):
        run(cohorts.fetch(cohort.id))


def test_cohorts_snapshots_take_their_time_and_never_change(
    emulator: Running, run: Run, store: str, people: list[str]
) -> None:
    cohort = run(cohorts.create("a", store, LISBON)).cohort.id
    emulator.twilio.change(pace=9)
    operation = run(cohort_snapshots.create(cohort, labels={"run": "r1"}))
    statuses = []
    for _ in range(4):
        statuses.append(run(cohort_operations.fetch(operation.operation_id)).status)
        emulator.twilio.clock.advance(3)
    assert statuses == ["PENDING", "RUNNING", "RUNNING", "COMPLETED"]
    done = run(cohort_operations.fetch(operation.operation_id))
    run(profiles.create(store, person(104, "Lisbon")))
    snapshot = run(cohort_snapshots.fetch(done.cohort_snapshot_id))
    assert (snapshot.profile_count, done.profile_count, snapshot.partition_count) == (2, 2, 1)
    assert [each.id for each in run(cohort_snapshots.list(labels={"run": "r1"})).items] == [snapshot.id]
    run(cohort_snapshots.delete(snapshot.id))
    with pytest.raises(ApiError, match="404"):
        run(cohort_snapshots.list_profiles(snapshot.id))


def test_cohorts_snapshots_are_read_in_partitions(emulator: Running, run: Run) -> None:
    emulator.twilio.change(partition_size=100)
    store = seed(emulator.twilio, Seed(count=350)).id
    operation = run(cohort_snapshots.create(store_id=store, criteria="has(profile.address.phone)"))
    snapshot_id = run(cohort_operations.fetch(operation.operation_id)).cohort_snapshot_id
    snapshot = run(cohort_snapshots.fetch(snapshot_id))
    assert (snapshot.profile_count, snapshot.partition_count) == (350, 4)
    found: list[str] = []
    for partition in range(4):
        first = cohort_snapshots.list_profiles(snapshot_id, partition=partition, page_size=60)
        found += [member.profile_id for member in run(every_item(first))]  # type: ignore[arg-type]
    assert len(found) == len(set(found)) == 350
    for call in (
        cohort_snapshots.list_profiles(snapshot_id, partition=4),
        cohort_snapshots.list_profiles(snapshot_id, page_size=49),
    ):
        with pytest.raises(ApiError, match="400"):
            run(call)


def test_cohorts_snapshots_are_limited(emulator: Running, run: Run, store: str) -> None:
    emulator.twilio.change(cohort_limits=True)
    take = cohort_snapshots.create(store_id=store, criteria=LISBON)
    for _ in range(20):
        for _ in range(5):
            run(take)
        with pytest.raises(RateLimited) as caught:
            run(take)
        assert caught.value.detail in ("5 snapshots taken in 60 s", "100 snapshots taken in 86400 s")
        emulator.twilio.clock.advance(60)
    with pytest.raises(RateLimited) as caught:
        run(take)
    assert (caught.value.retry_after or 0) > 3600


HELLO = {"text": "Hi {{ name | default: 'you' }}"}
VARIABLES = {"name": "${Twilio.Profile.Contact.city}"}


def texts(run: Run, operation_id: str) -> list[tuple[Any, Any]]:
    rows = run(every_item(messages.list(operation_id=operation_id)))  # type: ignore[arg-type]
    return [(row.to[0]["profileId"], run(messages.fetch(row.id)).content["text"]) for row in rows]


def test_cohorts_are_sent_to_and_receipts_bear_the_profiles(run: Run, store: str, people: list[str]) -> None:
    cohort = run(cohorts.create("a", store, LISBON)).cohort.id
    operation = run(cohort_snapshots.create(cohort))
    snapshot = run(cohort_operations.fetch(operation.operation_id)).cohort_snapshot_id
    run(profiles.create(store, person(104, "Lisbon")))
    for recipient, count in (
        ({"cohortSnapshotId": snapshot}, 2),
        ({"cohortId": cohort}, 3),
        ({"profileId": people[3], "memoryStoreId": store}, 1),
    ):
        sent = run(messages.send([{**recipient, "variables": VARIABLES}], HELLO, sender="+15005550006"))
        assert run(operations.fetch(sent.operation_id)).stats.delivered == count
        said = texts(run, sent.operation_id)
        assert len(said) == count
        assert {text for _, text in said} == ({"Hi Faro"} if count == 1 else {"Hi Lisbon"})
        profile = said[0][0]
        assert len(run(messages.list(operation_id=sent.operation_id, profile=profile)).items) == 1


def test_cohorts_members_without_a_number_cannot_be_reached(run: Run, store: str) -> None:
    profile = run(profiles.create(store, {"Contact": {"email": "a@example.com"}})).id
    for each in (profile, profile[:-1] + "0"):
        sent = run(messages.send([{"profileId": each, "memoryStoreId": store}], HELLO))
        stats = run(operations.fetch(sent.operation_id)).stats
        assert (stats.unaddressable, stats.attempts) == (1, 0)


def test_cohorts_that_hold_nobody_are_sent_to_without_a_message(run: Run, store: str) -> None:
    cohort = run(cohorts.create("a", store, LISBON)).cohort.id
    sent = run(messages.send([{"cohortId": cohort}], HELLO))
    operation = run(operations.fetch(sent.operation_id))
    assert (operation.status, operation.stats.asked) == ("COMPLETED", 0)


def test_cohorts_that_are_not_there_are_refused(run: Run, store: str) -> None:
    cohort = run(cohorts.create("a", store, LISBON)).cohort.id
    run(cohorts.delete(cohort))
    for recipient in (
        {"cohortId": cohort},
        {"cohortSnapshotId": cohort.replace("cohort", "cohortsnapshot")},
        {"cohortId": cohort, "memoryStoreId": store},
    ):
        with pytest.raises(ApiError) as caught:
            run(messages.send(msgspec.Raw(msgspec.json.encode([recipient])), HELLO))
        assert caught.value.status == 400
