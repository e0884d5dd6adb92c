"""A DAG that does what the stack's own tests need: run, wait deferred, run on; nothing of Twilio."""

from __future__ import annotations

import datetime
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, Context, task


class Wait(BaseOperator):
    """Sleeps in the worker for ``working`` seconds and in the triggerer for ``waiting``."""

    def execute(self, context: Context) -> None:
        conf = context["dag_run"].conf or {}
        print("working", conf.get("note", ""))
        deadline = datetime.datetime.now() + datetime.timedelta(seconds=conf.get("working", 0))
        while datetime.datetime.now() < deadline:
            pass
        waiting = datetime.timedelta(seconds=conf.get("waiting", 10))
        self.defer(trigger=TimeDeltaTrigger(waiting), method_name="resumed")

    def resumed(self, context: Context, event: Any) -> str:
        return "waited"


with DAG("stack_waits", schedule=None):

    @task
    def report(word: str) -> str:
        return f"{word} long enough"

    report(Wait(task_id="wait", retries=2, retry_delay=datetime.timedelta(seconds=1)).output)
