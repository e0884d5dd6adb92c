"""The stack does what end-to-end tests lean on: it runs DAGs, breaks on demand, leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.processes import StackFailed, members
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.stack.leaks import credentials, leaks

pytestmark = pytest.mark.stack

DAGS = Path(__file__).with_name("dags")
DAG = "stack_waits"


def test_a_run_survives_a_killed_triggerer(stack: Stack) -> None:
    stack.airflow.wait_for_dag(DAG)
    run_id = stack.airflow.trigger(DAG)
    stack.airflow.wait_for_task(DAG, run_id, "wait", ("deferred",))
    stack.kill("triggerer")
    assert stack.components["triggerer"].processes() == []
    stack.start_component("triggerer")
    assert stack.airflow.wait_for_run(DAG, run_id) == "success"
    assert stack.airflow.xcom(DAG, run_id, "report") == "waited long enough"
    assert "working" in stack.airflow.log(DAG, run_id, "wait")


def test_a_killed_task_is_tried_again_and_can_be_marked_and_cleared(stack: Stack) -> None:
    stack.airflow.wait_for_dag(DAG)
    run_id = stack.airflow.trigger(DAG, {"working": 60})
    hit = stack.kill_task(DAG, run_id, "wait")
    assert hit["try_number"] == 1
    again = stack.airflow.wait_for_task(DAG, run_id, "wait", ("running",), min_try=2)
    assert len(stack.airflow.tries(DAG, run_id, "wait")) == 2
    assert again["id"] != hit["id"]
    stack.airflow.mark(DAG, run_id, "wait", "failed")
    assert stack.airflow.wait_for_run(DAG, run_id) == "failed"
    stack.airflow.clear(DAG, run_id)
    stack.airflow.wait_for_task(DAG, run_id, "wait", ("queued", "running"), min_try=3)
    stack.airflow.mark(DAG, run_id, "wait", "success")
    assert stack.airflow.wait_for_run(DAG, run_id) == "success"


def test_leaks_are_found_wherever_they_are(stack: Stack) -> None:
    stack.airflow.wait_for_dag(DAG)
    run_id = stack.airflow.trigger(DAG, {"note": "+44 (7700) 900123 told Zoë", "waiting": 0})
    stack.airflow.wait_for_run(DAG, run_id)
    found = leaks(
        stack, ["+447700900123", "told Zoë", "+447700900124", "told Zoë nothing", *credentials(stack)]
    )
    assert {leak.needle for leak in found} == {"+447700900123", "told Zoë"}
    places = {leak.where for leak in found}
    assert "dag_run.conf" in places
    assert any(place.startswith("logs/") and run_id in place for place in places)


def test_nothing_is_left_of_a_stack_that_failed_halfway() -> None:
    sessions: set[int] = set()

    def fail(stack: Stack) -> None:
        with stack:
            sessions.update(*(component.sessions for component in stack.components.values()))
            assert len(members(sessions)) > len(sessions)
            stack.pause("scheduler")
            raise ZeroDivisionError

    stack = Stack(DAGS, emulator=False)
    with pytest.raises(ZeroDivisionError):
        fail(stack)
    assert members(sessions) == []
    assert not stack.home.exists()


def test_a_component_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    stack = Stack(DAGS, emulator=False, home=tmp_path, env={"AIRFLOW__CORE__EXECUTOR": "NoSuchExecutor"})
    with pytest.raises(StackFailed, match=r"exited with(.|\n)*NoSuchExecutor"):
        stack.start()
    assert (tmp_path / "scheduler.log").exists()
