"""Opt-outs: add everyone who replies STOP, or a similar word, to a list of numbers not to text again."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_twilio_comms.triggers.inbound import TwilioInboundMessageTrigger

SUPPRESSED = Path(os.environ.get("AIRFLOW_HOME", ".")) / "suppressed.db"

# The whole text is one word, as Twilio itself understands it.
STOP = r"(?i)^\W*(stop|stopall|unsubscribe|cancel|end|quit|revoke|optout)\W*$"

stops = Asset(
    "twilio_stops",
    watchers=[
        AssetWatcher(name="stops", trigger=TwilioInboundMessageTrigger(receiver="+15005550006", pattern=STOP))
    ],
)

with DAG(
    "twilio_replies",
    schedule=stops,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "opt-out", "asset"],
) as dag:

    @task
    def suppress(triggering_asset_events: Any = None) -> int:
        """Store the numbers, which are read from Twilio: the events hold only the messages' ids."""
        from airflow_provider_twilio_comms.api.classic import messages
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        sids = {event.extra["payload"]["sid"] for event in (triggering_asset_events or {}).get(stops, [])}
        hook = TwilioHook()
        numbers = [(hook.run(messages.fetch(sid)).from_, sid) for sid in sorted(sids)]
        with closing(sqlite3.connect(SUPPRESSED)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS suppressed (number TEXT PRIMARY KEY, sid TEXT)")
            database.executemany("INSERT OR IGNORE INTO suppressed VALUES (?, ?)", numbers)
        return len(numbers)

    suppress()
