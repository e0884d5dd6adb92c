"""Alerts from a real Airflow: its workers, its DAG processor and its triggerer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from airflow_provider_twilio_comms.demo.processes import tail, until
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.stack.alerts import begun_by_both, texts

pytestmark = pytest.mark.stack


def held(stack: Stack) -> int:
    """Count how many alerts are counted as held back."""
    found = stack.airflow.call("GET", "/variables?limit=1&variable_key_pattern=.held.")
    return int(found["total_entries"])


def claims(stack: Stack) -> int:
    found = stack.airflow.call("GET", "/variables?limit=1&variable_key_pattern=.claim.")
    return int(found["total_entries"])


def test_a_storm_of_mapped_tasks_is_one_text_and_so_is_the_dags(stack: Stack) -> None:
    before = held(stack)
    stack.airflow.wait_for_dag("stack_storm")
    run_id = stack.airflow.trigger("stack_storm")
    assert stack.airflow.wait_for_run("stack_storm", run_id) == "failed"
    until(lambda: texts(stack.emulator, "+12025550172") or None, timeout=300, what="the DAG's own alert")
    (task,) = texts(stack.emulator, "+12025550171")
    assert task.startswith("stack_storm.fail[")
    assert "] failed, try 1/1\nValueError: no rows for <number>\nhttp" in task
    (dag,) = texts(stack.emulator, "+12025550172")
    assert dag.startswith("stack_storm failed\n")
    assert held(stack) - before == 11
    assert claims(stack) == 0


def test_a_storm_of_1000_failures_in_four_workers_is_one_text_and_999_held_back(stack: Stack) -> None:
    before = held(stack)
    stack.airflow.wait_for_dag("stack_big_storm")
    run_id = stack.airflow.trigger("stack_big_storm")
    assert stack.airflow.wait_for_run("stack_big_storm", run_id, timeout=300) == "success"
    assert len(texts(stack.emulator, "+12025550175")) == 1
    assert held(stack) - before == 999
    assert claims(stack) == 0


def test_a_deadline_missed_under_two_triggerers_is_one_text(stack: Stack, second_triggerer: None) -> None:
    assert stack.emulator is not None
    # Every triggerer that is alive runs a callback, unless the first is done before the next one looks.
    stack.emulator.fault(kind="slow", method="POST", path="/Messages", seconds=8)
    before = begun_by_both(stack.home)
    stack.airflow.wait_for_dag("stack_deadline_async")
    stack.airflow.wait_for_run("stack_deadline_async", stack.airflow.trigger("stack_deadline_async"))
    until(lambda: texts(stack.emulator, "+12025550173") or None, timeout=300, what="the deadline's alert")
    until(
        lambda: begun_by_both(stack.home) - before or None,
        timeout=300,
        what="both triggerers to run the callback",
    )
    time.sleep(10)  # the slow request, and whatever the other one does after it
    (text,) = texts(stack.emulator, "+12025550173")
    assert text.startswith("stack_deadline_async missed its deadline 20")
    assert "held back" not in text


def test_a_deadline_missed_with_a_synchronous_callback_is_one_text(stack: Stack) -> None:
    stack.airflow.wait_for_dag("stack_deadline_sync")
    stack.airflow.wait_for_run("stack_deadline_sync", stack.airflow.trigger("stack_deadline_sync"))
    until(lambda: texts(stack.emulator, "+12025550174") or None, timeout=300, what="the deadline's alert")
    time.sleep(2)
    (text,) = texts(stack.emulator, "+12025550174")
    assert text.startswith("stack_deadline_sync missed its deadline 20")


@pytest.fixture
def second_triggerer(stack: Stack) -> Iterator[None]:
    """Another triggerer, once it has reported in."""
    before, path = triggerers(stack), stack.home / "triggerer-2.log"
    command = [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"]
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=stack.env, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: triggerers(stack) - before or None, timeout=300, what="a second triggerer")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=300)
        print(tail(path, lines=20))


def triggerers(stack: Stack) -> set[int]:
    """The jobs of those that are alive; one that was killed is among them for a while."""
    found = stack.airflow.call("GET", "/jobs?job_type=TriggererJob&job_state=running&is_alive=true")
    return {job["id"] for job in found["jobs"]}
