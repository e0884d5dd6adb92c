"""Waits in a real triggerer: what of their cost is Airflow's, and what is ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.bench.measure import report

__all__ = ["run"]

TASKS = 400  # as many as 2 cores defer in reasonable time beside scheduler and API server
DAGS = 10
INTERVAL = 5.0
WATCHED = 30.0  # seconds
OURS = "airflow_provider_twilio_comms.triggers.operations.TwilioOperationsTrigger"
SLEEPER = "airflow.providers.standard.triggers.temporal.DateTimeTrigger"


class Load(NamedTuple):
    """The triggerer while it holds so many waits."""

    waits: int
    mib: float
    cpu: float  # cores
    requests: float  # per minute


def plan(kind: str, names: list[str]) -> dict[str, list[Any]]:
    """DAG ids to the triggers of their tasks."""
    far = time.time() + 3600
    moment = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    common = {"twilio_conn_id": "twilio_default", "deadline": far, "poll_interval": INTERVAL}
    waits: list[tuple[str, dict[str, Any]]] = [
        (OURS, {"operation_ids": [name], **common}) if kind == "ours" else (SLEEPER, {"moment": moment})
        for name in names
    ]
    each = len(waits) // DAGS
    return {f"bench_waits_{kind}_{n}": waits[n * each : (n + 1) * each] for n in range(DAGS)}


def operations(stack: Any, count: int) -> list[str]:
    """Operations in which nothing moves before tomorrow."""
    from airflow_provider_twilio_comms.api.comms import messages
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.client.sync import Client

    given = json.loads(stack.emulator.connection())

    class Connection(NamedTuple):
        conn_id: str
        login: str
        password: str
        extra: str

    client = Client(
        Config.from_connection(Connection("", given["login"], given["password"], json.dumps(given["extra"])))
    )
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    call = messages.send(to, "Hi", sender="+15005550006", send_at=tomorrow)
    return [str(client.run(call).operation_id) for _ in range(count)]


def loaded(stack: Any, kind: str) -> Load:
    """Defer all tasks of a kind, let them settle, and watch the triggerer for a while."""
    runs = {}
    for number in range(DAGS):
        dag_id = f"bench_waits_{kind}_{number}"
        stack.airflow.wait_for_dag(dag_id)
        runs[dag_id] = stack.airflow.trigger(dag_id)
    deadline, waiting = time.monotonic() + 240, 0
    while waiting < TASKS and time.monotonic() < deadline:
        time.sleep(2)
        waiting = sum(
            task["state"] == "deferred" and task.get("trigger") is not None
            for dag_id, run_id in runs.items()
            for task in stack.airflow.tasks(dag_id, run_id)
        )
    time.sleep(3 * INTERVAL)
    processes = stack.components["triggerer"].processes()
    asked, cpu, began = requests_of(stack), cpu_of(processes), time.monotonic()
    time.sleep(WATCHED)
    seconds = time.monotonic() - began
    load = Load(
        waiting,
        sum(process.memory_full_info().uss for process in processes) / 2**20,
        (cpu_of(processes) - cpu) / seconds,
        (requests_of(stack) - asked) / seconds * 60,
    )
    for dag_id, run_id in runs.items():
        stack.airflow.mark_run(dag_id, run_id, "failed")
    return load


def cpu_of(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def requests_of(stack: Any) -> int:
    counts = stack.emulator.control("GET", "requests")["counts"]
    return sum(count for route, count in counts.items() if re.search(r"GET .*/Operations", route))


def run() -> dict[str, float]:
    """Measure and print."""
    from airflow_provider_twilio_comms.demo.stack import Stack

    loads: dict[str, Load] = {}
    with tempfile.TemporaryDirectory() as folder:
        dags, written = Path(folder) / "dags", Path(folder) / "plan.json"
        shutil.copytree(Path(__file__).parent / "dags", dags)
        written.write_text("{}")
        os.environ["BENCH_WAITS"] = str(written)
        with Stack(dags, env={"BENCH_WAITS": str(written)}) as stack:
            names = operations(stack, TASKS)
            written.write_text(json.dumps({**plan("idle", names), **plan("ours", names)}))
            (dags / "bench_waits.py").touch()
            for kind in ("idle", "ours"):
                loads[kind] = loaded(stack, kind)
                stack.restart("triggerer")
    idle, ours = loads["idle"], loads["ours"]
    report(
        f"Triggerer: {TASKS} tasks deferred in a real triggerer, beside the rest of Airflow on SQLite",
        f"the triggerer's processes over {WATCHED:g} s; polls every {INTERVAL:g} s",
        {
            f"{idle.waits} that only sleep (Airflow's share)": f"{idle.mib:6.0f} MiB  {idle.cpu:.2f} cores",
            f"{ours.waits} of ours": (
                f"{ours.mib:6.0f} MiB  {ours.cpu:.2f} cores  {ours.requests:.0f} requests/min"
            ),
        },
    )
    return {}
