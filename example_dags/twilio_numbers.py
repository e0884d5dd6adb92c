"""Buy a phone number once for all runs of this DAG, configure it, and release it."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.numbers import (
    TwilioBuyNumberOperator,
    TwilioListNumbersOperator,
    TwilioReleaseNumberOperator,
    TwilioSearchNumbersOperator,
    TwilioUpdateNumberOperator,
    TwilioUpdateShortCodeOperator,
)

INBOUND = "https://example.com/inbound"

with DAG(
    "twilio_numbers",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "numbers"],
):
    search = TwilioSearchNumbersOperator(
        task_id="search",
        country_code="US",
        kind="toll_free",
        limit=5,
        fields=["phone_number", "capabilities"],
    )
    buy = TwilioBuyNumberOperator(
        task_id="buy",
        country_code="US",
        criteria={"sms_enabled": True},
        name="reminders",
        send_key="{{ dag.dag_id }}",
    )
    update = TwilioUpdateNumberOperator(
        task_id="update", sid="{{ ti.xcom_pull('buy')['sid'] }}", settings={"sms_url": INBOUND}
    )
    code = TwilioUpdateShortCodeOperator(
        task_id="short_code", sid="SC12121212121212121212121212121212", settings={"sms_url": INBOUND}
    )
    every = TwilioListNumbersOperator(task_id="every", fields=["sid", "friendly_name", "sms_url"])
    release = TwilioReleaseNumberOperator(task_id="release", sid="{{ ti.xcom_pull('buy')['sid'] }}")

    search >> buy >> update >> code >> every >> release
