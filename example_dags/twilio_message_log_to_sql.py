"""Copy the message log to a table: yesterday's messages, and changes of the three days before.

The connection ``bookings`` is a PostgreSQL, such as the one with the tables of ``data/bookings.sql``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.transfers.messages_to_sql import TwilioMessagesToSqlOperator

with DAG(
    "twilio_message_log_to_sql",
    schedule="30 4 * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "message log", "sql"],
):
    messages = TwilioMessagesToSqlOperator(
        task_id="messages",
        sql_conn_id="bookings",
        table="twilio_messages",
        create_table=True,
        interval_start="{{ (dag_run.run_after - macros.timedelta(days=1)).date() }}",
        interval_end="{{ dag_run.run_after.date() }}",
        lookback=pendulum.duration(days=3),
        redact="all",
        retries=2,
        retry_delay=pendulum.duration(minutes=1),
    )
