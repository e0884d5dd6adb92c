"""Run when the last receipt of a campaign has come in, even if something else has sent it."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_twilio_comms.triggers.operation_events import TwilioOperationEventTrigger

complete = Asset(
    "twilio_spring_campaign_complete",
    watchers=[
        AssetWatcher(name="receipts", trigger=TwilioOperationEventTrigger(tags={"campaign": "spring"}))
    ],
)

with DAG(
    "twilio_receipts_asset",
    schedule=complete,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "receipts", "asset"],
) as dag:

    @task
    def report(triggering_asset_events: Any = None) -> dict[str, int]:
        """Report how many messages were delivered, and how many were not."""
        payloads = [event.extra["payload"] for event in (triggering_asset_events or {}).get(complete, [])]
        stats = [payload["stats"] for payload in payloads]
        return {
            "operations": len(stats),
            "delivered": sum(each["delivered"] + each["read"] for each in stats),
            "failed": sum(each["failed"] + each["undelivered"] for each in stats),
        }

    report()
