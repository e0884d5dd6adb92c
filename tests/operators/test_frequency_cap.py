"""A frequency cap: nobody gets more messages than that, whatever the sends, their retries and their ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms._core.campaigns.frequency import DAY, Claims
from airflow_provider_twilio_comms._tasks.campaigns.database import Database
from airflow_provider_twilio_comms.client.config import FrequencyCap
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited, TwilioError
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, texted
from tests.operators.classic_sends import classic
from tests.operators.runs import a_run, received, report
from tests.warehouse import Warehouse, in_postgres, in_sqlite, linked

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

NUMBERS = [f"+1202{n:07d}" for n in range(20)]
ONCE = {"messages": 1, "days": 7, "conn_id": "warehouse", "create_table": True}
TWICE = {**ONCE, "messages": 2}


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    opened = (
        in_sqlite(tmp_path) if request.param == "sqlite" else in_postgres(request.getfixturevalue("postgres"))
    )
    with opened as found, linked(emulator, consent=None):
        yield found


@pytest.fixture
def sqlite(tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    with in_sqlite(tmp_path) as found, linked(emulator, consent=None):
        yield found


def single(numbers: Any, **kwargs: Any) -> TwilioSendMessageOperator:
    return TwilioSendMessageOperator(task_id="send", to=numbers, body="Hi", from_="+15005550006", **kwargs)


def run(name: str, **kwargs: Any) -> Any:
    """The context of a run of its own, with a store of its own."""
    return a_run(store=MemoryStore(), run_id=name, **kwargs)


def claims(warehouse: Warehouse) -> tuple[int, int]:
    """Count how many claims hold, and how many of them are of messages that were given to Twilio."""
    (row,) = warehouse.execute(
        "SELECT COUNT(*), COALESCE(SUM(given), 0) FROM twilio_frequency WHERE claimed_at > 0"
    )
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_nobody_gets_more_than_that(
    emulator: Running, warehouse: Warehouse, tmp_path: Path, make: Any
) -> None:
    path, last = tmp_path / "rejects.jsonl", run("last")
    make(NUMBERS[:12], frequency_cap=TWICE).execute(run("first"))
    make(NUMBERS[8:], frequency_cap=TWICE).execute(run("second"))
    make(NUMBERS, frequency_cap=TWICE, rejects_path=str(path)).execute(last)
    assert emulator.twilio.ledger.to_dict()["recipients"] == dict.fromkeys(NUMBERS, 2)
    found = last["ti"].xcoms["preflight"]
    assert (found["recipients"], found["rejected"]) == (16, {"frequency_cap": 4})
    assert found["frequency_cap"] == {"messages": 2, "days": 7}
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["row"], each["given"]) for each in rejects] == [(n + 1, NUMBERS[n]) for n in range(8, 12)]
    assert claims(warehouse) == (40, 40)
    rows = json.dumps(warehouse.execute("SELECT * FROM twilio_frequency"))
    assert NUMBERS[0] not in rows


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_a_retry_does_not_count_twice(emulator: Running, sqlite: Warehouse, make: Any) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=1, times=None, method="POST", path="Messages"))
    with linked(emulator, consent=None, max_attempts=1), pytest.raises(RateLimited):
        make(NUMBERS, frequency_cap=ONCE, **({"recipients_per_request": 10} if make is bulk else {})).execute(
            context(store)
        )
    sent = len(received(emulator))
    assert 0 < sent < 20
    assert claims(sqlite) == (sent, sent), "the others were never given to Twilio"
    emulator.twilio.faults.clear()
    make(NUMBERS, frequency_cap=ONCE, **({"recipients_per_request": 10} if make is bulk else {})).execute(
        context(store, try_number=2)
    )
    assert texted(emulator) == [20, 1]
    assert claims(sqlite) == (20, 20)


def test_who_was_texted_by_another_between_two_tries_is_left_out(
    emulator: Running, sqlite: Warehouse
) -> None:
    store, kept = MemoryStore(), {"frequency_cap": ONCE, "recipients_per_request": 10}
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=1, method="POST", path="/Messages$"))
    with linked(emulator, consent=None, max_attempts=1), pytest.raises(RateLimited):
        bulk(NUMBERS, **kept).execute(context(store))
    bulk(NUMBERS[14:], **kept).execute(run("another"))
    result = bulk(NUMBERS, **kept).execute(context(store, try_number=2))
    assert texted(emulator) == [20, 1]
    assert result
    assert (result["recipients"], result["rejected"]) == (14, 6)


def test_what_was_given_and_is_unknown_keeps_its_claim(emulator: Running, sqlite: Warehouse) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="/Messages$"))
    emulator.twilio.faults.add(Fault(kind="bad_gateway", method="GET", path="/Messages", times=None))
    with linked(emulator, consent=None, max_attempts=1), pytest.raises(TwilioError):
        bulk(NUMBERS, frequency_cap=ONCE).execute(context(store))
    emulator.twilio.faults.clear()
    assert claims(sqlite) == (20, 20)
    with pytest.raises(AirflowFailException, match="20 frequency_cap"):
        bulk(NUMBERS, frequency_cap=ONCE).execute(run("another"))
    bulk(NUMBERS, frequency_cap=ONCE).execute(context(store, try_number=2))
    assert texted(emulator) == [20, 1]


@pytest.mark.parametrize("make", [classic, single])
def test_a_recipient_whom_twilio_refuses_is_released(emulator: Running, sqlite: Warehouse, make: Any) -> None:
    invalid = "+15005550009"  # Twilio's magic number of one that takes no messages: 21614
    fails = pytest.raises(AirflowFailException, match="21614") if make is single else nullcontext()
    with fails:
        make([*NUMBERS[:3], invalid], frequency_cap=ONCE).execute(run("first"))
    assert claims(sqlite) == (3, 3)


@pytest.mark.parametrize("make", [bulk, single])
def test_what_is_refused_before_it_is_sent_claims_nothing(
    emulator: Running, sqlite: Warehouse, make: Any
) -> None:
    with pytest.raises(AirflowFailException, match="max_recipients"):
        make(NUMBERS, frequency_cap=ONCE, max_recipients=19).execute(run("first"))
    assert claims(sqlite) == (0, 0)


def test_a_dry_run_and_a_preflight_count_and_claim_nothing(emulator: Running, sqlite: Warehouse) -> None:
    bulk(NUMBERS[:5], frequency_cap=ONCE).execute(run("first"))
    assert report(NUMBERS, frequency_cap=ONCE)["rejected"] == {"frequency_cap": 5}
    look = TwilioPreflightOperator(
        task_id="look", recipients=NUMBERS, content="Hi", sender="+15005550006", frequency_cap=ONCE
    )
    assert look.execute(run("look"))["rejected"] == {"frequency_cap": 5}
    assert claims(sqlite) == (5, 5)


@pytest.mark.parametrize("make", [bulk, classic])
def test_each_row_of_one_number_is_a_message(emulator: Running, sqlite: Warehouse, make: Any) -> None:
    rows = [{"phone": NUMBERS[0], "name": name} for name in ("Ada", "Ben", "Cleo")]
    result = make(rows, number_column="phone", frequency_cap=TWICE).execute(run("first"))
    assert (result["recipients"], result["rejected"]) == (2, 1)
    assert emulator.twilio.ledger.to_dict()["recipients"] == {NUMBERS[0]: 2}


def test_a_message_counts_when_it_goes_out(emulator: Running, sqlite: Warehouse) -> None:
    later = datetime.now(timezone.utc) + timedelta(days=5)
    bulk(NUMBERS, frequency_cap=ONCE, send_at=later).execute(run("first"))
    with pytest.raises(AirflowSkipException):
        bulk(NUMBERS, frequency_cap=ONCE, on_empty="skip").execute(run("second"))
    bulk(NUMBERS, frequency_cap={**ONCE, "days": 3}).execute(run("third"))
    assert texted(emulator) == [20, 2]


def test_a_claim_is_over_after_its_days(emulator: Running, warehouse: Warehouse) -> None:
    bulk(NUMBERS, frequency_cap=ONCE).execute(run("first"))
    warehouse.execute(f"UPDATE twilio_frequency SET claimed_at = claimed_at - {6.9 * DAY}")
    with pytest.raises(AirflowSkipException):
        bulk(NUMBERS, frequency_cap=ONCE, on_empty="skip").execute(run("second"))
    bulk(NUMBERS, frequency_cap={**ONCE, "days": 6}).execute(run("third"))
    assert texted(emulator) == [20, 2]


def test_an_own_claim_that_was_not_given_for_hours_is_taken_anew(tmp_path: Path) -> None:
    with in_sqlite(tmp_path):
        database = Database("warehouse", "caps", "of the test")
        mine = Claims(database, "caps", FrequencyCap(1, 1), "mine", str)
        other = Claims(database, "caps", FrequencyCap(1, 1), "other", str)
        mine.create()
        person = (NUMBERS[0], 0)
        assert mine.take([person], 0.0) == {person}
        assert mine.take([person], 3000.0) == {person}
        assert other.take([person], 2 * DAY) == {person}
        assert mine.take([person], 2.5 * DAY) == set(), "another one has come before"
        mine.release()
        assert other.take([person], 2.5 * DAY) == {person}
        assert mine.take([person], 9 * DAY) == {person}
        assert mine.take([person], 5 * DAY) == {person}, "it goes out earlier than was planned"
        assert other.take([person], 5 * DAY) == set()
        database.close()


def test_the_connections_cap_holds_for_every_send_but_for_a_purpose(
    emulator: Running, sqlite: Warehouse
) -> None:
    with linked(emulator, consent=None, frequency_cap=ONCE):
        bulk(NUMBERS[:5]).execute(run("first"))
        bulk(NUMBERS).execute(run("second"))
        assert texted(emulator) == [20, 1]
        bulk(NUMBERS, purpose="legal").execute(run("third"))
        assert texted(emulator) == [20, 2]
        bulk(NUMBERS, purpose="legal", frequency_cap=TWICE).execute(run("fourth"))
        assert texted(emulator) == [20, 3], "the task's own holds, and counts what was claimed"
    assert claims(sqlite) == (40, 40)


def test_another_send_of_the_same_key_is_the_same_send(emulator: Running, sqlite: Warehouse) -> None:
    store = MemoryStore()
    for name in ("first", "second"):
        values = a_run(store=store, run_id=name)
        bulk(NUMBERS, frequency_cap=ONCE, send_key="offer").execute(values)
    assert texted(emulator) == [20, 1]


def test_stored_people_whom_it_cannot_see_are_refused(emulator: Running, sqlite: Warehouse) -> None:
    person = {"profile_id": "mem_profile_" + "0" * 26, "memory_store_id": "mem_store_" + "0" * 26}
    with pytest.raises(AirflowFailException, match="frequency_cap"):
        bulk([person], frequency_cap=ONCE).execute(run("first"))


def test_a_cap_is_checked_when_the_dag_is_parsed() -> None:
    for wrong in ({"messages": 2}, {"messages": 0, "days": 7}, {"messages": 2, "days": 7, "weeks": 1}, []):
        with pytest.raises(InvalidInput, match="frequency_cap"):
            bulk(NUMBERS, frequency_cap=wrong)


def test_a_cap_needs_a_database_and_a_secret(emulator: Running, sqlite: Warehouse) -> None:
    with pytest.raises(AirflowFailException, match="frequency_cap: names no database"):
        bulk(NUMBERS, frequency_cap={"messages": 2, "days": 7}).execute(run("first"))
    with (
        linked(emulator, consent=None, hash_secret=None),
        pytest.raises(AirflowFailException, match="hash_secret: is missing"),
    ):
        bulk(NUMBERS, frequency_cap=ONCE).execute(run("first"))
    with pytest.raises(TwilioError, match="create_table makes it"):
        bulk(NUMBERS, frequency_cap={**ONCE, "create_table": False}).execute(run("first"))
    assert received(emulator) == []


def test_two_sends_at_the_same_moment_cannot_both_pass(warehouse: Warehouse) -> None:
    """Many at once, each with a connection of its own: whoever gets the last place, nobody gets one more."""
    cap, taken, errors = FrequencyCap(1, 7), [], []
    people = [[(f"+1202{round_:03d}{n:04d}", 0) for n in range(5)] for round_ in range(30)]

    def claim(name: str, start: threading.Barrier) -> None:
        database = Database("warehouse", "twilio_frequency", "of the test")
        mine = Claims(database, "twilio_frequency", cap, name, str)
        database.select("SELECT COUNT(*) FROM twilio_frequency")  # so that all have a connection
        try:
            for some in people:
                start.wait(60)
                taken.append(mine.take(some, 1_000_000.0))
        except (TwilioError, threading.BrokenBarrierError) as error:
            errors.append(error)
            start.abort()
        finally:
            database.close()

    database = Database("warehouse", "twilio_frequency", "of the test")
    Claims(database, "twilio_frequency", cap, "", str).create()
    database.close()
    start = threading.Barrier(6)
    threads = [threading.Thread(target=claim, args=(f"send {n}", start)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {sum(person in each for each in taken) for some in people for person in some} == {1}
