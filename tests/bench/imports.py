"""Time that importing every operator, sensor, notifier and transfer adds to ``import airflow.sdk``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.bench.measure import report

__all__ = ["run"]

KINDS = ("operators", "sensors", "notifications", "transfers")
HEAVY = ("requests", "aiohttp", "phonenumbers")
SCRIPT = """
import gc, json, os, sys, time
import airflow.sdk
from airflow.sdk import BaseOperator, BaseSensorOperator, BaseHook, BaseNotifier
from airflow.triggers.base import BaseTrigger
gc.disable()  # when it runs depends on all that was loaded before
alone = dict()
for name in {modules!r}:
    here, there = os.pipe()
    if not os.fork():
        begun = time.process_time()
        __import__(name)
        os.write(there, repr((time.process_time() - begun) * 1000).encode())
        os._exit(0)
    os.wait()
    alone[name] = float(os.read(here, 100))
start = time.process_time()
from airflow.providers.standard.operators.hitl import HITLOperator
middle = time.process_time()
for name in {modules!r}:
    __import__(name)
taken = [(time.process_time() - start) * 1000, (middle - start) * 1000]
print(json.dumps([*taken, [name for name in {heavy!r} if name in sys.modules], alone]))
"""


def modules() -> list[str]:
    """Every module of Airflow classes, as the provider's description lists them."""
    info = get_provider_info()
    found = set()
    for kind in KINDS:
        for entry in info.get(kind, ()):
            if isinstance(entry, str):  # a class
                found.add(entry.rpartition(".")[0])
            else:
                found.update(entry.get("python-modules") or [entry["python-module"]])
    return sorted(found)


def run(times: int = 7) -> dict[str, float]:
    """Measure, print, and return the line for machines."""
    names = modules()
    script = SCRIPT.format(modules=names, heavy=HEAVY)
    taken: list[float] = []
    bases: list[float] = []
    heavy: set[str] = set()
    alone: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as cache:  # compiled once and kept, as an installed package is
        env = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(times + 1):
            command = [sys.executable, "-c", script]
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
            extra, base, loaded, each = json.loads(out.strip().splitlines()[-1])
            for name, value in each.items():
                alone[name].append(value)
            taken.append(extra)
            bases.append(base)
            heavy.update(loaded)
    del taken[0], bases[0]  # which compiled them
    worst, most = max(((name, median(values)) for name, values in alone.items()), key=lambda each: each[1])
    report(
        f"Imports: {len(names)} modules over `import airflow.sdk` and its base classes",
        f"CPU time in a fresh process without its garbage collector, {times} times; the decorator is loaded "
        "when it is used",
        {
            "extra": f"{min(taken):.1f} ms at least, {median(taken):.1f} ms median (aim 30)",
            "of which": f"{median(bases):.1f} ms for Airflow's HITLOperator, base of TwilioApprovalOperator",
            "worst module alone": f"{most:.1f} ms, {worst.partition('.')[2]}",
            "heavy libraries loaded": ", ".join(sorted(heavy)) or "none",
        },
    )
    return {"import_extra_ms": round(median(taken), 1), "import_worst_module_ms": round(most, 1)}
