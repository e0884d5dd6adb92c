"""Single messages: text the person on call, wait for delivery, and redact or delete the messages."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.messages import (
    TwilioDeleteMessageOperator,
    TwilioListMessagesOperator,
    TwilioMessageFeedbackOperator,
    TwilioRedactMessageOperator,
)
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from airflow_provider_twilio_comms.sensors.messages import TwilioMessageSensor

with DAG(
    "twilio_single_messages",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "single message"],
    params={"on_call": "+12025550143"},
):
    tell = TwilioSendMessageOperator(
        task_id="tell",
        to="{{ params.on_call }}",
        from_="+15005550006",
        body="The nightly load of {{ dag_run.run_after.date() }} has failed, please look.",
        options={"provide_feedback": True, "validity_period": 3600},
        retries=2,
    )
    delivered = TwilioMessageSensor(
        task_id="delivered",
        sids="{{ ti.xcom_pull('tell')['sids'] }}",
        wait_for="delivered",
        poke_interval=5,
        deferrable=True,
    )
    by_whatsapp = TwilioSendMessageOperator(
        task_id="by_whatsapp",
        to="whatsapp:{{ params.on_call }}",
        from_="whatsapp:+14155238886",
        body="The load works again.",
        wait_for="delivered",
        poll_interval=5,
        deferrable=True,
    )
    acted = TwilioMessageFeedbackOperator(
        task_id="acted", sids="{{ ti.xcom_pull('tell')['sids'] }}", outcome="confirmed"
    )
    latest = TwilioListMessagesOperator(task_id="latest", to="{{ params.on_call }}", limit=10)
    redact = TwilioRedactMessageOperator(task_id="redact", sids="{{ ti.xcom_pull('tell')['sids'] }}")
    delete = TwilioDeleteMessageOperator(task_id="delete", sids="{{ ti.xcom_pull('by_whatsapp')['sids'] }}")

    tell >> delivered >> by_whatsapp >> acted >> latest >> redact >> delete
