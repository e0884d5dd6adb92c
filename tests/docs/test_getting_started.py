"""The steps of Getting started work in a folder of their own: a DAG, its run by hand, and its tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.demo.settings import clean_env, copy_template_database, sqlite_url
from airflow_provider_twilio_comms.emulator.server import running
from tests.docs.blocks import blocks


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the documentation names, and a migrated database."""
    folder = tmp_path_factory.mktemp("project")
    copy_template_database(folder)
    for block in blocks("python"):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    return folder


def environment(project: Path, **more: str) -> dict[str, str]:
    return {
        **clean_env(),
        "AIRFLOW_HOME": str(project),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlite_url(project),
        **more,
    }


@pytest.mark.stack
def test_the_first_dag_is_run_by_hand(project: Path) -> None:
    with running() as emulator:
        env = environment(project, AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection)
        command = [sys.executable, "-m", "airflow", "dags", "test", "hello"]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        ledger = requests.get(f"{emulator.url}/_emulator/ledger", timeout=10).json()
    assert ledger["recipients"] == {"+12025550101": 1, "+12025550102": 1}


def test_what_the_task_returns_is_shown() -> None:
    (shown,) = [json.loads(block.text) for block in blocks("json") if "operation_ids" in block.text]
    names = ["operation_ids", "status", "recipients", "rejected", "stats", "codes", "unexplained"]
    assert list(shown) == names
    assert list(shown["stats"]) == list(Stats().to_dict())


@pytest.mark.stack
def test_its_tests_pass(project: Path) -> None:
    env = environment(project)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", "tests"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout
