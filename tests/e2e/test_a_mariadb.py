"""MariaDB in place of PostgreSQL: Airflow's tables, the ledger in them, webhooks, and the gate of alerts.

Named so that it comes first: its processes have gone before those of the large deployment are started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from tests import mariadb
from tests.chaos.field import HASTE
from tests.stack.alerts import texts
from tests.stack.sends import Send

pytestmark = [pytest.mark.stack, pytest.mark.e2e]

ROOT = Path(__file__).resolve().parents[2]
DAGS = (
    ROOT / "example_dags" / "twilio_event_streams.py",
    ROOT / "tests" / "stack" / "dags" / "chaos_sends.py",
    ROOT / "tests" / "e2e" / "dags" / "mariadb_storm.py",
)
WEBHOOKS = {
    "TWILIO__WEBHOOK_ENABLED": "True",
    "TWILIO__WEBHOOK_PUBLIC_URL": "{url}/twilio",
    "TWILIO__WEBHOOK_AUTH_TOKEN": AUTH_TOKEN,
    "TWILIO__WEBHOOK_WAKES": "True",
    "TWILIO__PUSH_POLL_INTERVAL": "30",
}
# MariaDB knows no WITH before a DELETE, which Airflow 3.3's scheduler cleans up its assets by: it ends there.
UNTIDY = {"SCHEDULER__PARSING_CLEANUP_INTERVAL": "86400"}


@pytest.fixture(scope="module")
def database() -> Iterator[mariadb.MariaDB]:
    if lacking := mariadb.missing():
        pytest.skip(lacking)
    with mariadb.mariadb_running() as started:
        yield started


@pytest.fixture(scope="module")
def stack(database: mariadb.MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An Airflow with two triggerers whose tables are in MariaDB."""
    folder = tmp_path_factory.mktemp("dags")
    for source in DAGS:
        (folder / source.name).symlink_to(source)
    env = {f"AIRFLOW__{name}": value for name, value in {**HASTE, **WEBHOOKS, **UNTIDY}.items()}
    env["AIRFLOW_CONN_ALERTS"] = database.connection("alerts")
    further = {"triggerer-2": ["triggerer"]}
    with Stack(folder, env=env, sql_alchemy_conn=database.sql_alchemy_conn, further=further) as started:
        yield started


def test_sends_that_are_killed_waits_and_webhooks_work_on_mariadb(
    stack: Stack, database: mariadb.MariaDB
) -> None:
    assert stack.emulator is not None
    stack.emulator.change(pace=25)  # longer than the first look and the initial delay
    stack.airflow.wait_for_dag("twilio_event_streams")
    pushed = stack.airflow.trigger("twilio_event_streams")
    stack.airflow.wait_for_task("twilio_event_streams", pushed, "declare", ("success",))
    crash = {"moment": "after 1 accepted", "act": "die"}
    killed = Send(stack, "chaos_bulk", conf=crash).start()
    unknown = Send(
        stack, "chaos_bulk", options={"unknown_after": 3.0}, conf={**crash, "moment": "before 1 accepted"}
    ).start()
    single = Send(stack, "chaos_single", conf={"moment": "after 1 accepted", "act": "die"}).start()
    for send in (killed, unknown, single):
        assert send.ended() == "success"
        assert send.counts() == [1] * 6
        assert len(stack.airflow.tries(send.dag_id, send.run_id, "send")) >= 2
    assert len(killed.ids()) == 3
    stored = dict(database.execute("SELECT dag_id, COUNT(*) FROM task_state_store GROUP BY dag_id"))
    assert {"chaos_bulk", "chaos_single"} <= set(stored)
    assert stack.airflow.wait_for_run("twilio_event_streams", pushed) == "success"
    assert re.search("Webhooks woke [1-9]", stack.component_log("api-server").read_text())
    headers = {"Authorization": stack.airflow._session.headers["Authorization"]}
    page = requests.get(f"{stack.url}/twilio-delivery/", headers=headers, timeout=60)
    assert page.status_code == 200
    assert "chaos_bulk / send" in page.text


def test_a_storm_is_one_text_by_a_table_of_mariadb(stack: Stack, database: mariadb.MariaDB) -> None:
    stack.airflow.wait_for_dag("mariadb_storm")
    run_id = stack.airflow.trigger("mariadb_storm")
    assert stack.airflow.wait_for_run("mariadb_storm", run_id) == "success"
    assert len(texts(stack.emulator, "+12025550176")) == 1
    rows = database.execute("SELECT state, SUM(held) FROM twilio_alerts GROUP BY state", "alerts")
    assert [(state, int(str(held))) for state, held in rows] == [("sent", 199)]
