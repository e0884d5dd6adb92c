"""Tasks woken by Event Streams on a deployment with PostgreSQL, Celery and two triggerers: how soon they run.

``BENCH_PUSH_TASKS`` is how many there are, 500 if left out: all end within a minute.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.measure import report

__all__ = ["run"]

TASKS = int(os.environ.get("BENCH_PUSH_TASKS", "500"))
WINDOW = 60.0  # seconds in which the operations end
PACE = 0.5  # seconds from an operation's start to its end
SOON = 5.0  # seconds until the first one begins, once all tasks wait
PREPARED = 1800.0  # seconds that all may take until they wait
ENV = {
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


def run() -> dict[str, float]:
    """Measure and print."""
    from airflow_provider_twilio_comms.api.comms import messages
    from airflow_provider_twilio_comms.api.events import sinks, subscriptions
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.client.sync import Client
    from airflow_provider_twilio_comms.demo.processes import until
    from tests.e2e.deployment import deployed, missing

    if lacking := missing():
        print(f"push: not measured, since {lacking}")
        return {}
    source = Path(__file__).parent / "dags" / "bench_push.py"
    with deployed(dags=[source], env=ENV) as deployment, tempfile.TemporaryDirectory() as folder:
        airflow, emulator = deployment.airflow, deployment.emulator
        given = json.loads(emulator.connection())
        connection = Connection("", given["login"], given["password"], json.dumps(given["extra"]))
        client = Client(Config.from_connection(connection))
        emulator.change(pace=PACE)
        first = datetime.fromtimestamp(emulator.health()["now"], timezone.utc) + timedelta(hours=2)
        whens = [first + timedelta(seconds=WINDOW * number / TASKS) for number in range(TASKS)]
        to = [{"address": "+12025550100", "channel": "PHONE"}]
        ids = [
            str(client.run(messages.send(to, "Hi", sender="+15005550006", send_at=when)).operation_id)
            for when in whens
        ]
        sink = client.run(sinks.create("bench", f"{deployment.stack.url}/twilio/events")).sid
        kinds = {"com.twilio.comms-api.operation.completed": None}
        client.run(subscriptions.create("bench", sink, kinds))
        airflow.wait_for_dag("bench_push")
        run_id = airflow.trigger("bench_push", {"ids": ids, "folder": folder})
        until(
            lambda: deployment.states(run_id).get("deferred", 0) == TASKS,
            timeout=PREPARED,
            what="all tasks to wait",
            interval=2.0,
        )
        time.sleep(15.0)  # the triggers' first look, and the initial delay
        before = _requests(emulator)
        ahead = first.timestamp() - SOON - emulator.health()["now"]
        now = emulator.control("POST", "clock", {"advance": ahead})["now"]
        shift = now - time.time()
        airflow.wait_for_run("bench_push", run_id, timeout=PREPARED)
        asked = _requests(emulator) - before
        noted = {name: (Path(folder) / name).read_text().split() for name in ids}
        assert {len(lines) for lines in noted.values()} == {1}, "a task went on twice"
        late = sorted(
            float(noted[name][0]) - (when.timestamp() + PACE - shift)
            for name, when in zip(ids, whens, strict=True)
        )
    p50, p99 = late[len(late) // 2], late[math.ceil(0.99 * len(late)) - 1]
    report(
        f"Push: {TASKS} tasks woken within {WINDOW:g} s by events, on PostgreSQL, Celery, two triggerers",
        "from the end of an operation to the running task",
        {"woken": f"half within {p50:.2f} s, 99 % within {p99:.2f} s, the last after {late[-1]:.2f} s"},
    )
    return {"push_wake_p99_s": round(p99, 2), "push_requests_per_10000_waits": round(asked * 10_000 / TASKS)}


def _requests(emulator: Any) -> int:
    counts: dict[str, int] = emulator.control("GET", "requests")["counts"]
    return sum(count for route, count in counts.items() if route.startswith("GET"))
