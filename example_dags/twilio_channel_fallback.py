"""Send over WhatsApp, and text those whom it does not reach: one more task, with another channel and sender.

The emulator's numbers that end in 5559337 have no WhatsApp.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator

GUESTS = [
    {"phone": "+12025550101", "name": "Ada"},
    {"phone": "+12035559337", "name": "Ben"},
    {"phone": "+12045550102", "name": "Cem"},
]
INVITATION = {
    "recipients": GUESTS,
    "number_column": "phone",
    "content": "Hi {{ name }}, your table is ready.",
    "poll_interval": 5,
    "deferrable": True,
}

with DAG(
    "twilio_channel_fallback",
    description=__doc__.partition("\n")[0],
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["twilio", "whatsapp", "bulk"],
):
    whatsapp = TwilioBulkMessageOperator(
        task_id="whatsapp",
        channel="whatsapp",
        sender="whatsapp:+14155238886",
        max_failed=1.0,  # whoever is not reached gets a text
        **INVITATION,
    )
    # 63003 (no WhatsApp) has the verdict "recipient"; nobody who has opted out is among them.
    text = TwilioResendFailedOperator(
        task_id="text",
        operation_ids=whatsapp.output,
        verdicts=["recipient", "retry"],
        channel="phone",
        sender="+15005550006",
        **INVITATION,
    )
