"""What importing every operator, sensor, notifier and transfer adds to ``import airflow.sdk``."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.bench.measure import report

__all__ = ["run"]

KINDS = ("operators", "sensors", "notifications", "transfers")
HEAVY = ("requests", "aiohttp", "phonenumbers")
SCRIPT = """
import sys, time
import airflow.sdk
from airflow.sdk import BaseOperator, BaseSensorOperator, BaseHook, BaseNotifier
from airflow.triggers.base import BaseTrigger
start = time.perf_counter()
for name in {modules!r}:
    __import__(name)
print((time.perf_counter() - start) * 1000, [name for name in {heavy!r} if name in sys.modules])
"""


def modules() -> list[str]:
    """Every module of Airflow classes, as the provider's description lists them."""
    found = set()
    for kind in KINDS:
        for entry in get_provider_info().get(kind, ()):
            listed = (
                entry.get("python-modules", [entry.get("python-module")])
                if isinstance(entry, dict)
                else [entry]
            )
            found.update(listed)
    return sorted(found)


def run(times: int = 7) -> dict[str, float]:
    """Measure, print, and return the line for machines."""
    names = modules()
    taken, heavy = [], set()
    for _ in range(times):
        script = SCRIPT.format(modules=names, heavy=HEAVY)
        out = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        extra, loaded = out.strip().splitlines()[-1].split(" ", 1)
        taken.append(float(extra))
        heavy.update(eval(loaded, {}))
    report(
        f"Imports: {len(names)} modules over `import airflow.sdk` and its base classes",
        f"wall time in a fresh process, {times} times",
        {
            "extra": f"{min(taken):.1f} ms at least, {median(taken):.1f} ms median (aim 30)",
            "heavy libraries loaded": ", ".join(sorted(heavy)) or "none",
        },
    )
    return {"import_extra_ms": round(median(taken), 1)}
