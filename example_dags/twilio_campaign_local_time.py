"""Campaign at nine o'clock their time: on each recipient's next working day, and on no public holiday."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

CUSTOMERS = [
    {"phone": "+12025550101", "name": "Ada", "zone": "America/Los_Angeles"},  # a number of Washington
    {"phone": "+4915255501001", "name": "Jörg"},
    {"phone": "+447400123456", "name": "Zoë"},
    {"phone": "+819012345678", "name": "Rin"},
]

with DAG(
    "twilio_campaign_local_time",
    description=__doc__.partition("\n")[0],
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["twilio", "campaign"],
):
    send = TwilioBulkMessageOperator(
        task_id="send",
        recipients=CUSTOMERS,
        number_column="phone",
        time_zone_column="zone",
        content="Good morning {{ name }}, your points expire on Friday.",
        sender="+15005550006",
        send_at="{{ dag_run.run_after.isoformat() }}",  # from then on: Airflow 3.2 cannot keep when it began
        send_at_local="09:00",
        send_window="Mon-Fri 08:00-18:00",
        holidays=True,
        wait_for="accepted",
    )
