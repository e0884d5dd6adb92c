"""Recipe: a WhatsApp template to everyone, and an SMS to those whom it did not reach.

The send waits for every receipt and is green whatever fails, since failures are what the second task is for.
Which failures get an SMS is said by their verdicts; the people and their variables come from the same list.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.content_templates import TwilioContentTemplateOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
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
    # An opt-out of WhatsApp is none of these verdicts, so nobody who refused is texted.
    TwilioResendFailedOperator(
        task_id="sms",
        operation_ids=whatsapp.output,
        verdicts=["recipient", "retry", "unknown"],
        channel="phone",
        sender="+15005550006",
        recipients=GUESTS,
        number_column="phone",
        content="Hi {{ 1 }}, your table is ready.",
        wait_for="accepted",
        retries=2,
    )

    template >> approved >> whatsapp
