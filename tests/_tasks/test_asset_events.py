"""Asset events of a send: counts for other DAGs; nothing personal."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
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


NIGHTLY = {"logical_date": pendulum.datetime(2026, 11, 24)}
LATER = pytest.mark.skipif(
    find_spec("airflow.models.asset_state_store") is None, reason="Airflow before 3.3 has no partitions there"
)


def send(name: str, asset: Asset, **options: Any) -> DAG:
    with DAG(name, schedule="@daily", start_date=pendulum.datetime(2026, 1, 1), **options) as dag:
        TwilioBulkMessageOperator(
            task_id="send",
            recipients=["+12025550101"],
            content="Hello",
            sender="+15005550006",
            wait_for="accepted",
            outlets=[asset],
        )
    return dag


def partitions(asset: Asset) -> list[str | None]:
    """The partition of each event of an asset."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent.partition_key).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return list(session.scalars(query.where(AssetModel.name == asset.name)))


@LATER
def test_a_dag_is_scheduled_on_the_campaign_of_a_day(
    emulator: Running, run_dag: Callable[..., DagRun]
) -> None:
    from airflow.models.asset import AssetPartitionDagRun
    from airflow.models.dag import DagModel
    from airflow.sdk import PartitionedAssetTimetable, StartOfDayMapper
    from airflow.utils.session import create_session
    from sqlalchemy import select, update

    asset = Asset("campaign_of_a_day", extra={"partition": "data_interval"})
    schedule = PartitionedAssetTimetable(assets=asset, default_partition_mapper=StartOfDayMapper())
    with DAG("reports_on_a_day", schedule=schedule, start_date=pendulum.datetime(2026, 1, 1)) as listening:
        TwilioBulkMessageOperator(
            task_id="send",
            recipients=["+12025550102"],
            content="Hi",
            sender="+15005550006",
            wait_for="accepted",
        )
    run_dag(listening, logical_date=None)
    with create_session() as session:  # a DAG is made paused
        session.execute(update(DagModel).where(DagModel.dag_id == "reports_on_a_day").values(is_paused=False))
    assert run_dag(send("sends_of_a_day", asset), **NIGHTLY).state == "success"
    assert partitions(asset) == ["2026-11-24T00:00:00"]
    with create_session() as session:
        query = select(AssetPartitionDagRun.partition_key).where(
            AssetPartitionDagRun.target_dag_id == "reports_on_a_day"
        )
        assert list(session.scalars(query)) == ["2026-11-24"]


def test_an_event_has_no_partition_unless_its_asset_asks_for_that(
    emulator: Running, run_dag: Callable[..., DagRun]
) -> None:
    """An event with a partition starts no DAG that is scheduled on the asset alone."""
    asset = Asset("campaign_without")
    assert run_dag(send("sends_without", asset), **NIGHTLY).state == "success"
    assert partitions(asset) == [None]


@LATER
def test_a_run_without_a_data_interval_says_that_its_event_has_no_partition(
    emulator: Running, run_dag: Callable[..., DagRun], caplog: pytest.LogCaptureFixture
) -> None:
    asset = Asset("campaign_by_hand", extra={"partition": "data_interval"})
    assert run_dag(send("sends_by_hand", asset), logical_date=None).state == "success"
    assert partitions(asset) == [None]
