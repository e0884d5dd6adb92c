"""Campaign at a pace: spread over four hours of the afternoon, on each recipient's own clock, by Twilio.

The task ends once Twilio has all requests; none of them is due before its time, and no worker waits.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator

CAMPAIGN = {
    "recipients": str(Path(__file__).parent / "data" / "recipients.csv"),
    "number_column": "phone",
    "content": "Hello {{ name | default: 'there' }}, order {{ order_number }} comes tomorrow.",
    "sender": "+15005550006",
    "on_invalid_recipient": "skip",
    "send_at": "{{ dag_run.run_after.isoformat() }}",  # from then on: Airflow 3.2 cannot keep when it began
    "send_at_local": "13:00",
    "spread_over": pendulum.duration(hours=4),
    "quiet_hours": "21:00-08:00",
}

with DAG(
    "twilio_campaign_pace",
    description=__doc__.partition("\n")[0],
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["twilio", "campaign"],
):
    look = TwilioPreflightOperator(task_id="look", **CAMPAIGN)
    send = TwilioBulkMessageOperator(task_id="send", wait_for="accepted", **CAMPAIGN)
    look >> send
