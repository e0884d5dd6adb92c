"""Reminders from a table, and a backfill of a week that sends nothing, through a real scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.postgres import Postgres
from tests.stack.leaks import leaks

pytestmark = pytest.mark.stack

DAG = "stack_backfilled"
NUMBER = "+12025550199"


def recipients(stack: Stack) -> Any:
    assert stack.emulator is not None
    return requests.get(f"{stack.emulator.url}/_emulator/ledger", timeout=10).json()["recipients"]


def test_a_backfill_of_a_week_sends_nothing(stack: Stack) -> None:
    stack.airflow.wait_for_dag(DAG)
    before = [run["dag_run_id"] for run in stack.airflow.call("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]]
    week = {"from_date": "2026-01-05T00:00:00Z", "to_date": "2026-01-11T00:00:00Z"}
    stack.airflow.call("POST", "/backfills", json={"dag_id": DAG, **week})

    def ended() -> list[dict[str, Any]] | None:
        runs = stack.airflow.call("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        ours = [run for run in runs if run["dag_run_id"] not in before]
        done = len(ours) == 7 and all(run["state"] in ("success", "failed") for run in ours)
        return ours if done else None

    for run in until(ended, timeout=240, what="the backfill to end", interval=1):
        assert (run["run_type"], run["state"]) == ("backfill", "success")
        states = {task["task_id"]: task["state"] for task in stack.airflow.tasks(DAG, run["dag_run_id"])}
        assert states == {"preflight": "success", "send": "skipped"}
        report = stack.airflow.xcom(DAG, run["dag_run_id"], "preflight")
        assert '"recipients": 1' in report if isinstance(report, str) else report["recipients"] == 1
    log = stack.airflow.log(DAG, run["dag_run_id"], "send")
    assert "This run is a backfill, and on_backfill='skip'" in log
    assert NUMBER not in log
    assert NUMBER not in recipients(stack)


def test_reminders_go_from_the_table_to_the_phones(stack: Stack, postgres: Postgres) -> None:
    dag = "twilio_sql_reminders"
    script = Path(__file__).resolve().parents[2] / "example_dags" / "data" / "bookings.sql"
    postgres.execute(script.read_text())
    body = {"connection_id": "bookings", "conn_type": "postgres", "host": "127.0.0.1", "login": "postgres"}
    stack.airflow.call(
        "POST", "/connections", json={**body, "port": postgres.port, "schema": "postgres", "password": "x"}
    )
    stack.airflow.wait_for_dag(dag)
    run_id = stack.airflow.trigger(dag)
    stack.airflow.call("PATCH", f"/dags/{dag}", json={"is_paused": False})
    stack.airflow.wait_for_run(dag, run_id, timeout=240)
    states = {task["task_id"]: task["state"] for task in stack.airflow.tasks(dag, run_id)}
    assert set(states.values()) == {"success"}, states
    assert "of 196 reminded" in str(stack.airflow.xcom(dag, run_id, "report"))
    stack.airflow.call("PATCH", f"/dags/{dag}", json={"is_paused": True})
    numbers = [str(phone) for (phone,) in postgres.execute("SELECT phone FROM bookings LIMIT 20")]
    assert leaks(stack, numbers) == []
