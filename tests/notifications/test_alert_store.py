"""The database that alert_store names: whose rows they are, what it costs, and what happens without it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.alerts.store import KEEP, Gate, scope
from airflow_provider_twilio_comms._core.alerts.table import CREATE, TableStore
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.notifications._database import HookDatabase
from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from tests.conftest import environment

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
ADA, FROM = "+12025550123", "+15005550006"


def alert(**kwargs: Any) -> TwilioNotifier:
    return TwilioNotifier(**{"to": ADA, "from_": FROM, "alert_store": "alerts", **kwargs})


def happened(state: str = "failed") -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="orders", task_id="load", run_id="r", map_index=-1, state=state)
    return {"ti": ti}


def sent() -> list[str]:
    """The texts that Ada got, oldest first."""
    return [message.body or "" for message in reversed(TwilioHook().run(messages.list(to=ADA)).items)]


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Callable[[str], list[Any]]]:
    """The connection ``alerts``; runs a statement in its database."""
    path = tmp_path / "alerts.db"

    def execute(sql: str) -> list[Any]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    with environment(AIRFLOW_CONN_ALERTS=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield execute


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Callable[[str], list[Any]]]:
    """The same on PostgreSQL, where the table is not there yet."""
    postgres.execute("DROP TABLE IF EXISTS twilio_alerts")
    with environment(AIRFLOW_CONN_ALERTS=postgres.connection):
        yield postgres.execute


@pytest.fixture(params=["sqlite", "server"])
def database(request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """Runs a statement in the database that the connection ``alerts`` names."""
    found: Callable[[str], list[Any]] = request.getfixturevalue(request.param)
    return found


def test_a_storm_is_one_text_and_its_end_another(
    emulator: Running, database: Callable[[str], list[Any]]
) -> None:
    tell = alert(window=timedelta(hours=1), on_recovery=True)
    for _ in range(4):
        tell(happened())
    assert sent() == ["orders.load failed"]
    assert database("SELECT number, state, held, told FROM twilio_alerts") == [(1, "sent", 3, 0)]
    for _ in range(2):
        tell(happened("success"))
    assert sent() == ["orders.load failed", "orders.load recovered, 3 held back"]
    assert database("SELECT number, state, held, told FROM twilio_alerts") == [(2, "ended", 0, 0)]
    tell(happened())
    assert sent()[-1] == "orders.load failed"
    assert len(sent()) == 3


def test_many_at_once_who_also_make_the_table_are_one_text(
    emulator: Running, server: Callable[[str], list[Any]]
) -> None:
    """Each with a key of its own within the process, as other processes have."""
    gates = [Gate(scope("key", "k"), 3600.0), Gate(scope("connection", "c"), 3600.0, limit=3)]
    entered = []

    def enter(number: int) -> None:
        with closing(Client(TwilioHook().config)) as client:
            found = client.run(TableStore(HookDatabase("alerts")).enter(gates, lambda shut: 1))
        entered.append(found is not None)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(enter, range(48)))
    assert (entered.count(True), len(entered)) == (1, 48)
    assert server(f"SELECT held FROM twilio_alerts WHERE scope = '{gates[0].scope}'") == [(47,)]


def test_the_table_of_the_documentation_is_the_one_that_is_made() -> None:
    assert CREATE in (ROOT / "docs" / "alerts.md").read_text()


def test_the_rows_hold_hashes_numbers_and_times(
    emulator: Running, sqlite: Callable[[str], list[Any]]
) -> None:
    alert(dedupe_key="load of {{ alert.dag_id }}", max_per_hour=3)(happened())
    rows = sqlite("SELECT * FROM twilio_alerts")
    assert len(rows) == 2
    text = repr(rows)
    assert all(word not in text for word in (ADA, ADA[1:], "orders", "load", "twilio_default"))


def test_rows_that_nobody_asks_for_any_more_are_cleared_away(
    emulator: Running, sqlite: Callable[[str], list[Any]]
) -> None:
    for _ in range(5):
        alert(window=0.001, max_per_hour=10)(happened())
        sqlite("UPDATE twilio_alerts SET since = since - 400000")  # milliseconds
    alert(dedupe_key="other")(happened())
    assert sqlite("SELECT COUNT(*) FROM twilio_alerts GROUP BY scope ORDER BY 1") == [(1,), (1,), (5,)]
    sqlite(f"UPDATE twilio_alerts SET since = {round((time.time() - KEEP - 60) * 1000)}")
    alert()(happened())
    assert sqlite("SELECT COUNT(*) FROM twilio_alerts") == [(1,)]


def test_the_connection_may_name_it_and_the_notifier_overrides_it(
    emulator: Running, sqlite: Callable[[str], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(alert_store="alerts")):
        for _ in range(2):
            alert(alert_store=None)(happened())
        assert len(sent()) == 1
        assert "STORM CONTROL IS OFF" not in caplog.text
        alert(alert_store="")(happened())  # Airflow's Variables, which are not there outside of a task
        assert "STORM CONTROL IS OFF: Airflow's store of Variables cannot be asked" in caplog.text
        alert(alert_store="elsewhere")(happened())
        assert (
            "STORM CONTROL IS OFF: The database of the connection 'elsewhere' cannot be asked" in caplog.text
        )
    assert len(sent()) == 3


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ('{"conn_type": "sqlite", "host": "/no/such/folder/alerts.db"}', "unable to open database file"),
        ("twilio://a:b@", "alert_store: TwilioHook is not a DbApiHook"),
    ],
)
def test_a_database_that_cannot_be_asked_is_said_without_secrets(
    emulator: Running, caplog: pytest.LogCaptureFixture, connection: str, says: str
) -> None:
    with environment(AIRFLOW_CONN_ALERTS=connection):
        alert(without_store="hold")(happened())
    assert "STORM CONTROL IS OFF" in caplog.text
    assert says in caplog.text
    assert sent() == []


def test_a_deadlines_callback_that_may_only_read_variables_writes_to_a_database(
    emulator: Running, sqlite: Callable[[str], list[Any]]
) -> None:
    context = {"dag_run": {"dag_id": "orders"}, "deadline": {"id": "0199"}}
    for _ in range(2):
        alert()(dict(context))
    assert len(sent()) == 1


async def test_a_deadline_is_told_once_from_the_event_loop(
    emulator: Running, sqlite: Callable[[str], list[Any]]
) -> None:
    context = {"dag_run": {"dag_id": "orders"}, "deadline": {"id": "0199"}}
    for _ in range(2):
        await alert(context=dict(context))
    assert emulator.twilio.ledger.recipients == {ADA: 1}
