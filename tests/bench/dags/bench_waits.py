"""Tasks that wait in the triggerer from the start, without a worker: ours, and as many that only sleep."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import StartTriggerArgs

PLAN = json.loads(Path(os.environ["BENCH_WAITS"]).read_text())


class Waiting(BaseOperator):
    """Deferred by the scheduler itself, so that thousands cost no worker."""

    start_from_trigger = True

    def __init__(self, *, trigger: str, arguments: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=trigger,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            next_kwargs=None,
            timeout=timedelta(hours=1),
        )

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Nobody gets here in the time that is measured."""


for dag_id, waits in PLAN.items():
    with DAG(dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1), max_active_tasks=1000) as dag:
        for number, (trigger, arguments) in enumerate(waits):
            Waiting(task_id=f"wait_{number}", trigger=trigger, arguments=arguments)
    globals()[dag_id] = dag
