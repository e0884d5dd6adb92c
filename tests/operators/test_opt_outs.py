"""The table of who has opted out: whatever tells it, in whatever order, is one row for each event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.campaigns.consent import ConsentTable, Words
from airflow_provider_twilio_comms._tasks.campaigns.database import Database
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed
from airflow_provider_twilio_comms.operators.opt_outs import TwilioOptOutsOperator
from tests.conftest import environment
from tests.fakes import context
from tests.transfers.logged import day, log
from tests.warehouse import SECRET, Warehouse, hashed, in_postgres, in_sqlite, linked

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

OURS, ADA, BEN, CLEO = "+15005550006", "+12025550101", "+12025550102", "+447700900123"


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    if request.param == "postgres":
        with in_postgres(request.getfixturevalue("postgres")) as found, linked(emulator):
            yield found
        return
    with in_sqlite(tmp_path) as found, linked(emulator):
        yield found


@pytest.fixture
def sqlite(tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    with in_sqlite(tmp_path) as found, linked(emulator):
        yield found


def refresh(context_: Any = None, **kwargs: Any) -> dict[str, Any]:
    given = {"create_table": True, **kwargs}
    return TwilioOptOutsOperator(task_id="opt_outs", **given).execute(context_ or context())


def say(emulator: Running, sender: str, *texts: str, to: str = OURS) -> list[str]:
    """Somebody writes, some minutes ago and a second apart, since Twilio's dates are whole seconds."""
    sids = []
    for text in texts:
        with emulator.twilio.lock:
            message = receive(emulator.twilio, Arrival(from_=sender, to=to, body=text))
            message.created = message.start = time.time() - 300 + len(emulator.twilio.part(Messages).by_sid)
        sids.append(message.sid)
    return sids


def out(*numbers: str) -> set[str]:
    """Those of the numbers who have opted out, as a send would find them."""
    database = Database("warehouse", "opt_outs", "of the test")
    try:
        return ConsentTable(database, "opt_outs", hashed).refused(numbers or (ADA, BEN, CLEO))
    finally:
        database.close()


def test_keywords_are_kept_once_and_as_hashes(emulator: Running, warehouse: Warehouse, capsys: Any) -> None:
    say(emulator, ADA, "Stop!")
    say(emulator, BEN, " STOPALL ", "hello", "START")
    say(emulator, CLEO, "Arrêt", "please stop it")
    counts = {"inbound": {"stop": 3, "start": 1}}
    assert refresh()["counts"] == counts
    assert refresh()["counts"] == counts, "read again, for the lag of the list"
    rows = warehouse.execute("SELECT kind, person, source FROM opt_outs WHERE kind IN ('stop', 'start')")
    assert sorted(rows) == sorted(
        [
            ("stop", hashed(ADA), "inbound"),
            ("stop", hashed(BEN), "inbound"),
            ("start", hashed(BEN), "inbound"),
            ("stop", hashed(CLEO), "inbound"),
        ]
    )
    assert out() == {ADA, CLEO}
    told = capsys.readouterr()
    assert not any(number in told.out + told.err for number in (ADA, BEN, CLEO))


def test_an_older_stop_that_is_read_later_does_not_undo_a_start(
    emulator: Running, sqlite: Warehouse, tmp_path: Path
) -> None:
    say(emulator, ADA, "START")
    refresh()
    old = (datetime.now(timezone.utc) - timedelta(days=3)).isoformat()
    (tmp_path / "receipts.jsonl").write_text(
        json.dumps({"recipient": hashed(ADA), "code": 21610, "updated_at": old})
        + "\n"
        + json.dumps({"recipient": BEN, "code": 21610, "updated_at": old})
        + "\n"
        + json.dumps({"recipient": CLEO, "code": 30003, "updated_at": old})
    )
    result = refresh(receipts=str(tmp_path / "receipts.jsonl"))
    assert result["counts"]["receipt"] == {"stop": 2}
    assert out() == {BEN}


def test_what_twilio_refused_for_an_opt_out_is_one(emulator: Running, sqlite: Warehouse) -> None:
    from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome

    log(emulator, day(1, 9), to=ADA, outcome=Outcome("UNDELIVERED", 21610))
    log(emulator, day(1, 10), to=BEN, outcome=Outcome("UNDELIVERED", 30003))
    assert refresh()["counts"] == {"receipt": {"stop": 1}}
    assert out() == {ADA}


def test_each_run_goes_on_where_the_last_one_ended(emulator: Running, sqlite: Warehouse) -> None:
    first = refresh(first_run=timedelta(days=3))
    second = refresh(lookback=600)
    end = datetime.fromisoformat(first["interval_end"])  # Twilio's clock may be ahead by five minutes
    late = datetime.fromisoformat(second["interval_start"]) - (end - timedelta(minutes=15))
    assert timedelta() <= late < timedelta(minutes=5)
    assert datetime.fromisoformat(first["interval_start"]) < end - timedelta(days=2, hours=23)
    refresh(interval_start=day(9), interval_end=day(8))
    third = refresh(lookback=600)
    assert third["interval_start"] >= second["interval_start"], "a backfill does not move it back"


