"""What a send tells others: counts on its assets' events, lineage for OpenLineage; nothing personal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_twilio_comms.operators.messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from tests.fakes import MemoryStore, context
from tests.operators.sends import bulk

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

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


def told(operator: Any) -> Any:
    """The lineage once the operator has run."""
    values = context(MemoryStore())
    operator.execute(values)
    ti = values["ti"]
    return operator.get_openlineage_facets_on_complete(ti)


@pytest.fixture
def lineage_installed() -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage's provider is not installed")


def test_lineage_is_nothing_without_its_provider(emulator: Running) -> None:
    try:
        import airflow.providers.openlineage  # noqa: F401
    except ImportError:
        operator = bulk(["+12025550101"])
        assert operator.get_openlineage_facets_on_start() is None
        assert told(operator) is None


@pytest.mark.usefixtures("lineage_installed")
class TestLineage:
    def test_leads_from_tables(self, emulator: Running, postgres: Postgres) -> None:
        postgres.execute(
            "DROP TABLE IF EXISTS guests; CREATE TABLE guests AS SELECT '+12025550101' AS phone, 1 AS id"
        )
        found = told(
            SqlToTwilioOperator(
                task_id="send",
                sql="SELECT phone FROM guests WHERE phone != '+12025550199' ORDER BY id",
                sql_conn_id="bookings",
                content="Hello",
                sender="+15005550006",
                wait_for="accepted",
            )
        )
        assert [dataset.name for dataset in found.inputs] == ["postgres.public.guests"]
        assert found.outputs[0].name == "messages"
        assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 1
        assert "<number>" in found.job_facets["sql"].query
        assert "2025550" not in str(found)

    def test_leads_from_files(self, emulator: Running, tmp_path: Path) -> None:
        (tmp_path / "people.csv").write_text("phone\n+12025550101\n")
        found = told(
            ObjectStorageToTwilioOperator(
                task_id="send",
                path=str(tmp_path / "people.csv"),
                content="Hello",
                sender="+15005550006",
                dry_run=True,
            )
        )
        assert [(each.namespace, each.name) for each in found.inputs] == [
            ("file", str(tmp_path / "people.csv"))
        ]
        assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 0
