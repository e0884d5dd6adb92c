"""From tables to people: typed values, streams, order, snapshots, with a real PostgreSQL and SQLite."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import SendUncertain
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

ROWS = (
    "SELECT '+1202' || lpad(n::text, 7, '0') AS phone, 'Person ' || n AS name FROM generate_series(1, {}) n"
)


def transfer(sql: str, **kwargs: Any) -> SqlToTwilioOperator:
    defaults: dict[str, Any] = {
        "task_id": "send",
        "sql_conn_id": "bookings",
        "number_column": "phone",
        "content": "Hello {{ name | default: 'you' }}",
        "sender": "+15005550006",
        "wait_for": "accepted",
        "unknown_after": 1.0,
    }
    return SqlToTwilioOperator(sql=sql, **{**defaults, **kwargs})


def send(sql: str, **kwargs: Any) -> Any:
    return transfer(sql, **kwargs).execute(context(MemoryStore()))


def received(emulator: Running) -> dict[str, int]:
    return dict(emulator.twilio.ledger.to_dict()["recipients"])


def texts(emulator: Running) -> list[str]:
    import requests

    return [row["text"] for row in requests.get(f"{emulator.url}/_emulator/outbox", timeout=5).json()["rows"]]


def test_everyone_a_statement_finds_is_texted_once(emulator: Running, postgres: Postgres) -> None:
    result = send(f"{ROWS.format(25_000)} ORDER BY n")
    assert (result["recipients"], len(result["operation_ids"])) == (25_000, 3)
    assert set(received(emulator).values()) == {1}
    assert len(received(emulator)) == 25_000


def test_typed_values_become_text(emulator: Running, postgres: Postgres) -> None:
    send(
        "SELECT '+12025550101' AS phone, 10.50::numeric AS price, date '2027-01-02' AS day, true AS vip, "
        "7 AS seats, NULL::text AS x, '{a,b}'::text[] AS tags, '{\"k\": 1}'::jsonb AS more ORDER BY 1",
        content="{{ price }} {{ day }} {{ vip }} {{ seats }} {{ x | default: 'no' }} {{ tags }} {{ more }}",
    )
    assert texts(emulator) == ['10.50 2027-01-02 true 7 no ["a","b"] {"k":1}']


def test_parameters_and_files_are_templates(emulator: Running, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "people.sql").write_text(
        "SELECT phone FROM (VALUES ('+12025550101', 'a'), ('+12025550102', 'b')) AS t (phone, kind)"
        " WHERE kind = %(kind)s AND '{{ ds }}' = '2027-01-01' ORDER BY phone"
    )
    operator = transfer("people.sql", parameters={"kind": "{{ kind }}"})
    import jinja2

    values: Any = {"ds": "2027-01-01", "kind": "b"}
    loader = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path))
    operator.render_template_fields(values, loader)
    assert "2027-01-01" in operator.sql
    assert repr(operator.parameters) == "(hidden)"  # type: ignore[attr-defined]
    operator.execute(context(MemoryStore()))
    assert list(received(emulator)) == ["+12025550102"]


def test_sqlite_will_do(emulator: Running, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "people.db") as database:
        database.execute("CREATE TABLE people (phone TEXT, name TEXT)")
        database.executemany(
            "INSERT INTO people VALUES (?, ?)", [(f"+1202{n:07d}", f"Person {n}") for n in range(12_500)]
        )
    connection = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "people.db")})
    with environment(AIRFLOW_CONN_LITE=connection):
        result = send(
            "SELECT * FROM people WHERE phone > ? ORDER BY phone", parameters=["+"], sql_conn_id="lite"
        )
    assert (result["recipients"], len(received(emulator))) == (12_500, 12_500)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 AS phone", "has no ORDER BY at its outermost level"),
        ("SELECT 1 AS phone FROM (SELECT 1 ORDER BY 1) t -- ORDER BY 1", "has no ORDER BY"),
        ("SELECT row_number() OVER (ORDER BY 1) AS phone", "Order by something unique, or set snapshot_path"),
        ("SELECT 'x' AS name ORDER BY 1", "'phone' is not a column of the statement (it has name)"),
        ("SELECT 'x' AS phone, 1 AS a, 2 AS a ORDER BY 1", "gives 'a' twice"),
        ("SELECT 'x' AS phone ORDER BY 1", "row 1, phone: is not a phone number"),
        ("SELECT 12025550101 AS phone ORDER BY 1", "row 1, phone: is an int, not text"),
        ("SELECT NULL AS phone ORDER BY 1", "row 1, phone: is empty"),
        (" ", "sql: is empty"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    emulator: Running, postgres: Postgres, sql: str, said: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        send(sql, **({"snapshot_path": None} if sql.strip() else {"snapshot_path": "/nowhere"}))
    assert said in str(caught.value)
    assert "2025550101" not in str(caught.value)
    assert received(emulator) == {}


def test_a_connection_that_is_no_database(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="sql_conn_id: TwilioHook is for no SQL database"):
        send("SELECT 1 ORDER BY 1", sql_conn_id="twilio_default")


def test_a_day_without_rows_is_skipped(emulator: Running, postgres: Postgres) -> None:
    empty = "SELECT '+12025550101' AS phone WHERE false ORDER BY 1"
    with pytest.raises(AirflowSkipException, match="there are none"):
        send(empty)
    with pytest.raises(AirflowFailException, match="there are none"):
        send(empty, on_empty="fail")


def test_an_error_of_the_database_is_the_tasks(emulator: Running, postgres: Postgres) -> None:
    with pytest.raises(Exception, match="no_such_table"):
        send("SELECT * FROM no_such_table ORDER BY 1")
    assert received(emulator) == {}


class TestATableThatChanges:
    """Two of three requests are sent, and then the table is another one."""

    @pytest.fixture
    def store(self, emulator: Running, postgres: Postgres) -> MemoryStore:
        postgres.execute(
            "DROP TABLE IF EXISTS people;"
            f"CREATE TABLE people AS {ROWS.format(30)}; ALTER TABLE people ADD id serial"
        )
        emulator.twilio.faults.add(Fault(kind="error_before", skip=1, method="POST", path="/Messages$"))
        return MemoryStore()

    def tried(self, store: MemoryStore, number: int, **kwargs: Any) -> Any:
        operator = transfer(
            "SELECT phone, name FROM people ORDER BY id",
            recipients_per_request=10,
            requests_at_once=1,
            on_unknown="resend" if number > 1 else "fail",
            **kwargs,
        )
        return operator.execute(context(store, try_number=number))

    def test_stops_a_retry(self, emulator: Running, postgres: Postgres, store: MemoryStore) -> None:
        with pytest.raises(SendUncertain):
            self.tried(store, 1)
        postgres.execute("DELETE FROM people WHERE id = 3")
        with pytest.raises(AirflowFailException, match="request 1 was accepted"):
            self.tried(store, 2)
        assert len(received(emulator)) == 10

    def test_does_not_matter_with_a_snapshot(
        self, emulator: Running, postgres: Postgres, store: MemoryStore, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "plans")
        with pytest.raises(SendUncertain):
            self.tried(store, 1, snapshot_path=path)
        postgres.execute("DELETE FROM people WHERE id > 5")
        assert self.tried(store, 2, snapshot_path=path)["recipients"] == 30
        assert (len(received(emulator)), set(received(emulator).values())) == (30, {1})

    def test_a_snapshot_without_its_manifest_is_none(
        self, emulator: Running, postgres: Postgres, store: MemoryStore, tmp_path: Path
    ) -> None:
        with pytest.raises(SendUncertain):
            self.tried(store, 1, snapshot_path=str(tmp_path))
        (manifest,) = tmp_path.rglob("manifest.json")
        assert "1202" not in json.dumps([*store.values.values()])
        (manifest.parent / "00002.json").write_bytes(b"[]")
        with pytest.raises(AirflowFailException, match="snapshot_path: request 3 is not what was written"):
            self.tried(store, 2, snapshot_path=str(tmp_path))
        manifest.unlink()
        assert self.tried(store, 3, snapshot_path=str(tmp_path))["recipients"] == 30
        assert set(received(emulator).values()) == {1}
