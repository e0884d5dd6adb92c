"""Runs on what people write: watched by a trigger, and told by a webhook."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_twilio_comms.triggers.inbound import TwilioInboundMessageTrigger

watched = Asset(
    "stack_watched",
    watchers=[
        AssetWatcher(
            name="written",
            trigger=TwilioInboundMessageTrigger("+15005550010", poll_interval=2, look_back=600),
        )
    ],
)

with DAG("stack_hears", schedule=watched):

    @task
    def heard(triggering_asset_events: object = None) -> None:
        print(triggering_asset_events)

    heard()

with DAG("stack_told", schedule=Asset("twilio://webhook/inbound")):
    heard()
