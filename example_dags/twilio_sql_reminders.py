"""Reminders from a SQL query: preflight, send, wait for delivery, and load the receipts into a table.

The connection ``bookings`` is a PostgreSQL with the tables of ``data/bookings.sql``. A backfill of this DAG
counts and sends nothing: the default of ``on_backfill`` is ``skip``, and the preflight only counts.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, task

from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator

REMINDED = Asset("guests_reminded")  # another DAG can run when this one has sent, and read the counts

TONIGHT = {
    "sql_conn_id": "bookings",
    "sql": """
        SELECT phone, guest, party, to_char(starts_at, 'HH24:MI') AS at
        FROM bookings
        WHERE starts_at >= %(day)s::date AND starts_at < %(day)s::date + 1
        ORDER BY id
    """,
    "parameters": {"day": "{{ dag_run.run_after | ds }}"},
    "number_column": "phone",
    "content": "Hi {{ guest | default: 'there' }}, your table for {{ party }} is booked for {{ at }}.",
    "sender": "+15005550006",
    "suppress": {"sql": "SELECT phone FROM do_not_text", "conn_id": "bookings"},
    "on_duplicate": "first",
    "max_recipients": 5_000,
    "max_cost": 200,
}

with DAG(
    "twilio_sql_reminders",
    schedule="0 15 * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "sql", "receipts"],
):
    preflight = TwilioPreflightOperator(task_id="preflight", **TONIGHT)
    send = SqlToTwilioOperator(
        task_id="send",
        **TONIGHT,
        send_key="reminders of {{ dag_run.run_after | ds }}",  # the day's send, whoever starts it
        max_age=pendulum.duration(hours=6),
        wait_for="delivered",
        min_delivered=0.9,
        poll_interval=5,
        deferrable=True,
        outlets=[REMINDED],
        retries=2,
        retry_delay=pendulum.duration(seconds=30),
    )
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=send.output,
        sql_conn_id="bookings",
        table="reminder_receipts",
        create_table=True,
        redact="none",  # the table is beside the one that has the numbers anyway
    )

    @task
    def report(found: dict, became: dict) -> str:
        """Report the counts and the cost."""
        delivered = sum(became["statuses"].get(status, 0) for status in ("DELIVERED", "READ"))
        codes = ", ".join(f"{count} x {code}" for code, count in became["codes"].items()) or "none"
        cost = found["cost"]["high"]
        return f"{delivered} of {became['rows']} reminded, for at most {cost} USD; failures: {codes}"

    preflight >> send
    report(preflight.output, receipts.output)
