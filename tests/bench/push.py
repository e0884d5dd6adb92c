"""Tasks woken by Event Streams on a deployment with PostgreSQL, Celery and two triggerers: how soon they run.

Beside it, and on the same deployment, tasks of Airflow's own operator that waits for a person, resumed by
Airflow's own API at the same pace: the floor, made of Airflow's scheduler, Celery and the start of a process.

The CPU that the whole machine spends on a task says how many a second it can start, if nothing else runs.

``BENCH_PUSH_TASKS`` is how many there are, 500 if left out; ``BENCH_PUSH_WINDOW`` is the seconds within which
they are woken, 60 if left out.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from tests.bench.measure import report

if TYPE_CHECKING:
    from tests.e2e.deployment import Deployment

__all__ = ["run"]

TASKS = int(os.environ.get("BENCH_PUSH_TASKS", "500"))
WINDOW = float(os.environ.get("BENCH_PUSH_WINDOW", "60"))  # seconds in which the operations end
PACE = 0.5  # seconds from an operation's start to its end
SOON = 5.0  # seconds until the first one begins, once all tasks wait
PREPARED = 1800.0  # seconds that all may take until they wait
ENV = {
    # As Airflow has it, where the deployment has less: it is for tests that kill.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # seconds that a slot may stay taken for nothing
    "AIRFLOW__TWILIO__WEBHOOK_ENABLED": "True",
    "AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL": "{url}/twilio",
    "AIRFLOW__TWILIO__WEBHOOK_WAKES": "True",
}


class Connection(NamedTuple):
    """The emulator's, as ``Config`` reads one."""

    conn_id: str
    login: str
    password: str
    extra: str


class Wake(NamedTuple):
    """The seconds from an end, or an answer, until the task was resumed, queued, and ran."""

    resumed: float
    queued: float
    ran: float


def run() -> dict[str, float]:
    """Measure and print."""
    from tests.e2e.deployment import deployed, missing

    if lacking := missing():
        print(f"push: not measured, since {lacking}")
        return {}
    source = Path(__file__).parent / "dags" / "bench_push.py"
    with deployed(dags=[source], env=ENV) as deployment:
        for dag_id in ("bench_push", "bench_answers"):
            deployment.airflow.wait_for_dag(dag_id)
        answered, floor = _answered(deployment)
        woken, ours, asked = _woken(deployment)
    load = os.getloadavg()[0]
    report(
        f"Push: {TASKS} tasks woken within {WINDOW:g} s, on PostgreSQL, Celery, two triggerers",
        f"seconds, half within / 99 % within / the last; the machine's load at the end was {load:.1f}",
        {
            **_rows("from the end of an operation, told by an event, until the task", woken),
            **_rows("from an answer to Airflow's own API until the task", answered),
            "CPU of the machine for each task, told by an event": f"{1000 * ours:.0f} ms",
            "CPU of the machine for each task, answered": f"{1000 * floor:.0f} ms",
        },
    )
    return {
        "push_wake_p99_s": round(_share([wake.ran for wake in woken], 0.99), 2),
        "push_ours_p99_s": round(_share([wake.resumed for wake in woken], 0.99), 2),
        "push_cpu_ms_per_task": round(1000 * ours),
        "push_floor_cpu_ms_per_task": round(1000 * floor),
        "push_floor_p99_s": round(_share([wake.ran for wake in answered], 0.99), 2),
        "push_requests_per_10000_waits": round(asked * 10_000 / TASKS),
    }


def _woken(deployment: Deployment) -> tuple[list[Wake], float, int]:
    """Have operations end while a task waits for each.

    Returns how soon each went on, the machine's CPU seconds for each, and Twilio's requests meanwhile.
    """
    from airflow_provider_twilio_comms.api.comms import messages, operations
    from airflow_provider_twilio_comms.api.events import sinks, subscriptions
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.client.sync import Client

    emulator = deployment.emulator
    given = json.loads(emulator.connection())
    connection = Connection("", given["login"], given["password"], json.dumps(given["extra"]))
    client = Client(Config.from_connection(connection))
    emulator.change(pace=PACE)
    first = datetime.fromtimestamp(emulator.health()["now"], timezone.utc) + timedelta(hours=2)
    whens = [first + timedelta(seconds=each) for each in _times()]
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    ids = [
        str(client.run(messages.send(to, "Hi", sender="+15005550006", send_at=when)).operation_id)
        for when in whens
    ]
    sink = client.run(sinks.create("bench", f"{deployment.stack.url}/twilio/events")).sid
    client.run(subscriptions.create("bench", sink, {"com.twilio.comms-api.operation.completed": None}))
    with tempfile.TemporaryDirectory() as folder:
        run_id = _waiting(deployment, "bench_push", "deferred", {"ids": ids, "folder": folder})
        time.sleep(15.0)  # the triggers' first look, and the initial delay
        before, spent = _requests(emulator), _spent()
        ahead = first.timestamp() - SOON - emulator.health()["now"]
        shift = emulator.control("POST", "clock", {"advance": ahead})["now"] - time.time()
        _until_all(deployment, run_id, "success")
        asked, cost = _requests(emulator) - before, (_spent() - spent) / TASKS
        ended = {name: client.run(operations.fetch(name)).updated_at for name in ids}
        ends = {name: at.timestamp() - shift for name, at in ended.items() if at is not None}
        return _wakes(deployment, run_id, Path(folder), ends), cost, asked


