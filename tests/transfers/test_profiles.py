"""Reverse ETL: rows of tables and files become profiles, changed ones only, and a killed load goes on."""

from __future__ import annotations

import csv
import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.memory.store import Memory
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio_profiles import (
    ObjectStorageToTwilioProfilesOperator,
)
from airflow_provider_twilio_comms.transfers.sql_to_twilio_profiles import SqlToTwilioProfilesOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.people import a_store, numbers, profiles, requests_of

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

ROWS = (
    "SELECT n AS id, '+1202' || lpad(n::text, 7, '0') AS phone, 'Person ' || n AS name, n % 3 = 0 AS lapsed "
    "FROM generate_series(2000001, {}) n"
)
TRAITS = {"phone": "Contact.phone", "name": "Contact.firstName", "lapsed": "Orders.lapsed"}
BULK, CITIES = "/Profiles/Bulk", {"phone": "Contact.phone", "city": "Contact.city"}


def load(store: str, sql: str, state: MemoryStore | None = None, **kwargs: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"traits": TRAITS, "sql_conn_id": "bookings", **kwargs}
    operator = SqlToTwilioProfilesOperator(task_id="load", store_id=store, sql=sql, **values)
    return operator.execute(context(state or MemoryStore()))


def load_file(store: str, path: Path, state: MemoryStore | None = None, **kwargs: Any) -> dict[str, Any]:
    operator = ObjectStorageToTwilioProfilesOperator(
        task_id="load", store_id=store, path=str(path), traits=CITIES, **kwargs
    )
    return operator.execute(context(state or MemoryStore()))


def once(emulator: Running) -> AbstractContextManager[None]:
    """The connection of a client that makes each request once."""
    return environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1))


def write_people(path: Path, *cities: str, first: int = 0) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phone", "city"])
        writer.writerows([f"+1202{5_600_000 + first + number}", city] for number, city in enumerate(cities))
    return path


def test_profiles_of_a_table_are_loaded_in_bulks(emulator: Running, postgres: Postgres) -> None:
    store = a_store(emulator)
    result = load(store, ROWS.format(2_003_500))
    assert (result["rows"], result["sent"], result["requests"]) == (3500, 3500, 4)
    assert len(numbers(emulator, store)) == 3500
    lapsed = [profile.traits["Orders"]["lapsed"] for profile in profiles(emulator, store)]
    assert lapsed.count(True) == 1167
    assert requests_of(emulator, BULK) == 4
    assert "+1202" not in json.dumps(result)


@pytest.mark.parametrize("place", ["file", "table"])
def test_profiles_that_did_not_change_are_not_sent_again(
    emulator: Running, postgres: Postgres, tmp_path: Path, place: str
) -> None:
    store = a_store(emulator)
    hashes: dict[str, Any] = (
        {"hashes_path": str(tmp_path / "people.hashes")}
        if place == "file"
        else {"hashes_conn_id": "bookings", "hashes_table": "people_hashes"}
    )
    postgres.execute("DROP TABLE IF EXISTS people_hashes")
    assert load(store, ROWS.format(2_001_200), **hashes)["sent"] == 1200
    again = load(store, ROWS.format(2_001_200), **hashes)
    assert (again["rows"], again["unchanged"], again["sent"], again["requests"]) == (1200, 1200, 0, 0)
    changed = ROWS.replace("'Person ' || n", "'Person ' || n || CASE WHEN n = 2000007 THEN '!' ELSE '' END")
    assert load(store, changed.format(2_001_201), **hashes)["sent"] == 2
    assert load(store, ROWS.format(2_001_200), **hashes)["sent"] == 1  # and back
    for file in tmp_path.iterdir():
        assert file.name == "people.hashes"
        assert b"+1202" not in file.read_bytes()


@pytest.mark.parametrize("place", ["file", "none"])
def test_profiles_of_a_broken_load_are_not_read_or_sent_again(
    emulator: Running, postgres: Postgres, tmp_path: Path, place: str
) -> None:
    store, state = a_store(emulator), MemoryStore()
    kwargs: dict[str, Any] = {"resume_column": "id", "at_once": 1}
    if place == "file":
        kwargs["hashes_path"] = str(tmp_path / "people.hashes")
    emulator.twilio.faults.add(Fault(kind="error_before", path="Bulk", skip=3, times=None))
    with once(emulator), pytest.raises(ServerFailed):
        load(store, ROWS.format(2_006_000), state, **kwargs)
    assert len(numbers(emulator, store)) == 3000
    assert "202200" not in json.dumps(state.values)
    emulator.twilio.faults.clear()
    emulator.twilio.journal.counts.clear()
    result = load(store, ROWS.format(2_006_000), state, **kwargs)
    assert (result["rows"], result["sent"]) == (6000, 6000)
    assert requests_of(emulator, BULK) == 3
    assert len(numbers(emulator, store)) == 6000
    if place == "file":
        assert load(store, ROWS.format(2_006_000), **kwargs)["sent"] == 0


def test_profiles_of_a_broken_load_without_a_column_are_read_again_but_not_sent(
    emulator: Running, postgres: Postgres, tmp_path: Path
) -> None:
    store, state, hashes = a_store(emulator), MemoryStore(), str(tmp_path / "people.hashes")
    emulator.twilio.faults.add(Fault(kind="error_before", path="Bulk", skip=2, times=None))
    with once(emulator), pytest.raises(ServerFailed):
        load(store, ROWS.format(2_004_000), state, hashes_path=hashes, at_once=1)
    emulator.twilio.faults.clear()
    result = load(store, ROWS.format(2_004_000), state, hashes_path=hashes)
    assert (result["unchanged"], result["sent"]) == (2000, 2000)


