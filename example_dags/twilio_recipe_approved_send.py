"""Recipe: count a campaign, ask for approval by text, and send it only after a yes.

The question tells how many people would be texted and what that may cost, as the preflight counted it. Nobody
is texted twice if the run is cleared after the answer. No answer within four hours is a no.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.approval import TwilioApprovalOperator
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator

CAMPAIGN = {
    "recipients": [{"phone": "+12025550101", "name": "Ines"}, {"phone": "+12025550102", "name": "Joe"}],
    "number_column": "phone",
    "content": "Hi {{ name | default: 'there' }}, our spring menu is here.",
    "sender": "+15005550006",
    "max_recipients": 50_000,
}

with DAG(
    "twilio_recipe_approved_send",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "approval", "bulk"],
):
    preflight = TwilioPreflightOperator(task_id="preflight", **CAMPAIGN)
    approve = TwilioApprovalOperator(
        task_id="approve",
        subject="Text {{ ti.xcom_pull('preflight')['recipients'] }} people for at most "
        "{{ ti.xcom_pull('preflight')['cost']['high'] }} USD?",
        approvers={"Ada": "+12025550143", "Grace": "+12025550144"},
        from_="+15005550006",
        timeout=timedelta(hours=4),
        default="NO",
        on_reject="skip",
        retries=2,
    )
    send = TwilioBulkMessageOperator(
        task_id="send", **CAMPAIGN, wait_for="processed", deferrable=True, retries=2
    )

    preflight >> approve >> send
