"""A DAG that would text somebody every day of January: what a backfill of it must not do."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator

SEND = {"recipients": ["+12025550199"], "content": "See you tonight.", "sender": "+15005550006"}

with DAG(
    "stack_backfilled",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    end_date=pendulum.datetime(2026, 1, 31),
    catchup=False,
):
    TwilioPreflightOperator(task_id="preflight", **SEND) >> TwilioBulkMessageOperator(
        task_id="send", **SEND, wait_for="accepted"
    )
