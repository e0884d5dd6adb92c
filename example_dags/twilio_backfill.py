"""A daily campaign that texts nobody when it is backfilled.

It is backfilled with::

    airflow backfill create --dag-id twilio_backfill --from-date 2026-01-05 --to-date 2026-01-11

The default of ``on_backfill`` is ``skip`` for every operator that sends, since a backfill that texts last
week's guests again is the classic accident. The preflight only counts, so it runs in a backfill too: each run
is green, and reports how many people were not texted.

The connection ``bookings`` is a PostgreSQL with the tables of ``data/bookings.sql``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator

THANKS = {
    "sql_conn_id": "bookings",
    "sql": """
        SELECT phone, guest FROM bookings
        WHERE mod(id, 31) = extract(day FROM %(day)s::date)
        ORDER BY id
    """,
    "parameters": {"day": "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"},
    "number_column": "phone",
    "content": "Thank you for coming, {{ guest | default: 'dear guest' }}.",
    "sender": "+15005550006",
    "suppress": {"sql": "SELECT phone FROM do_not_text", "conn_id": "bookings"},
}

with DAG(
    "twilio_backfill",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    end_date=pendulum.datetime(2026, 1, 31),
    catchup=False,
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "sql", "backfill"],
):
    preflight = TwilioPreflightOperator(task_id="preflight", **THANKS)
    send = SqlToTwilioOperator(task_id="send", **THANKS, wait_for="accepted")

    @task(trigger_rule="none_failed")
    def report(found: dict, sent: dict | None) -> str:
        """Report the number of guests, and how many of them were texted."""
        return f"{found['recipients']} guests, {sent['recipients'] if sent else 0} texted"

    preflight >> send
    report(preflight.output, send.output)
