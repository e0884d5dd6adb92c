"""Copy data from Twilio to files: media, prices, deactivated numbers, and the reply to any API request."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.api_request import TwilioApiRequestOperator
from airflow_provider_twilio_comms.operators.deactivations import TwilioDeactivatedNumbersOperator
from airflow_provider_twilio_comms.operators.media import (
    TwilioDeleteMediaOperator,
    TwilioDownloadMediaOperator,
)
from airflow_provider_twilio_comms.operators.prices import TwilioMessagingPricesOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

with DAG(
    "twilio_files",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "files"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/twilio
):
    picture = TwilioSendMessageOperator(
        task_id="picture",
        to="+12025550143",
        from_="+15005550006",
        media_url="https://demo.twilio.com/owl.png",
        wait_for="sent",
        poll_interval=5,
        deferrable=True,
    )
    download = TwilioDownloadMediaOperator(
        task_id="download",
        sids="{{ ti.xcom_pull('picture')['sids'] }}",
        output_path="{{ params.folder }}/media",
    )
    delete = TwilioDeleteMediaOperator(task_id="delete", sids="{{ ti.xcom_pull('picture')['sids'] }}")
    prices = TwilioMessagingPricesOperator(
        task_id="prices", countries=["US", "GB"], output_path="{{ params.folder }}/prices.parquet"
    )
    deactivated = TwilioDeactivatedNumbersOperator(
        task_id="deactivated",
        day="{{ (dag_run.run_after - macros.timedelta(days=2)).date() }}",
        output_path="{{ params.folder }}/deactivated.txt",
        deferrable=True,
    )
    balance = TwilioApiRequestOperator(
        task_id="balance", call="classic.usage.balance", fields=["balance", "currency"]
    )
    templates = TwilioApiRequestOperator(
        task_id="templates", call="content.list_with_approvals", fields=["sid", "friendly_name"]
    )

    picture >> download >> delete >> prices >> deactivated >> balance >> templates
