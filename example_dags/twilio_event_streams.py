"""Have Twilio tell Airflow when messages end, so that waiting tasks are woken instead of polling.

It takes the webhooks (``[twilio] webhook_enabled``, ``webhook_public_url``); with ``webhook_wakes`` the
second task goes on as soon as the events of its operation have come.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.event_streams import TwilioEventStreamOperator

with DAG(
    "twilio_event_streams",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "webhook", "bulk"],
) as dag:
    declare = TwilioEventStreamOperator(task_id="declare")
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=["+12025550101", "+12025550102"],
        content="The shop opens at nine tomorrow.",
        sender="+15005550006",
        wait_for="delivered",
        deferrable=True,
    )
    declare >> send
