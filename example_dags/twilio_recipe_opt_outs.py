"""Recipe: the opt-out loop: whoever unsubscribes goes into a table, and no campaign texts them again.

Twilio's webhook of incoming messages makes an asset event of each STOP (or UNSUBSCRIBE, CANCEL, QUIT ...),
and the first DAG stores its number. The second sends, with that table as ``suppress``. Without webhooks, use
the watcher of ``twilio_replies``, which polls. The event holds the message's id, by which its sender is read.

The connection ``bookings`` is a PostgreSQL with the tables of ``data/bookings.sql``.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, task

from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator

opt_outs = Asset("twilio://webhook/opt-out")

with DAG(
    "twilio_recipe_opt_outs",
    schedule=opt_outs,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "opt-out", "webhook"],
) as storing:

    @task
    def store(triggering_asset_events: Any = None) -> int:
        """Insert the numbers of those who opted out; one that is there already stays."""
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        from airflow_provider_twilio_comms.api.classic import messages
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        sids = {event.extra["payload"]["sid"] for event in (triggering_asset_events or {}).get(opt_outs, [])}
        hook = TwilioHook()
        numbers = [(hook.run(messages.fetch(sid)).from_,) for sid in sorted(sids)]
        statement = "INSERT INTO do_not_text VALUES (%s) ON CONFLICT DO NOTHING"
        for number in numbers:
            PostgresHook("bookings").run(statement, parameters=number)
        return len(numbers)

    store()

with DAG(
    "twilio_recipe_opt_outs_campaign",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description="Recipe: a campaign that leaves out everyone in the table of opt-outs.",
    doc_md=__doc__,
    tags=["twilio", "recipe", "opt-out", "bulk", "sql"],
) as campaign:
    SqlToTwilioOperator(
        task_id="send",
        sql_conn_id="bookings",
        sql="SELECT DISTINCT phone FROM bookings ORDER BY phone",
        number_column="phone",
        content="The terrace is open from tomorrow. Reply STOP to unsubscribe.",
        sender="+15005550006",
        suppress={"sql": "SELECT phone FROM do_not_text", "conn_id": "bookings"},
        wait_for="accepted",
        retries=2,
    )