def test_a_run_that_dies_goes_on_with_its_day(emulator: Running, sqlite: Warehouse) -> None:
    log(emulator, *(day(before, 12) for before in (3, 2, 1)))
    emulator.twilio.faults.add(Fault(kind="bad_gateway", skip=2, times=None, path="/Messages.json$"))
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1, hash_secret=SECRET)),
        pytest.raises(ServerFailed),
    ):
        refresh(sql_conn_id="warehouse", table="opt_outs", first_run=timedelta(days=3))
    emulator.twilio.faults.clear()
    assert refresh(lookback=1)["interval_start"] >= (day(2) - timedelta(seconds=1)).isoformat()


def test_webhooks_tell_what_twilio_calls_an_opt_out(emulator: Running, sqlite: Warehouse) -> None:
    (sid,) = say(emulator, ADA, "no more of this")
    payload = {"from_webhook": True, "payload": {"sid": sid, "opt_out": "STOP", "sender": "x"}}
    values = context()
    values["triggering_asset_events"] = {"opt-out": [SimpleNamespace(extra=payload)]}
    assert refresh(values)["counts"] == {"webhook": {"stop": 1}}
    assert out() == {ADA}


def test_deactivated_numbers_and_the_query_of_the_author(
    emulator: Running, warehouse: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "gone.txt").write_text(f"{ADA}\n{BEN[1:]}\n")
    warehouse.execute("DROP TABLE IF EXISTS crm")
    warehouse.execute("CREATE TABLE crm (phone VARCHAR(20), happened_at VARCHAR(40), opted_out INTEGER)")
    warehouse.execute(
        f"INSERT INTO crm VALUES ('{CLEO}', '2026-11-01T09:00:00+00:00', 1), "
        f"('{BEN}', '2026-11-03T09:00:00+00:00', 0)"
    )
    kinds = refresh(
        deactivated={"path": str(tmp_path / "gone.txt"), "day": "2026-11-02"},
        query={"sql": "SELECT phone, happened_at, opted_out FROM crm", "conn_id": "warehouse"},
    )["counts"]
    assert kinds == {"deactivated": {"stop": 2}, "query": {"stop": 1, "start": 1}}
    assert out() == {ADA, CLEO}


def test_only_some_receivers_count(emulator: Running, sqlite: Warehouse) -> None:
    say(emulator, ADA, "STOP")
    say(emulator, BEN, "STOP", to="+15005550009")
    refresh(receivers=[OURS])
    assert out() == {ADA}


def test_numbers_are_written_where_the_author_says_so(emulator: Running, sqlite: Warehouse) -> None:
    say(emulator, ADA, "BASTA")
    refresh(redact="none", words={"stop": ["basta"]})
    assert sqlite.execute("SELECT person FROM opt_outs WHERE kind = 'stop'") == [(ADA,)]
    assert out() == {ADA}


def test_hashes_with_another_key_are_an_error(emulator: Running, sqlite: Warehouse) -> None:
    refresh()
    with (
        linked(emulator, hash_secret="another-secret-of-sixteen"),
        pytest.raises(AirflowFailException, match="hash_secret: is not the one"),
    ):
        refresh()
    with linked(emulator, hash_secret=None), pytest.raises(AirflowFailException, match="hash_secret: is mis"):
        refresh()


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            {"query": {"sql": "SELECT 'x', '2026-01-01'", "conn_id": "warehouse"}},
            "row 1, query: has no phone",
        ),
        ({"query": {"sql": f"SELECT '{ADA}'", "conn_id": "warehouse"}}, "row 1, query: does not say when"),
        ({"query": {"table": "x"}}, "query: is not a source of rows"),
        ({"deactivated": {"path": "lists/x.txt"}}, "deactivated: is not a path with its day"),
        ({"table": "two words"}, "table: is not a name of a table"),
    ],
)
def test_bad_input_is_named(emulator: Running, sqlite: Warehouse, wrong: Any, problem: str) -> None:
    with pytest.raises(AirflowFailException) as caught:
        refresh(**wrong)
    assert problem in str(caught.value)
    assert ADA not in str(caught.value)


def test_words_are_checked_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidInput, match="words"):
        TwilioOptOutsOperator(task_id="opt_outs", words={"halt": ["x"]})
    assert Words().kind_of("YES") == "start"
    assert Words().kind_of("yes please") is None


def test_the_result_names_nobody(emulator: Running, sqlite: Warehouse) -> None:
    say(emulator, ADA, "STOP")
    assert ADA[1:] not in json.dumps(refresh())
    assert len(emulator.twilio.part(Messages).by_sid) == 1
