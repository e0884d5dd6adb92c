"""Content template: declare it, wait for WhatsApp's approval without a worker, and send it.

The template is created and submitted once, whatever is tried again.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.content_templates import TwilioContentTemplateOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from airflow_provider_twilio_comms.sensors.template_approvals import TwilioTemplateApprovalSensor

with DAG(
    "twilio_content_template",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "whatsapp", "template"],
):
    template = TwilioContentTemplateOperator(
        task_id="template",
        friendly_name="table_ready",
        types={
            "twilio/quick-reply": {
                "body": "Hi {{1}}, your table is ready. Are you coming?",
                "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
            }
        },
        variables={"1": "Ines"},
        language="en",
        whatsapp_category="UTILITY",
    )
    approved = TwilioTemplateApprovalSensor(
        task_id="approved",
        content_sids="{{ ti.xcom_pull('template')['content_sid'] }}",
        deferrable=True,
        timeout=86_400,
    )
    send = TwilioSendMessageOperator(
        task_id="send",
        to="whatsapp:+12025550101",
        from_="whatsapp:+14155238886",
        content_sid="{{ ti.xcom_pull('template')['content_sid'] }}",
        content_variables={"1": "Ines"},
    )

    template >> approved >> send
