"""Reminders from a table, and a backfill of a week that sends nothing, through a real scheduler."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.conftest import EXAMPLES
from tests.postgres import Postgres
from tests.stack.leaks import leaks

pytestmark = pytest.mark.stack


def recipients(stack: Stack) -> Any:
    assert stack.emulator is not None
    return requests.get(f"{stack.emulator.url}/_emulator/ledger", timeout=300).json()["recipients"]


@pytest.fixture(scope="module")
def bookings(stack: Stack, postgres: Postgres) -> Postgres:
    """A real PostgreSQL with the bookings, which the connection of the examples names."""
    postgres.execute((EXAMPLES / "data" / "bookings.sql").read_text())
    body = {"connection_id": "bookings", "conn_type": "postgres", "host": "127.0.0.1", "login": "postgres"}
    stack.airflow.call(
        "POST", "/connections", json={**body, "port": postgres.port, "schema": "postgres", "password": "x"}
    )
    return postgres


def test_a_backfill_of_a_week_sends_nothing(stack: Stack, bookings: Postgres) -> None:
    dag = "twilio_backfill"
    stack.airflow.wait_for_dag(dag)
    before = [run["dag_run_id"] for run in stack.airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]]
    week = {"from_date": "2026-01-05T00:00:00Z", "to_date": "2026-01-11T00:00:00Z"}
    texted = set(recipients(stack))
    stack.airflow.call("POST", "/backfills", json={"dag_id": dag, **week})

    def ended() -> list[dict[str, Any]] | None:
        runs = stack.airflow.call("GET", f"/dags/{dag}/dagRuns?limit=100")["dag_runs"]
        ours = [run for run in runs if run["dag_run_id"] not in before]
        done = len(ours) == 7 and all(run["state"] in ("success", "failed") for run in ours)
        return ours if done else None

    guests = dict(bookings.execute("SELECT mod(id, 31)::int, count(*)::int FROM bookings GROUP BY 1"))
    unwanted = bookings.execute("SELECT mod(id, 31)::int FROM bookings JOIN do_not_text USING (phone)")
    for run in until(ended, timeout=300, what="the backfill to end", interval=1):
        assert (run["run_type"], run["state"]) == ("backfill", "success")
        states = {task["task_id"]: task["state"] for task in stack.airflow.tasks(dag, run["dag_run_id"])}
        assert states == {"preflight": "success", "send": "skipped", "report": "success"}
        day = int(run["logical_date"][8:10])
        wanted = guests[day] - unwanted.count((day,))
        assert f"{wanted} guests, 0 texted" in str(stack.airflow.xcom(dag, run["dag_run_id"], "report"))
    log = stack.airflow.log(dag, run["dag_run_id"], "send")
    assert "This run is a backfill, and on_backfill='skip'" in log
    assert set(recipients(stack)) == texted
    numbers = [str(phone) for (phone,) in bookings.execute("SELECT phone FROM bookings")]
    assert not [number for number in numbers if number in log]


def test_reminders_go_from_the_table_to_the_phones(stack: Stack, bookings: Postgres) -> None:
    dag = "twilio_sql_reminders"
    stack.airflow.wait_for_dag(dag)
    run_id = stack.airflow.trigger(dag)
    stack.airflow.call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def ended() -> list[str] | None:
        # Airflow starts the latest run of the schedule as well. Until 21:00 UTC it is young enough to send.
        runs = stack.airflow.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        kinds = {run["run_type"] for run in runs if run["state"] in ("success", "failed")}
        done = kinds == {"manual", "scheduled"} and all(run["end_date"] for run in runs)
        return [run["dag_run_id"] for run in runs] if done else None

    runs = until(ended, timeout=300, what="the reminders to end", interval=1)
    stack.airflow.call("PATCH", f"/dags/{dag}", json={"is_paused": True})
    states = {task["task_id"]: task["state"] for task in stack.airflow.tasks(dag, run_id)}
    assert set(states.values()) == {"success"}, states
    assert "of 196 reminded" in str(stack.airflow.xcom(dag, run_id, "report"))
    sent = {run: operations(stack, run) for run in runs}
    (ours,) = sent[run_id]
    counted = bookings.execute(
        "SELECT operation_id, count(*)::int, count(DISTINCT recipient)::int FROM reminder_receipts GROUP BY 1"
    )
    assert (ours, 196, 196) in counted
    assert counted == [(each, 196, 196) for each, _, _ in counted]
    assert {each for each, _, _ in counted} == {each for of_run in sent.values() for each in of_run}
    numbers = [str(phone) for (phone,) in bookings.execute("SELECT phone FROM bookings LIMIT 20")]
    assert leaks(stack, numbers) == []


def operations(stack: Stack, run_id: str) -> list[str]:
    """Those of a run of the reminders, if it sent any."""
    states = {task["task_id"]: task["state"] for task in stack.airflow.tasks("twilio_sql_reminders", run_id)}
    if states["send"] == "skipped":
        return []
    found: list[str] = stack.airflow.xcom("twilio_sql_reminders", run_id, "send")["operation_ids"]
    return found
