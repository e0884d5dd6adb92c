"""Send in one task and wait in a sensor, so that a slow delivery can be cleared and retried by itself."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor

with DAG(
    "twilio_wait_elsewhere",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "sensor"],
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=["+12025550143", "+12025550144"],
        content="The doors open at seven.",
        sender="+15005550006",
        wait_for="accepted",
    )
    delivered = TwilioOperationSensor(
        task_id="delivered",
        operation_ids="{{ ti.xcom_pull('send')['operation_ids'] }}",
        wait_for="delivered",
        min_delivered=0.95,
        poke_interval=5,
        deferrable=True,
    )

    send >> delivered
