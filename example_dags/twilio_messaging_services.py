"""Declare a messaging service, schedule a message with it, and cancel the message."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.messages import TwilioCancelMessageOperator
from airflow_provider_twilio_comms.operators.messaging_services import (
    TwilioDeleteMessagingServiceOperator,
    TwilioListMessagingServicesOperator,
    TwilioMessagingServiceOperator,
)
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

with DAG(
    "twilio_messaging_services",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "messaging service", "single message"],
):
    service = TwilioMessagingServiceOperator(
        task_id="service",
        friendly_name="reminders",
        settings={"smart_encoding": True, "validity_period": 14_400},
        phone_numbers=["+15005550006"],
        alpha_senders=["Reminders"],
    )
    remind = TwilioSendMessageOperator(
        task_id="remind",
        to="+12025550143",
        messaging_service_sid="{{ ti.xcom_pull('service')['sid'] }}",
        body="Your table is booked for tonight.",
        send_at="{{ (dag_run.run_after + macros.timedelta(hours=2)).isoformat() }}",
        wait_for="queued",  # else the task waits until the message has gone out
        cancel_on_kill=True,
    )
    cancel = TwilioCancelMessageOperator(
        task_id="cancel", sids="{{ ti.xcom_pull('remind')['sids'] }}", if_too_late="skip"
    )
    every = TwilioListMessagingServicesOperator(task_id="every", fields=["sid", "friendly_name"])
    delete = TwilioDeleteMessagingServiceOperator(
        task_id="delete", sid="{{ ti.xcom_pull('service')['sid'] }}"
    )

    service >> remind >> cancel >> every >> delete
