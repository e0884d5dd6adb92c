"""Homes of the tests: an AIRFLOW_HOME of their own, the emulator, and (marked ``stack``) a real Airflow.

The environment is set when this file is imported, because Airflow reads it on its first import: nothing may
import Airflow before pytest has read this. Three tiers, cheapest first:

1. no database: ``operator.execute(context)`` with made-up contexts; the ``emulator`` fixture for I/O;
2. ``run_dag``: ``dag.test()`` in this process, against a migrated SQLite database (0.2 s a run);
3. ``stack``: scheduler, triggerer, DAG processor and API server as processes, one Airflow for the session.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms.demo.settings import copy_template_database, sqlite_url

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

    from airflow_provider_twilio_comms.api.flows import Pause
    from airflow_provider_twilio_comms.demo.stack import Stack
    from airflow_provider_twilio_comms.emulator.server import Emulator
    from tests.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_dags"
VERIFIED = {"stack", "browser", "e2e", "long", "dist", "docs"}  # markers of what needs more than one process


def _prepare_airflow() -> None:
    home = Path(tempfile.mkdtemp(prefix="twilio-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
        del os.environ[name]
    bundles = [
        {
            "name": name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(path)},
        }
        for name, path in {"dags-folder": EXAMPLES, "tests": home / "no-dags"}.items()
    ]
    (home / "no-dags").mkdir()
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__TWILIO__INSTALLATION_ID": "tests",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlite_url(home),
            "AIRFLOW__API_AUTH__JWT_SECRET": "tests" * 8,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1",
        }
    )
    copy_template_database(home)


_prepare_airflow()


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as ``process`` what ``make test`` runs: every test that ``make verify`` does not."""
    for item in items:
        if VERIFIED.isdisjoint(mark.name for mark in item.iter_markers()):
            item.add_marker("process")


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh emulator on a loopback port, which the connection ``twilio_default`` names."""
    from airflow_provider_twilio_comms.emulator.server import running

    preview = "AIRFLOW_CONN_TWILIO_PREVIEW"
    with (
        running() as started,
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=started.connection_json()),
        environment(**{preview: started.connection_json(comms_version="preview")}),
    ):
        yield started


@pytest.fixture
def hurried(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between requests in a worker pass at once, by the emulator's clock."""
    from airflow_provider_twilio_comms.client import _groups, sync

    def pause(step: Pause) -> float:
        return emulator.twilio.clock.advance(step.seconds)

    monkeypatch.setattr(sync, "_pause", pause)
    monkeypatch.setattr(_groups, "wall_clock", emulator.twilio.clock.now)


@pytest.fixture
def run_dag() -> Callable[..., DagRun]:
    """Run a DAG in this process with ``dag.test()``; triggers run inline."""

    def run(dag: DAG, conf: dict[str, Any] | None = None, **options: Any) -> DagRun:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

        # dag.test() refuses a DAG that no bundle holds, and re-reads the bundle of the one it runs: so DAGs
        # that a test made up belong to an empty bundle, and an example is not read again for each.
        DagBundlesManager().sync_bundles_to_db()
        folder = Path(os.environ["AIRFLOW_HOME"]) / "no-dags"
        bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="tests")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "tests", None)
        return dag.test(run_conf=conf or {}, **options)

    return run


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One real Airflow for the session, with the examples and the DAGs of the stack's own tests.

    Whoever breaks a component repairs it: other tests use the same one.
    """
    from airflow_provider_twilio_comms.demo.stack import Stack

    with tempfile.TemporaryDirectory(prefix="twilio-dags-") as folder:
        for source in (EXAMPLES, ROOT / "tests" / "stack" / "dags"):
            (Path(folder) / source.name).symlink_to(source)
        with Stack(Path(folder)) as started:
            yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, which the connection ``bookings`` names."""
    from tests.postgres import installed, postgres_running

    if installed() is None:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    with postgres_running() as started, environment(AIRFLOW_CONN_BOOKINGS=started.connection):
        yield started
