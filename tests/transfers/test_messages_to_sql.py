"""The message log to a table, of SQLite and of PostgreSQL: one row for each message, whatever happens."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.reporting.message_log import LoggedMessage
from airflow_provider_twilio_comms._tasks.sql_loading import created
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import ServerFailed, TwilioError
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.transfers.messages_to_sql import TwilioMessagesToSqlOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgres"])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """A database, which the connection ``warehouse`` names; takes statements."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.execute("DROP TABLE IF EXISTS log, receipts")
        with environment(AIRFLOW_CONN_WAREHOUSE=server.connection):
            yield server.execute
        return
    path = tmp_path / "warehouse.db"

    def execute(statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(path)
        with connection:
            found = connection.execute(statement).fetchall()
        connection.close()
        return found

    with environment(AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield execute


def copy(**kwargs: Any) -> TwilioMessagesToSqlOperator:
    given = {"sql_conn_id": "warehouse", "table": "log", "create_table": True, **kwargs}
    return TwilioMessagesToSqlOperator(task_id="log", **given)


def test_days_in_any_order_leave_one_row_for_each_message(emulator: Running, ask: Ask) -> None:
    log(emulator, *(day(before, hour) for before in range(6, 0, -1) for hour in range(0, 24, 2)))
    for before in (3, 5, 2, 4, 3):
        result = copy(**bounds(before), lookback=timedelta(hours=6)).execute(context())
        assert result["rows"] == 15
        assert result["table"] == "log"
    (counts,) = ask("SELECT count(*), count(DISTINCT sid), sum(num_segments), min(direction) FROM log")
    assert counts == (12 * 4 + 3, 12 * 4 + 3, 51, "outbound-api")
    (price,) = ask("SELECT price FROM log LIMIT 1")
    assert float(price[0]) == pytest.approx(-0.0083)


def test_a_look_back_brings_earlier_rows_up_to_date(emulator: Running, ask: Ask) -> None:
    log(emulator, *(day(before, 12) for before in (6, 5, 4)), outcome=Outcome("SENT"))
    for before in (6, 5, 4):
        copy(**bounds(before)).execute(context())
    for message in emulator.twilio.part(Messages).by_sid.values():
        message.outcome = Outcome("DELIVERED")
    copy(**bounds(3), lookback=timedelta(days=2)).execute(context())
    statuses = [row[0] for row in ask("SELECT status FROM log ORDER BY date_sent")]
    assert statuses == ["sent", "delivered", "delivered"]


def test_a_broken_copy_goes_on_with_the_next_page(emulator: Running, ask: Ask) -> None:
    log(emulator, *(day(3, n / 200) for n in range(4500)))
    store = MemoryStore()
    path = r"/Messages\.json$"
    emulator.twilio.faults.add(Fault(kind="error_before", path=path, skip=3, times=None))
    with pytest.raises(ServerFailed):
        copy(**bounds(3)).execute(context(store))
    assert ask("SELECT count(*) FROM log") == [(3000,)]
    emulator.twilio.faults.clear()
    before = sum(emulator.twilio.journal.counts.values())
    assert copy(**bounds(3)).execute(context(store, try_number=2))["rows"] == 4500
    assert sum(emulator.twilio.journal.counts.values()) - before == 2
    assert ask("SELECT count(*), count(DISTINCT sid) FROM log") == [(4500, 4500)]


def test_receipts_go_to_the_same_databases(emulator: Running, ask: Ask) -> None:
    emulator.twilio.change(pace=0.0)
    sent = bulk([*people(1500), "+12025559003"]).execute(context())
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=sent,
        sql_conn_id="warehouse",
        table="receipts",
        create_table=True,
        redact="none",
    )
    for _ in range(2):
        receipts.execute(context())
        assert ask("SELECT count(*), count(DISTINCT message_id) FROM receipts") == [(1501, 1501)]
    assert ask("SELECT recipient, code FROM receipts WHERE verdict = 'retry'") == [("+12025559003", 30003)]


def test_postgresql_makes_the_same_hashes_to_join_on(emulator: Running, postgres: Postgres) -> None:
    secret, ours, other = "a-secret-of-the-house", "+12025550123", "+12025550124"
    postgres.execute("DROP TABLE IF EXISTS log, receipts, guests; CREATE EXTENSION IF NOT EXISTS pgcrypto")
    postgres.execute(f"CREATE TABLE guests AS SELECT unnest(ARRAY['{ours}', '{other}']) AS phone")
    emulator.twilio.change(pace=0.0)
    log(emulator, day(2, 1), to=ours)
    log(emulator, day(2, 2), to=f"whatsapp:{ours}")
    place: dict[str, Any] = {"sql_conn_id": "bookings", "create_table": True, "hash_secret": secret}
    TwilioMessagesToSqlOperator(task_id="log", table="log", **place, **bounds(2)).execute(context())
    sent = bulk([ours]).execute(context())
    TwilioReceiptsOperator(task_id="r", operation_ids=sent, table="receipts", **place).execute(context())
    for table, count in (("log", 2), ("receipts", 1)):
        joined = f"""
            SELECT phone, count(*) FROM guests
            JOIN {table} ON recipient = encode(hmac(phone, '{secret}', 'sha256'), 'hex') GROUP BY phone
        """
        assert postgres.execute(joined) == [(ours, count)]


def test_a_text_arrives_as_it_was(emulator: Running, ask: Ask) -> None:
    texts = ["a\tb\\n", "line\nline\r\n", "\\N", "'; DROP TABLE log; --", "100 % \N{BELL}", ""]
    for hour, text in enumerate(texts):
        log(emulator, day(2, hour), body=text)
    copy(**bounds(2), redact="none").execute(context())
    assert [row[0] for row in ask("SELECT body FROM log ORDER BY date_sent")] == texts


def test_what_the_database_says_holds_no_row(
    emulator: Running, ask: Ask, request: pytest.FixtureRequest
) -> None:
    made = created("log", LoggedMessage, "sid")
    refusing = "BIGINT" if "postgres" in request.node.name else "TEXT CHECK (body <> 'Your code is 0')"
    ask(made.replace("body VARCHAR(4000)", f"body {refusing}"))
    log(emulator, day(2, 1))
    with pytest.raises(TwilioError, match="does not take rows for log") as caught:
        copy(**bounds(2), redact="none").execute(context())
    assert "Your code" not in str(caught.value)
    assert "+1202" not in str(caught.value)
    assert caught.value.__cause__ is None
