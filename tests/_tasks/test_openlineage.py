"""OpenLineage of a transfer: where rows come from, where they go, how many; nothing personal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_table
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk
from tests.postgres import installed

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

WITHOUT = """
import sys
sys.modules["airflow.providers.openlineage.extractors"] = None  # as if it were not installed
from tests.operators.bulk_sends import bulk
from tests.fakes import MemoryStore, context
operator = bulk(["+12025550101"], dry_run=True)
assert operator.get_openlineage_facets_on_start() is None
operator.execute(context(MemoryStore()))
assert operator.get_openlineage_facets_on_complete(None) is None
"""


def told(operator: Any) -> Any:
    """The lineage once the operator has run."""
    values = context(MemoryStore())
    operator.execute(values)
    return operator.get_openlineage_facets_on_complete(values["ti"])


def test_it_leads_from_tables(emulator: Running, postgres: Postgres) -> None:
    postgres.execute(
        "DROP TABLE IF EXISTS guests; CREATE TABLE guests AS SELECT '+12025550101' AS phone, 1 AS id"
    )
    operator = SqlToTwilioOperator(
        task_id="send",
        sql="SELECT phone FROM guests WHERE phone != '+12025550199' ORDER BY id",
        sql_conn_id="bookings",
        content="Hello",
        sender="+15005550006",
        wait_for="accepted",
    )
    first = operator.get_openlineage_facets_on_start()
    assert [dataset.name for dataset in first.inputs] == ["postgres.public.guests"]
    assert first.outputs[0].outputFacets == {}
    found = told(operator)
    assert found.inputs == first.inputs
    assert found.outputs[0].name == "messages"
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 1
    assert "<number>" in found.job_facets["sql"].query
    assert "2025550" not in str(found)


def test_a_dry_run_brings_nothing_there(emulator: Running, tmp_path: Path) -> None:
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
    assert [(each.namespace, each.name) for each in found.inputs] == [("file", str(tmp_path / "people.csv"))]
    assert found.outputs[0].outputFacets["outputStatistics"].rowCount == 0


def test_people_named_in_the_dag_are_no_source(emulator: Running) -> None:
    found = told(bulk(["+12025550101"]))
    assert (found.inputs, found.outputs[0].outputFacets["outputStatistics"].rowCount) == ([], 1)
    assert "2025550101" not in str(found)


def test_a_database_that_openlineage_does_not_know_still_has_a_name(tmp_path: Path) -> None:
    with environment(AIRFLOW_CONN_LITE=f"sqlite:///{tmp_path}/x.db"):
        assert dataset_of_table("lite", "receipts")[1] == "receipts"


def test_there_is_none_without_its_provider(emulator: Running) -> None:
    connection = {"AIRFLOW_CONN_TWILIO_DEFAULT": emulator.connection_json()}
    run = [sys.executable, "-c", f"import tests.conftest, os; os.environ.update({connection!r})\n{WITHOUT}"]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_listener_hears_of_every_transfer(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if installed() is None:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    heard = {
        "OPENLINEAGE__TRANSPORT__TYPE": "file",
        "OPENLINEAGE__TRANSPORT__APPEND": "true",
        "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": str(tmp_path / "events.jsonl"),
    }
    warnings = [f"-W{each}" for each in request.config.getoption("pythonwarnings") or ()]
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *warnings]
    run.append("tests/transfers/lineage_events.py")
    done = subprocess.run(run, env={**os.environ, **heard}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
