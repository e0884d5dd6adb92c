"""Bulk campaign: text everyone in a file, wait for delivery without a worker, and report the counts.

The message is Liquid, which Twilio renders for each recipient; the path is Jinja, which Airflow renders.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

RECIPIENTS = Path(__file__).parent / "data" / "recipients.csv"

with DAG(
    "twilio_bulk_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk"],
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients="{{ params.recipients }}",
        number_column="phone",
        content="Hello {{ name | default: 'there' }}, your order {{ order_number }} is ready to collect.",
        sender="+15005550006",
        wait_for="delivered",
        min_delivered=0.9,
        on_invalid_recipient="skip",
        poll_interval=5,
        deferrable=True,
        retries=2,
        retry_delay=pendulum.duration(seconds=5),
        params={"recipients": str(RECIPIENTS)},
    )

    @task
    def report(sent: dict) -> str:
        """Report the counts, for a message to the campaign's owner."""
        counts = ", ".join(f"{name} {count}" for name, count in sent["stats"].items() if count)
        return f"{sent['recipients']} recipients in {len(sent['operation_ids'])} requests: {counts}"

    report(send.output)