def test_profiles_beyond_the_limit_are_sent_more_slowly(emulator: Running, postgres: Postgres) -> None:
    store = a_store(emulator)
    emulator.twilio.faults.add(Fault(kind="rate_limited", path="Bulk", times=3, retry_after=0.0))
    assert load(store, ROWS.format(2_005_000))["sent"] == 5000
    assert len(numbers(emulator, store)) == 5000


def test_profiles_that_are_none_go_to_the_rejects(emulator: Running, tmp_path: Path) -> None:
    store, rejects = a_store(emulator), tmp_path / "rejects.jsonl"
    path = write_people(tmp_path / "people.csv", "Lisbon", "Porto")
    path.write_text(path.read_text() + "nobody,Faro\n,Faro\n")
    result = load_file(store, path, rejects_path=str(rejects))
    assert (result["sent"], result["rejected"]) == (2, 2)
    rows = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(row["row"], row["problem"]) for row in rows] == [
        (3, "is not a phone number"),
        (4, "has no identifier"),
    ]
    with pytest.raises(AirflowFailException, match="row 3, phone: is not a phone number"):
        load_file(store, path, on_invalid="fail")


def test_profiles_that_twilio_refuses_are_found_among_the_others(emulator: Running, tmp_path: Path) -> None:
    """A bulk is refused as a whole, so that one bad value would keep 999 good rows out."""
    store, rejects = a_store(emulator), tmp_path / "rejects.jsonl"
    people = emulator.twilio.part(Memory).stores[store].people
    people.groups["Contact"].traits["city"].validation_rule = {"ruleType": "STRING", "maxLength": 6}
    cities = ["Lisbon"] * 500
    cities[41] = cities[300] = "Madrid and Toledo"
    result = load_file(store, write_people(tmp_path / "people.csv", *cities), rejects_path=str(rejects))
    assert (result["sent"], result["rejected"]) == (498, 2)
    assert len(numbers(emulator, store)) == 498
    rows = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert sorted(row["row"] for row in rows) == [42, 301]
    assert {row["reason"] for row in rows} == {"refused"}
    with pytest.raises(AirflowFailException, match="breaks its validation rule"):
        load_file(store, tmp_path / "people.csv", on_invalid="fail")


@pytest.mark.parametrize(
    ("traits", "problem"),
    [
        ({"phone": "Contact.phone", "city": "Shoes.size"}, "the store has no trait group Shoes"),
        ({"phone": "Contact.phone", "city": "Contact.shoe"}, "there is no trait shoe in Contact"),
        ({"city": "Contact.city"}, "none of the traits is an identifier"),
    ],
)
def test_profiles_of_unknown_traits_are_refused_before_anything_is_read(
    emulator: Running, tmp_path: Path, traits: dict[str, str], problem: str
) -> None:
    operator = ObjectStorageToTwilioProfilesOperator(
        task_id="load", store_id=a_store(emulator), path=str(tmp_path / "nowhere.csv"), traits=traits
    )
    with pytest.raises(AirflowFailException, match=problem):
        operator.execute(context(MemoryStore()))


def test_profiles_of_files_go_on_in_the_file_that_broke(emulator: Running, tmp_path: Path) -> None:
    store, state = a_store(emulator), MemoryStore()
    folder = tmp_path / "people"
    folder.mkdir()
    for number in range(3):
        write_people(folder / f"{number}.csv", *["Lisbon"] * 1000, first=number * 1000)
    emulator.twilio.faults.add(Fault(kind="error_before", path="Bulk", skip=2, times=None))
    with once(emulator), pytest.raises(ServerFailed):
        load_file(store, folder, state, at_once=1)
    emulator.twilio.faults.clear()
    (folder / "0.csv").write_text("this is read no more\n")
    assert load_file(store, folder, state)["sent"] == 3000
    assert len(numbers(emulator, store)) == 3000


def test_profiles_can_be_imported(emulator: Running, tmp_path: Path) -> None:
    store = a_store(emulator)
    path = write_people(tmp_path / "people.csv", "Lisbon", 'Vila "Nova", Gaia', "")
    result = load_file(store, path, method="import")
    assert (result["sent"], result["import_errors"], len(result["import_ids"])) == (3, 0, 1)
    cities = [profile.traits["Contact"].get("city") for profile in profiles(emulator, store)]
    assert cities == ["Lisbon", 'Vila "Nova", Gaia', None]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"hashes_path": "a", "hashes_table": "b", "hashes_conn_id": "c"},
        {"hashes_table": "b"},
        {"method": "fax"},
        {"at_once": 0},
        {"on_invalid": "ignore"},
    ],
)
def test_profiles_of_bad_arguments_are_refused_when_the_dag_is_parsed(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ObjectStorageToTwilioProfilesOperator(
            task_id="load", store_id="mem_store_1", path="x", traits=CITIES, **kwargs
        )


def test_profiles_resume_only_after_whole_numbers(emulator: Running, postgres: Postgres) -> None:
    with pytest.raises(InvalidInput, match="resume_column"):
        load("mem_store_1", "SELECT 1", resume_column="id; DROP TABLE x")
    with pytest.raises(AirflowFailException, match="holds no whole numbers"):
        load(a_store(emulator), ROWS.format(2_000_010), resume_column="phone")


def test_profiles_have_a_lineage(emulator: Running, tmp_path: Path) -> None:
    store = a_store(emulator)
    operator = ObjectStorageToTwilioProfilesOperator(
        task_id="load", store_id=store, path=str(write_people(tmp_path / "a.csv", "Lisbon")), traits=CITIES
    )
    operator.execute(context(MemoryStore()))
    found = operator.get_openlineage_facets_on_complete(None)
    assert [each.name for each in found.inputs] == [str(tmp_path / "a.csv")]
    assert [each.name for each in found.outputs] == [f"stores/{store}"]
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 1
