"""Tasks that wait, and note in ``folder`` when they go on.

``bench_push``    waits for an operation each, of ``ids``
``bench_answers`` waits for a person each, by Airflow's own operator: ``tasks`` is how many
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor

COMMON: dict[str, Any] = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1)}


def note(context: Any, name: str) -> None:
    """Write down the time, a line each time that a task goes on."""
    with (Path(context["dag_run"].conf["folder"]) / name).open("a") as file:
        file.write(f"{time.time()}\n")


class Waiting(TwilioOperationSensor):
    """Notes when it goes on."""

    def execute_complete(self, context: Any, event: Any) -> dict[str, Any]:
        note(context, str(self.operation_ids))
        return super().execute_complete(context, event)


class Asking(HITLOperator):
    """Notes when it goes on."""

    def __init__(self, *, place: int, **kwargs: Any) -> None:
        super().__init__(subject="Go on?", options=["Yes"], **kwargs)
        self.place = place

    def execute_complete(self, context: Any, event: Any) -> Any:
        note(context, f"{self.place}")
        return super().execute_complete(context, event)


with DAG("bench_push", max_active_tasks=10_000, **COMMON):

    @task
    def ids(dag_run: Any) -> list[str]:
        found: list[str] = dag_run.conf["ids"]
        return found

    Waiting.partial(
        task_id="wait", wait_for="processed", deferrable=True, timeout=6 * 3600, max_active_tis_per_dag=10_000
    ).expand(operation_ids=ids())

with DAG("bench_answers", max_active_tasks=10_000, **COMMON):

    @task
    def places(dag_run: Any) -> list[int]:
        return list(range(dag_run.conf["tasks"]))

    Asking.partial(task_id="wait", max_active_tis_per_dag=10_000).expand(place=places())
