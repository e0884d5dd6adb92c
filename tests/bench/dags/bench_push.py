"""Tasks that wait for an operation each, of ``ids``, and note in ``folder`` when they go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor


class Waiting(TwilioOperationSensor):
    """Notes the time, a line each time that it goes on."""

    def execute_complete(self, context: Any, event: Any) -> dict[str, Any]:
        folder = Path(context["dag_run"].conf["folder"])
        with (folder / str(self.operation_ids)).open("a") as file:
            file.write(f"{time.time()}\n")
        return super().execute_complete(context, event)


with DAG(
    "bench_push", schedule=None, start_date=pendulum.datetime(2026, 1, 1), max_active_tasks=10_000
) as dag:

    @task
    def ids(dag_run: Any) -> list[str]:
        found: list[str] = dag_run.conf["ids"]
        return found

    Waiting.partial(
        task_id="wait", wait_for="processed", deferrable=True, timeout=6 * 3600, max_active_tis_per_dag=10_000
    ).expand(operation_ids=ids())
