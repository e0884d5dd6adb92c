"""Campaign with variants: half of the people get the other text, a few get none, and a report compares both.

Who gets which follows from the campaign's name and the person, so that next week's campaign of that name has
the same people in each half. The report says which differences can be told from chance.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.campaign_report import TwilioCampaignReportOperator

with DAG(
    "twilio_campaign_variants",
    description=__doc__.partition("\n")[0],
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["twilio", "campaign"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/twilio
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=[f"+1202555{number:04d}" for number in range(1000, 1200)],
        variants={
            "plain": {"content": "The sale begins on Friday."},
            "urgent": {"content": "Two days left until the sale. Reply HELP for help, STOP to stop."},
        },
        holdout=0.05,
        campaign="spring sale",
        sender="+15005550006",
        wait_for="processed",
        max_failed=0.5,
        rejects_path="{{ params.folder }}/left_out.jsonl",
        poll_interval=5,
    )
    compare = TwilioCampaignReportOperator(
        task_id="compare",
        campaign="spring sale",
        operation_ids=send.output,
        baseline="plain",
        output_path="{{ params.folder }}/campaign.jsonl",
    )
