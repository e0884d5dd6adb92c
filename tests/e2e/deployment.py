"""Airflow as production runs it: PostgreSQL, Redis, Celery, and two of what there may be two of."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from airflow_provider_twilio_comms.demo.emulation import Emulation
from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.stack import AIRFLOW_COMPONENTS, Stack
from tests import postgres, redis_server
from tests.chaos.field import HASTE, Patient

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["DATA", "EVERYBODY", "LONG", "TRIGGERERS", "WORKERS", "Deployment", "deployed", "missing"]

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer", "triggerer-2")
EVERYBODY = (*TRIGGERERS, *WORKERS, *(name for name in AIRFLOW_COMPONENTS if name not in TRIGGERERS))
CONCURRENCY = 6  # tasks that a worker runs at once
LONG = 300.0  # seconds that anything may take
_RUN = re.compile(
    r"Executing workload in Celery: .*, task_id='([^']*)', dag_id='[^']*', run_id='([^']*)', "
    r"try_number=(\d+), .*?map_index=(-?\d+)"
)

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "example_dags" / "data"
DAGS = (
    ROOT / "example_dags" / "twilio_bulk_campaign.py",
    DATA,
    ROOT / "tests" / "stack" / "dags" / "chaos_sends.py",
    ROOT / "tests" / "stack" / "dags" / "storm.py",
    ROOT / "tests" / "e2e" / "dags" / "e2e_sends.py",
)

SETTINGS = {
    **HASTE,
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__PARALLELISM": str(2 * CONCURRENCY + 4),
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",  # until a task whose message Redis has lost is queued again
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "CELERY__CELERY_CONFIG_OPTIONS": "tests.e2e.celery_config.CONFIG",
    "CELERY__SYNC_PARALLELISM": "1",
    "CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
}


class Deployment:
    """A running one. What exits is started again, as systemd and Kubernetes do it."""

    def __init__(
        self, stack: Stack, database: postgres.Postgres, broker: redis_server.Redis, celery: Celery
    ) -> None:
        assert stack.emulator is not None
        self.stack = stack
        stack.airflow.close()
        self.airflow = stack.airflow = Patient(stack.url)
        self.emulator: Emulation = stack.emulator
        self.database = database
        self.broker = broker
        self._celery = celery

    def wait_complete(self) -> None:
        """Start whoever is not there, and wait until all work: each worker and each triggerer too."""
        until(self._complete, timeout=LONG, what="everybody to be there", interval=0.5)

    def _complete(self) -> bool:
        for component in self.stack.components.values():
            component.start()
        return self.stack.healthy() and self._triggerers_there() and set(WORKERS) <= self._workers()

    def repair(self) -> None:
        """Start what has exited and was not stopped."""
        for component in self.stack.components.values():
            if component.pid is not None and not component.alive:
                component.start()

    def restart(self, name: str) -> None:
        self.stack.stop_component(name)
        self.wait_complete()

    def _triggerers_there(self) -> bool:
        """Tell if as many have begun to beat since the younger one's start, and as many since the elder's."""
        path = "/jobs?job_type=TriggererJob&job_state=running&is_alive=true&order_by=-start_date"
        try:
            jobs = self.stack.airflow.call("GET", path)["jobs"]
        except requests.RequestException:
            return False
        begun = sorted((datetime.fromisoformat(job["start_date"]).timestamp() for job in jobs), reverse=True)
        started = sorted((self.stack.components[name].started for name in TRIGGERERS), reverse=True)
        return len(begun) >= len(started) and all(map(float.__ge__, begun, started))

    def _workers(self) -> set[str]:
        """List which of them answer."""
        with self._celery.connection_for_write() as connection:
            replies = self._celery.control.ping(timeout=1.0, connection=connection)
        return {name.partition("@")[0] for reply in replies for name in reply}

    def ran(self, worker: str, run_id: str) -> set[tuple[str, int, int]]:
        """The tries of a run that a worker was given: task, map index and number."""
        log = self.stack.component_log(worker).read_text(errors="replace")
        return {
            (task, int(index), int(number)) for task, run, number, index in _RUN.findall(log) if run == run_id
        }

    def states(self, run_id: str) -> dict[str, int]:
        """Count how many tasks of a run are in which state."""
        found = self.database.execute(
            f"SELECT state, count(*) FROM task_instance WHERE run_id = '{run_id}' GROUP BY state"
        )
        return {str(state): int(str(count)) for state, count in found}

    def waits(self) -> dict[object, int]:
        """Count how many triggers each triggerer has, by its job; those of None are nobody's."""
        found = self.database.execute("SELECT triggerer_id, count(*) FROM trigger GROUP BY triggerer_id")
        return {job: int(str(count)) for job, count in found}


def worker(name: str) -> list[str]:
    return [
        *("celery", "worker", "--celery-hostname", f"{name}@%h"),
        *("--concurrency", str(CONCURRENCY), "--without-gossip", "--without-mingle"),
    ]


def missing() -> str | None:
    """List what this machine lacks for it."""
    servers = {"PostgreSQL": postgres.installed(), "Redis": redis_server.installed()}
    lacking = " and no ".join(name for name, program in servers.items() if program is None)
    return f"no {lacking} is installed (apt-get install postgresql redis-server)" if lacking else None


@contextmanager
def deployed(dags: Sequence[Path] = DAGS, env: Mapping[str, str] | None = None) -> Iterator[Deployment]:
    """Everything up while the block lasts; ``env`` is for all components, as :class:`Stack` takes it."""
    from celery import Celery

    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="twilio-dags-")))
        for source in dags:
            (folder / source.name).symlink_to(source)
        database = parts.enter_context(postgres.postgres_running())
        broker = parts.enter_context(redis_server.redis_running())
        url = f"postgresql+psycopg2{database.connection.removeprefix('postgres')}"
        env = {**{f"AIRFLOW__{name}": value for name, value in SETTINGS.items()}, **(env or {})}
        env |= {"AIRFLOW__CELERY__BROKER_URL": broker.url, "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}"}
        env["PYTHONPATH"] = str(ROOT)
        further = {"triggerer-2": ["triggerer"]} | {name: worker(name) for name in WORKERS}
        stack = Stack(folder, env=env, sql_alchemy_conn=url, further=further)
        parts.callback(stack.stop)
        stack.start(LONG)
        celery = parts.enter_context(Celery(broker=broker.url, set_as_current=False))
        deployment = Deployment(stack, database, broker, celery)
        deployment.wait_complete()
        yield deployment
