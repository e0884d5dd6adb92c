"""An Airflow that empties the state store of a green task: a clear of it texts nobody again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.stack import Stack

pytestmark = pytest.mark.stack

DAG = """
import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

with DAG("forgetful", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    given = {"content": "Hello", "sender": "+15005550006", "wait_for": "accepted"}
    for generation in ("comms", "classic"):
        TwilioBulkMessageOperator(
            task_id=generation, recipients=["+12025550101", "+12025550102"], generation=generation, **given
        )
    TwilioSendMessageOperator(task_id="single", to="+12025550101", from_="+15005550006", body="Hi")
"""
TASKS = ("comms", "classic", "single")


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Stack]:
    (tmp_path / "forgetful.py").write_text(DAG)
    with Stack(tmp_path, env={"AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS": "True"}) as stack:
        stack.airflow.wait_for_dag("forgetful")
        yield stack


def test_a_clear_of_green_tasks_texts_nobody_again(forgetful: Stack) -> None:
    airflow, emulator = forgetful.airflow, forgetful.emulator
    assert emulator is not None
    run = airflow.trigger("forgetful")
    assert airflow.wait_for_run("forgetful", run) == "success"
    assert [airflow.state_store("forgetful", run, task) for task in TASKS] == [{}, {}, {}]
    sent = emulator.ledger()
    assert sum(sent.values()) == 5
    airflow.clear("forgetful", run)
    for task in TASKS:
        airflow.wait_for_task("forgetful", run, task, min_try=2)
    assert airflow.wait_for_run("forgetful", run) == "success"
    assert emulator.ledger() == sent
