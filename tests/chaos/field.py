"""The field of battle: one real Airflow, several Twilios, and what everybody who breaks it needs."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from airflow_provider_twilio_comms.demo.rest import Airflow, RestFailed
from airflow_provider_twilio_comms.demo.settings import sqlite_url
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.chaos.twilios import Twilios
from tests.postgres import installed, postgres_running

__all__ = ["Field", "Patient", "alive", "field", "hit", "read"]

DAGS = Path(__file__).resolve().parents[1] / "stack" / "dags"
DAG_IDS = ("chaos_bulk", "chaos_single", "chaos_classic")
TIMEOUT = 3.0  # seconds that a client waits for Twilio's reply
CALM = 90.0  # seconds for which Airflow's API may be away

# So that Airflow gives up in seconds what it usually gives up in minutes.
HASTE = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "4",
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "3",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "60",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}


class Patient(Airflow):
    """Airflow's API, from which somebody may have pulled the plug for a while."""

    def call(self, method: str, path: str, **options: Any) -> Any:
        deadline = time.monotonic() + CALM
        while True:
            try:
                return super().call(method, path, **options)
            except (requests.RequestException, RestFailed) as error:
                lasting = isinstance(error, RestFailed) and error.status < 500
                if lasting or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)


class Field:
    """The stack and its Twilios."""

    def __init__(self, stack: Stack, twilios: Twilios) -> None:
        self.stack = stack
        self.twilios = twilios
        self.notes = stack.home / "chaos"

    def airflow(self) -> Patient:
        """A client for one thread."""
        return Patient(self.stack.url)


@contextmanager
def field(lanes: int, home: Path | None = None, sqlite: bool = False) -> Iterator[Field]:
    """A field with ``lanes`` Twilios, to which the connections ``twilio_0`` and so on lead.

    On PostgreSQL, where there is one; on SQLite, where writers wait for each other, with patience.
    """
    with ExitStack() as both:
        home = home or Path(both.enter_context(tempfile.TemporaryDirectory(prefix="twilio-chaos-")))
        twilios = both.enter_context(Twilios(lanes))
        connections = {
            f"AIRFLOW_CONN_TWILIO_{index}": twilio.connection(timeout=TIMEOUT)
            for index, twilio in enumerate(twilios.each)
        }
        settings = {f"AIRFLOW__{name}": value for name, value in HASTE.items()}
        settings["AIRFLOW__CORE__PARALLELISM"] = str(2 * lanes + 2)
        database = f"{sqlite_url(home)}?timeout=60"
        if installed() and not sqlite:
            database = f"postgresql+psycopg2{both.enter_context(postgres_running()).connection[8:]}"
        stack = both.enter_context(
            Stack(DAGS, home=home, env=connections | settings, sql_alchemy_conn=database, emulator=False)
        )
        for dag_id in DAG_IDS:
            stack.airflow.wait_for_dag(dag_id)
        yield Field(stack, twilios)


def alive(pid: int) -> bool:
    """Tell if a process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def hit(signum: int, *pids: int) -> None:
    """Send a signal to processes that may be gone."""
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def read(note: Path) -> dict[str, Any] | None:
    """A note of a try, if it is there."""
    try:
        found: dict[str, Any] = json.loads(note.read_text())
    except FileNotFoundError:
        return None
    return found
