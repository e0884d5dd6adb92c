"""Recipe: wait until every message has its receipt, stay green whatever failed, and write the receipts.

``wait_for="delivered"`` alone is red unless everybody was reached. ``min_delivered=0.0`` asks for nobody in
particular and ``max_failed=1.0`` allows every failure; the log's last line counts both all the same.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator

with DAG(
    "twilio_recipe_every_receipt",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "bulk", "receipts"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/receipts
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=["+12025550101", "+12025559003", "+12025559005"],  # the emulator delivers to the first
        content="The doors open at seven.",
        sender="+15005550006",
        wait_for="delivered",
        min_delivered=0.0,
        max_failed=1.0,
        deferrable=True,
        retries=2,
    )
    TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=send.output,
        output_path="{{ params.folder }}/receipts/{{ run_id }}.jsonl",
        redact="numbers",
    )
