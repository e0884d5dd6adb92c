"""Eight tasks at once, each of which tells of 125 failures."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier

TASKS, ALERTS = 8, 125
FOLDER = Path(os.environ.get("BENCH_STORM", "."))
OPERATIONS = ("GetVariableKeys", "PutVariable", "DeleteVariable")


def count_operations() -> Counter[str]:
    """Count what this process asks of Airflow's Variables from now on."""
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    counts: Counter[str] = Counter()
    kind: Any = type(SUPERVISOR_COMMS)
    send = kind.send

    def counted(self: Any, msg: Any) -> Any:
        counts[type(msg).__name__] += 1
        return send(self, msg)

    kind.send = counted
    return counts


def wait_for_all(name: str, number: int) -> None:
    (FOLDER / f"{name}-ready-{number}").touch()
    deadline = time.monotonic() + 120
    while len(list(FOLDER.glob(f"{name}-ready-*"))) < TASKS:
        assert time.monotonic() < deadline, "the other tasks do not run"
        time.sleep(0.01)


with DAG("bench_storm", schedule=None, start_date=pendulum.datetime(2026, 1, 1), max_active_tasks=TASKS):

    @task
    def storm(number: int, **context: Any) -> None:
        """Fail 125 times at once, or one time after the other, when all eight tasks are there."""
        given = context["params"]
        context["exception"] = ValueError("no rows")
        common = {"from_": "+15005550006", "window": 3600, "alert_store": given["alert_store"]}
        # What every process imports once takes it a second of two cores, and is not what is measured.
        TwilioNotifier(to=given["to"], dedupe_key=f"first {number}", quiet_hours="00:00-23:59 UTC", **common)(
            context
        )
        counts = count_operations()
        together = threading.Barrier(ALERTS) if given["at_once"] else threading.Barrier(1)

        def fail(each: int) -> float:
            alert = TwilioNotifier(
                to=given["to"],
                dedupe_key=f"storm {each % given['keys']}",
                max_per_hour=given["max_per_hour"],
                **common,
            )
            together.wait()
            began = time.monotonic()
            alert(context)
            return time.monotonic() - began

        wait_for_all(given["name"], number)
        with ThreadPoolExecutor(ALERTS if given["at_once"] else 1) as pool:
            seconds = list(pool.map(fail, range(ALERTS)))
        written = {"seconds": seconds, "operations": sum(counts[name] for name in OPERATIONS)}
        (FOLDER / f"{given['name']}-done-{number}").write_text(json.dumps(written))

    storm.expand(number=list(range(TASKS)))
