"""No more than two messages a week to a person, whatever the campaigns that want to text them."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

# In the connection's extra it holds for every send; here it is the task's. Counted in the database of the
# connection "campaigns", by hashes of the numbers, for which the Twilio connection needs a hash_secret.
TWICE_A_WEEK = {"messages": 2, "days": 7, "conn_id": "campaigns", "create_table": True}

with DAG(
    "twilio_frequency_cap",
    description=__doc__.partition("\n")[0],
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    doc_md=__doc__,
    tags=["twilio", "campaign"],
) as dag:
    before = None
    for name, people in (
        ("offers", ["+12025550101", "+12025550102"]),
        ("news", ["+12025550101", "+12025550102", "+12025550103"]),
        ("survey", ["+12025550101", "+12025550103"]),
    ):
        send = TwilioBulkMessageOperator(
            task_id=name,
            recipients=people,
            content=f"Our {name} of this week are here.",
            sender="+15005550006",
            frequency_cap=TWICE_A_WEEK,
        )
        before = send if before is None else before >> send
