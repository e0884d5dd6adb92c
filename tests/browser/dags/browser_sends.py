"""Sends for the browser: one that arrives, one that mostly fails, and a DAG for made-up rows."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

GOOD = [f"+1202555{number:04d}" for number in range(100, 104)]
BAD = ["+12025559003", "+12025559003", "+12025559610", "+12025559006"]

with DAG("browser_sends", schedule=None):
    for name, people in (("arrives", GOOD), ("fails", [*GOOD[:2], *BAD])):
        TwilioBulkMessageOperator(
            task_id=name,
            recipients=people,
            content="Your table is booked.",
            sender="+15005550006",
            wait_for="delivered",
            on_duplicate="keep",
            poll_interval=1,
            deferrable=False,
        )

with DAG("campaigns", schedule=None):

    @task
    def send() -> None:
        """Nothing: its runs are written into the database."""

    send()
