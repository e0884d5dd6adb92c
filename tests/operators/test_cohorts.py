"""Cohorts as declared, snapshots taken once, and the waits for both."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_twilio_comms.emulator.audiences.cohorts import Audiences
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.memory.seed import Seed, seed
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed, TransportFailed
from airflow_provider_twilio_comms.operators.cohorts import (
    TwilioCohortOperator,
    TwilioCohortSnapshotOperator,
)
from airflow_provider_twilio_comms.sensors.cohort_operations import TwilioCohortOperationSensor
from tests.fakes import MemoryStore, context
from tests.people import requests_of
from tests.triggers.conftest import fired

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

LISBON = 'profile.trait.Contact.city == "Lisbon"'
LAPSED = f"{LISBON} && profile.trait.Orders.lapsed == true"


@pytest.fixture
def store(emulator: Running) -> str:
    """300 people, 60 of whom are in Lisbon, and 20 of those lapsed."""
    return seed(emulator.twilio, Seed(count=300)).id


def declare(store: str, criteria: str = LISBON, state: Any = None, **kwargs: Any) -> dict[str, Any]:
    operator = TwilioCohortOperator(
        task_id="cohort", store_id=store, display_name="lapsed", criteria=criteria, **kwargs
    )
    return operator.execute(context(state or MemoryStore()))


def snapshot(state: MemoryStore | None = None, **kwargs: Any) -> dict[str, Any]:
    ti = kwargs.pop("ti", {})
    operator = TwilioCohortSnapshotOperator(task_id="group", poll_interval=0.1, **kwargs)
    return operator.execute(context(state or MemoryStore(), task_id="group", **ti))


def snapshots(emulator: Running) -> list[str]:
    return list(emulator.twilio.part(Audiences).snapshots)


def test_cohorts_are_declared_once_and_updated_where_they_differ(emulator: Running, store: str) -> None:
    first = declare(store, labels={"team": "crm"})
    assert first["change"] == "created"
    assert declare(store, labels={"team": "crm"}) == {**first, "change": "unchanged"}
    changed = declare(store, LAPSED, labels={"team": "crm"}, description="For the spring campaign")
    assert (changed["cohort_id"], changed["change"]) == (first["cohort_id"], "updated")
    assert declare(store, LAPSED, labels={"team": "crm"})["change"] == "unchanged"
    assert declare(store, LAPSED, labels={"team": "ops"})["change"] == "created"
    (cohort, _) = emulator.twilio.part(Audiences).cohorts.values()
    assert (cohort.criteria, cohort.description) == (LAPSED, "For the spring campaign")


def test_cohorts_are_created_once_though_the_reply_was_lost(emulator: Running, store: str) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="Cohorts"))
    assert declare(store)["change"] == "created"
    assert len(emulator.twilio.part(Audiences).cohorts) == 1


@pytest.mark.parametrize(
    ("criteria", "problem"),
    [
        ('profile.trait.Shoes.size == "42"', "the store has no trait group Shoes"),
        ('profile.trait.Contact.shoe == "42"', "there is no trait shoe in Contact"),
        ('profile.name == "Ada"', "is neither trait nor address"),
    ],
)
def test_cohorts_of_unknown_traits_are_refused_before_anything_is_sent(
    emulator: Running, store: str, criteria: str, problem: str
) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        declare(store, criteria)
    assert requests_of(emulator, "POST /audiences/preview/Cohorts") == 0


def test_cohorts_of_one_name_are_told_apart(emulator: Running, store: str) -> None:
    declare(store, labels={"a": "1"})
    declare(store, labels={"a": "2"})
    with pytest.raises(AirflowFailException, match="is that of 2 cohorts"):
        declare(store)


def test_snapshots_are_taken_and_checked_for_size(emulator: Running, store: str) -> None:
    cohort = declare(store)["cohort_id"]
    result = snapshot(cohort_id=cohort, min_profiles=60, max_profiles=60)
    assert result == {"cohort_snapshot_id": snapshots(emulator)[0], "profile_count": 60}
    for limit in ({"min_profiles": 61}, {"max_profiles": 59}):
        state = MemoryStore()
        for _ in range(2):
            with pytest.raises(AirflowFailException, match="the snapshot has 60 profiles"):
                snapshot(state, cohort_id=cohort, **limit)
    assert len(snapshots(emulator)) == 3


def test_snapshots_are_not_taken_again_by_a_retry_but_by_a_clear(emulator: Running, store: str) -> None:
    state = MemoryStore()
    first = snapshot(state, store_id=store, criteria=LISBON)
    assert snapshot(state, store_id=store, criteria=LISBON, ti={"try_number": 2}) == first
    assert len(snapshots(emulator)) == 1
    cleared = snapshot(state, store_id=store, criteria=LISBON, ti={"max_tries": 7, "try_number": 3})
    assert cleared["cohort_snapshot_id"] != first["cohort_snapshot_id"]


@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
def test_snapshots_whose_reply_was_lost_are_found_by_their_mark(
    emulator: Running, store: str, kind: Any
) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="CohortSnapshots"))
    assert snapshot(store_id=store, criteria=LISBON)["profile_count"] == 60
    assert len(snapshots(emulator)) == 1


@pytest.mark.parametrize("store_there", [True, False])
def test_snapshots_of_a_killed_worker_are_found_by_their_mark(
    emulator: Running, store: str, store_there: bool
) -> None:
    """The worker dies between the request and the note of its operation."""

    def refuse(key: str, value: Any) -> None:
        if isinstance(value, dict) and "operation_id" in value:
            raise OSError("killed")

    state = MemoryStore(refuse)
    with pytest.raises(OSError, match="killed"):
        snapshot(state, store_id=store, criteria=LISBON)
    later = MemoryStore()
    later.values = state.values
    operator = TwilioCohortSnapshotOperator(task_id="group", store_id=store, criteria=LISBON)
    result = operator.execute(context(later if store_there else None, try_number=2, task_id="group"))
    assert result["cohort_snapshot_id"] == snapshots(emulator)[0]
    assert len(snapshots(emulator)) == 1


def test_snapshots_beyond_the_limit_fail_and_are_taken_later(emulator: Running, store: str) -> None:
    emulator.twilio.faults.add(
        Fault(kind="rate_limited", path="CohortSnapshots", method="POST", retry_after=0.0)
    )
    assert snapshot(store_id=store, criteria=LISBON)["profile_count"] == 60
    assert len(snapshots(emulator)) == 1


def test_snapshots_write_their_profiles(
    emulator: Running, store: str, postgres: Postgres, tmp_path: Path
) -> None:
    emulator.twilio.change(partition_size=25)
    path = tmp_path / "members.jsonl"
    result = snapshot(store_id=store, criteria=LISBON, output_path=str(path))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert result["written"] == len({row["profile_id"] for row in rows}) == 60
    assert {row["cohort_snapshot_id"] for row in rows} == {result["cohort_snapshot_id"]}
    postgres.execute("DROP TABLE IF EXISTS members")
    place: dict[str, Any] = {"sql_conn_id": "bookings", "table": "members", "create_table": True}
    for _ in range(2):
        snapshot(store_id=store, criteria=LISBON, **place)
    assert postgres.execute("SELECT count(*) FROM members") == [(60,)]


def test_snapshots_are_waited_for_without_a_worker(emulator: Running, store: str) -> None:
    emulator.twilio.change(pace=600)
    operator = TwilioCohortSnapshotOperator(task_id="group", store_id=store, criteria=LISBON, deferrable=True)
    state = MemoryStore()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context(state, task_id="group"))
    arguments = deferred.value.trigger.serialize()[1]
    assert arguments["operation_ids"] == list(emulator.twilio.part(Audiences).operations)
    emulator.twilio.change(pace=0)
    emulator.twilio.clock.advance(600)
    assert operator.execute(context(state, try_number=2, task_id="group"))["profile_count"] == 60
    assert len(snapshots(emulator)) == 1


def test_snapshots_trigger_tells_the_end_in_one_event(emulator: Running, store: str) -> None:
    operator = TwilioCohortSnapshotOperator(task_id="group", store_id=store, criteria=LISBON)
    emulator.twilio.change(pace=600)
    operator.deferrable = True
    values = context(MemoryStore(), task_id="group")
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(values)
    emulator.twilio.clock.advance(600)
    trigger = deferred.value.trigger
    trigger.not_before = 0.0
    event = asyncio.run(fired(trigger))
    assert operator.execute_complete(values, event)["profile_count"] == 60


def test_snapshots_that_fail_say_why(emulator: Running, store: str) -> None:
    emulator.twilio.change(pace=600)
    state = MemoryStore()
    operator = TwilioCohortSnapshotOperator(task_id="group", store_id=store, criteria=LISBON, deferrable=True)
    with pytest.raises(TaskDeferred):
        operator.execute(context(state, task_id="group"))
    (operation,) = emulator.twilio.part(Audiences).operations.values()
    operation.error, operation.ends = {"title": "Failed", "detail": "the store is gone"}, operation.created
    with pytest.raises(AirflowFailException, match="FAILED: the store is gone"):
        operator.execute(context(state, try_number=2, task_id="group"))


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"cohort_id": "cmp_cohort_1", "store_id": "mem_store_1", "criteria": "true"},
        {"store_id": "mem_store_1"},
        {"cohort_id": "cmp_cohort_1", "table": "x"},
        {"cohort_id": "cmp_cohort_1", "output_path": "x.jsonl", "sql_conn_id": "y", "table": "x"},
    ],
)
def test_snapshots_of_bad_arguments_are_refused_when_the_dag_is_parsed(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        TwilioCohortSnapshotOperator(task_id="group", **kwargs)


def test_cohort_operations_can_be_waited_for(emulator: Running, store: str) -> None:
    first = declare(store)["cohort_id"]
    operation_id = declare(store, LAPSED)["operation_id"]
    assert first
    sensor = TwilioCohortOperationSensor(task_id="wait", operation_ids=operation_id, timeout=60)
    result = sensor.poke(context(MemoryStore()))
    assert result.is_done
    assert result.xcom_value == {
        "operation_ids": [operation_id],
        "status": "COMPLETED",
        "cohort_snapshot_ids": [],
        "profile_count": 0,
    }
    with pytest.raises(AirflowFailException, match="operation_ids"):
        TwilioCohortOperationSensor(task_id="wait", operation_ids="comms_operation_1").poke(context())


def test_cohorts_of_a_broken_twilio_are_for_a_later_try(emulator: Running, store: str) -> None:
    emulator.twilio.faults.add(Fault(kind="error_before", method="POST", path="CohortSnapshots"))
    with pytest.raises((ServerFailed, TransportFailed)):
        snapshot(store_id=store, criteria=LISBON)
    assert snapshots(emulator) == []
