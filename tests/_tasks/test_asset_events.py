"""What a send tells other DAGs: counts on the events of its assets; nothing personal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pendulum
from airflow.sdk import DAG, Asset

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

SENT = Asset("campaign_sent")


def test_the_event_of_an_asset_carries_the_counts(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with DAG("announces", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        TwilioBulkMessageOperator(
            task_id="send",
            recipients=["+12025550101", "12"],
            on_invalid_recipient="skip",
            content="Hello",
            sender="+15005550006",
            wait_for="accepted",
            outlets=[SENT],
        )
    assert run_dag(dag).state == "success"
    with create_session() as session:
        query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        (extra,) = session.scalars(query.where(AssetModel.name == SENT.name)).all()
    assert extra == {"status": "ACCEPTED", "recipients": 1, "rejected": 1, "stats": None, "operations": 1}
