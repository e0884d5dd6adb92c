"""The extra link to Twilio's console, and that Airflow is asked for no link that nobody has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

ADA, FROM = "+12025550101", "+15005550006"
LINK = "_link_TwilioConsoleLink"


def test_a_link_is_shown_where_there_is_one_and_not_asked_for_elsewhere(
    emulator: Running, run_dag: Callable[..., DagRun], capfd: pytest.CaptureFixture[str]
) -> None:
    emulator.twilio.change(pace=0.2)
    bulk: dict[str, Any] = {"recipients": [ADA], "content": "Hi", "sender": FROM}
    wait: dict[str, Any] = {"deferrable": True, "initial_delay": 0, "wait_for": "delivered"}
    with DAG("links", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        sent = TwilioBulkMessageOperator(task_id="deferred", poll_interval=0.2, **bulk, **wait)
        TwilioSendMessageOperator(task_id="single", to=ADA, from_=FROM, body="Hi")
        (
            TwilioOperationSensor(
                task_id="sensed", operation_ids="{{ ti.xcom_pull('deferred')['operation_ids'] }}"
            )
            << sent
        )
        TwilioPreflightOperator(task_id="preflight", **bulk)
        TwilioBulkMessageOperator(task_id="refused", **{**bulk, "recipients": [ADA[1:]]})
    run = run_dag(dag)
    links = {task.task_id: task.xcom_pull(task.task_id, key=LINK) for task in run.get_task_instances()}
    assert {name for name, link in links.items() if link} == {"deferred", "single", "sensed"}
    assert all(link.startswith(f"{emulator.url}/?search=") for link in links.values() if link)
    assert "XCom not found" not in "".join(capfd.readouterr())
