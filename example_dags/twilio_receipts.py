"""Collect delivery receipts, resend messages whose failure may be temporary, and trigger another DAG.

The receipts are a file here; with ``sql_conn_id`` and ``table`` they are rows of a database.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator

RECIPIENTS = Path(__file__).parent / "data" / "recipients.csv"
DELIVERED = Asset("campaign_delivered")
REMINDER = {
    "recipients": str(RECIPIENTS),
    "number_column": "phone",
    "content": "Hello {{ name | default: 'there' }}, your order {{ order_number }} is ready to collect.",
    "sender": "+15005550006",
    "on_invalid_recipient": "skip",
    "poll_interval": 5,
    "deferrable": True,
}

with DAG(
    "twilio_receipts",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "receipts"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/twilio
):
    send = TwilioBulkMessageOperator(task_id="send", **REMINDER)
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=send.output,
        output_path="{{ params.folder }}/receipts/{{ run_id }}.parquet",
        redact="numbers",  # hashes that can be joined on; redact="none" writes the numbers
        outlets=[DELIVERED],
    )
    # Only people whose failure may be temporary, each once, with their variables from the first send.
    again = TwilioResendFailedOperator(
        task_id="again",
        receipts="{{ ti.xcom_pull('receipts')['output_path'] }}",
        max_recipients=5_000,
        wait_for="accepted",
        **REMINDER,
    )

    @task
    def report(found: dict) -> str:
        """Report the counts, for a message to the campaign's owner."""
        delivered = sum(found["statuses"].get(status, 0) for status in ("DELIVERED", "READ"))
        reasons = ", ".join(f"{count} x {code}" for code, count in found["codes"].items())
        return f"{delivered} of {found['rows']} delivered; failures by code: {reasons or 'none'}"

    receipts >> again
    report(receipts.output)

with DAG(
    "twilio_campaign_delivered",
    schedule=DELIVERED,
    start_date=pendulum.datetime(2026, 1, 1),
    description="Read the counts of a campaign whose receipts are in, from the event of its asset.",
    doc_md=__doc__,
    tags=["twilio", "bulk", "receipts"],
):

    @task
    def counts(triggering_asset_events: dict) -> list[dict]:
        """Read the counts of the receipts from the event that started this run."""
        return [event.extra for events in triggering_asset_events.values() for event in events]

    counts()
