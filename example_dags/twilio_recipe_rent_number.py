"""Recipe: rent a number for one campaign: buy it, put it into a messaging service, send, and give both back.

Releasing the number and deleting the service are teardown tasks, so they run after a failed send too and do
not turn the run green. A retry of ``buy`` buys no second number: ``send_key`` names the purchase.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.messaging_services import (
    TwilioDeleteMessagingServiceOperator,
    TwilioMessagingServiceOperator,
)
from airflow_provider_twilio_comms.operators.numbers import (
    TwilioBuyNumberOperator,
    TwilioReleaseNumberOperator,
)

NUMBER = "{{ ti.xcom_pull('buy')['sid'] }}"
SERVICE = "{{ ti.xcom_pull('service')['sid'] }}"

with DAG(
    "twilio_recipe_rent_number",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "numbers", "bulk"],
):
    buy = TwilioBuyNumberOperator(
        task_id="buy",
        country_code="US",
        criteria={"sms_enabled": True},
        name="campaign {{ run_id }}",
        send_key="{{ dag.dag_id }} {{ run_id }}",
    )
    service = TwilioMessagingServiceOperator(
        task_id="service", friendly_name="campaign {{ run_id }}", phone_numbers=[NUMBER]
    )
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=["+12025550101", "+12025550102"],
        content="The shop opens at nine tomorrow.",
        generation="classic",  # a messaging service sends through the classic API
        sender=SERVICE,
        wait_for="delivered",
        deferrable=True,
        retries=2,
    )
    delete = TwilioDeleteMessagingServiceOperator(task_id="delete", sid=SERVICE)
    release = TwilioReleaseNumberOperator(task_id="release", sid=NUMBER)

    buy >> service >> send >> delete.as_teardown(setups=service) >> release.as_teardown(setups=buy)
