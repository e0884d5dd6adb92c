"""Recipe: a WhatsApp template to everyone, and an SMS to those whom it did not reach.

The send waits for every receipt and is green whatever fails, since failures are what the second task is for.
The file of receipts holds numbers, so that the fallback finds the people again: keep it where only you read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.content_templates import TwilioContentTemplateOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.sensors.template_approvals import TwilioTemplateApprovalSensor

TEMPLATE = "{{ ti.xcom_pull('template')['content_sid'] }}"
# The column "1" is the template's variable {{1}}; the emulator does not deliver to the second number.
GUESTS = [{"phone": "+12025550101", "1": "Ines"}, {"phone": "+12025559003", "1": "Joe"}]

with DAG(
    "twilio_recipe_whatsapp_fallback",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "whatsapp", "bulk"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/private
):
    template = TwilioContentTemplateOperator(
        task_id="template",
        friendly_name="table_ready",
        types={"twilio/text": {"body": "Hi {{1}}, your table is ready."}},
        variables={"1": "Ines"},
        language="en",
        whatsapp_category="UTILITY",
    )
    approved = TwilioTemplateApprovalSensor(
        task_id="approved", content_sids=TEMPLATE, deferrable=True, timeout=86_400
    )
    whatsapp = TwilioBulkMessageOperator(
        task_id="whatsapp",
        recipients=GUESTS,
        number_column="phone",
        channel="whatsapp",
        sender="whatsapp:+14155238886",
        content={"content_sid": TEMPLATE},
        render_content=True,  # for the template's id, which is Jinja
        wait_for="delivered",
        min_delivered=0.0,
        max_failed=1.0,
        deferrable=True,
        retries=2,
    )
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=whatsapp.output,
        output_path="{{ params.folder }}/whatsapp/{{ run_id }}.jsonl",
        redact="none",
    )

    @task.twilio_message(
        sender="+15005550006", number_column="phone", on_empty="skip", wait_for="accepted", retries=2
    )
    def sms(found: dict) -> tuple[str, Iterator[dict[str, str]]]:
        """Text those whose receipt is neither delivered nor read nor an opt-out."""
        lines = ObjectStoragePath(found["output_path"]).read_text().splitlines()
        missed = {
            row["recipient"].removeprefix("whatsapp:")
            for row in map(json.loads, lines)
            if row["status"] not in ("DELIVERED", "READ") and row["verdict"] != "opt-out"
        }
        return "Hi {{ 1 }}, your table is ready.", (each for each in GUESTS if each["phone"] in missed)

    template >> approved >> whatsapp
    sms(receipts.output)
