"""Recipe: nightly reminders with every guard, receipts, and a second try for temporary failures.

A query gives the recipients, another one those who opted out. A preflight counts and prices the send and
stops one that is too large. Nobody is texted between nine in the evening and eight in the morning. Receipts
go to a table, and whoever failed for a temporary reason is texted once more.

The connection ``bookings`` is a PostgreSQL with the tables of ``data/bookings.sql``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator

SEND = {
    "sql_conn_id": "bookings",
    "number_column": "phone",
    "content": "Hi {{ guest | default: 'there' }}, your table for {{ party }} is booked for tonight.",
    "sender": "+15005550006",
    "suppress": {"sql": "SELECT phone FROM do_not_text", "conn_id": "bookings"},
    "on_duplicate": "first",
    "quiet_hours": "21:00-08:00 America/New_York",
    "max_recipients": 5_000,
    "max_cost": 200,
}
TONIGHT = {
    "sql": """
        SELECT phone, guest, party FROM bookings
        WHERE starts_at >= %(day)s::date AND starts_at < %(day)s::date + 1
        ORDER BY id
    """,
    "parameters": {"day": "{{ dag_run.run_after | ds }}"},
}
# Receipts of this send whose reason may have passed: each person once, with the variables of the first text.
FAILED = {
    "sql": """
        SELECT DISTINCT ON (b.phone) b.phone, b.guest, b.party
        FROM nightly_receipts r JOIN bookings b ON b.phone = r.recipient
        WHERE r.verdict = 'retry' AND r.operation_id = ANY(string_to_array(%(operations)s, ','))
        ORDER BY b.phone, b.id
    """,
    "parameters": {"operations": "{{ ti.xcom_pull('send')['operation_ids'] | join(',') }}"},
}

with DAG(
    "twilio_recipe_nightly",
    schedule="0 15 * * *",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "bulk", "sql"],
):
    preflight = TwilioPreflightOperator(task_id="preflight", **SEND, **TONIGHT)
    send = SqlToTwilioOperator(
        task_id="send",
        **SEND,
        **TONIGHT,
        max_age=pendulum.duration(hours=6),
        wait_for="delivered",
        min_delivered=0.5,
        max_failed=0.5,
        deferrable=True,
        retries=2,
    )
    receipts = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=send.output,
        sql_conn_id="bookings",
        table="nightly_receipts",
        create_table=True,
        redact="none",  # the table is beside the one that has the numbers anyway
    )
    again = SqlToTwilioOperator(task_id="again", **SEND, **FAILED, wait_for="accepted", retries=2)

    preflight >> send
    receipts >> again
