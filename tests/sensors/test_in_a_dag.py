"""The sensor in a DAG that runs: the ids come from another task, the wait is in the triggerer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


@pytest.mark.parametrize(
    ("number", "state"), [("+12025550100", "success"), ("+12025559003", "failed")], ids=["good", "bad"]
)
def test_a_sensor_waits_for_what_another_task_sent(
    emulator: Running, run_dag: Callable[..., DagRun], number: str, state: str
) -> None:
    emulator.twilio.change(pace=0.6)
    with DAG(f"waits_{state}", schedule=None) as dag:

        @task
        def send() -> dict[str, Any]:
            from airflow_provider_twilio_comms.api.comms import messages
            from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

            call = messages.send([{"address": number, "channel": "PHONE"}], "Hello")
            return {"operation_ids": [TwilioHook().run(call).operation_id]}

        wait = TwilioOperationSensor(
            task_id="wait",
            operation_ids="{{ ti.xcom_pull('send')['operation_ids'] }}",
            wait_for="delivered",
            deferrable=True,
            initial_delay=0,
            poke_interval=0.2,
            timeout=30,
        )
        send() >> wait
    run = run_dag(dag)
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    assert states == {"send": "success", "wait": state}
