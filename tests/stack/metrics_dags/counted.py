"""A send whose wait is deferred, and a task whose failure is told: a count from each process of Airflow."""

from __future__ import annotations

import datetime

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

ALERT = {"to": "+12025550179", "from_": "+15005550006"}

with DAG("stack_counted", schedule=None):
    TwilioBulkMessageOperator(
        task_id="send",
        recipients=[f"+1202555{number:04d}" for number in range(25)],
        content="Hello",
        sender="+15005550006",
        wait_for="delivered",
        poll_interval=1,
        deferrable=True,
    )

with DAG(
    "stack_alerted",
    schedule=None,
    on_failure_callback=TwilioNotifier(**ALERT),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=datetime.timedelta(seconds=1),
        callback=AsyncCallback(TwilioNotifier, kwargs=ALERT),
    ),
):

    @task(on_failure_callback=TwilioNotifier(**ALERT))
    def fail() -> None:
        raise ValueError("no rows")

    fail()