def _answered(deployment: Deployment) -> tuple[list[Wake], float]:
    """Have tasks wait for a person, and answer by Airflow's API at the same pace; returns as ``_woken``."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        run_id = _waiting(deployment, "bench_answers", "awaiting_input", {"tasks": TASKS, "folder": folder})
        time.sleep(15.0)  # as above
        start, spent = time.time() + SOON, _spent()
        path = f"/dags/bench_answers/dagRuns/{run_id}/taskInstances/wait/{{}}/hitlDetails"
        answers = {}
        for place, due in enumerate(_times()):
            time.sleep(max(0.0, start + due - time.time()))
            answers[str(place)] = time.time()
            body = {"chosen_options": ["Yes"], "params_input": {}}
            pool.submit(deployment.airflow.call, "PATCH", path.format(place), json=body)
        _until_all(deployment, run_id, "success")
        cost = (_spent() - spent) / TASKS
        return _wakes(deployment, run_id, Path(folder), answers), cost


def _spent() -> float:
    """The CPU seconds that this machine has spent since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _times() -> Sequence[float]:
    """List when each is woken, in seconds after the first."""
    return [WINDOW * number / TASKS for number in range(TASKS)]


def _waiting(deployment: Deployment, dag_id: str, state: str, conf: Mapping[str, Any]) -> str:
    """Start a run, and return its id when all its tasks are in that state."""
    run_id = deployment.airflow.trigger(dag_id, conf)
    _until_all(deployment, run_id, state)
    return run_id


def _until_all(deployment: Deployment, run_id: str, state: str) -> None:
    """Wait until all tasks of a run are in that state. The API server, which is measured, is not asked."""
    from airflow_provider_twilio_comms.demo.processes import until

    query = (
        "SELECT count(*) FROM task_instance"
        f" WHERE run_id = '{run_id}' AND task_id = 'wait' AND state = '{state}'"
    )
    until(
        lambda: deployment.database.execute(query) == [(TASKS,)],
        timeout=PREPARED,
        what=f"all tasks to be {state}",
        interval=2.0,
    )


def _wakes(deployment: Deployment, run_id: str, folder: Path, told: Mapping[str, float]) -> list[Wake]:
    """Read when each task was resumed and queued, by Airflow's tables, and when it ran, by its own note."""
    noted = {name: (folder / name).read_text().split() for name in told}
    assert {len(lines) for lines in noted.values()} == {1}, "a task went on twice"
    rows = deployment.database.execute(
        "SELECT map_index, extract(epoch FROM scheduled_dttm), extract(epoch FROM queued_dttm)"
        f" FROM task_instance WHERE run_id = '{run_id}' AND task_id = 'wait' ORDER BY map_index"
    )
    return [
        Wake(float(str(resumed)) - at, float(str(queued)) - at, float(noted[name][0]) - at)
        for (name, at), (_, resumed, queued) in zip(told.items(), rows, strict=True)
    ]


def _rows(title: str, wakes: Sequence[Wake]) -> dict[str, str]:
    rows = {}
    for name in Wake._fields:
        late = [getattr(wake, name) for wake in wakes]
        rows[f"{title} was {name}" if name != "ran" else f"{title} ran"] = " / ".join(
            f"{_share(late, share):.2f}" for share in (0.5, 0.99, 1.0)
        )
    return rows


def _share(late: Sequence[float], share: float) -> float:
    """The seconds within which this share of them was."""
    return sorted(late)[math.ceil(share * len(late)) - 1]


def _requests(emulator: Any) -> int:
    counts: dict[str, int] = emulator.control("GET", "requests")["counts"]
    return sum(count for route, count in counts.items() if route.startswith("GET"))
