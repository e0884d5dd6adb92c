"""Measurement in child processes, in pairs, against an emulator in a process of its own."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Cost", "Pair", "emulator", "machine", "measured", "paired", "report"]


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of a piece of work, and the peak of its memory over the start, in MiB."""

    cpu: float
    wall: float
    peak_mib: float


@dataclass(frozen=True)
class Pair:
    """The same work done in two ways, several times, turn by turn."""

    ours: list[Cost]
    floor: list[Cost]

    @property
    def cpu_ratio(self) -> float:
        """The median of the pairs' ratios."""
        return median(ours.cpu / floor.cpu for ours, floor in zip(self.ours, self.floor, strict=True))

    @property
    def peak_mib(self) -> float:
        return max(cost.peak_mib for cost in self.ours)


def measured(work: Callable[[], Any]) -> Cost:
    """Do it here, and say what it cost this process."""
    start = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Cost(cpu, wall, (_memory("VmHWM") - start) / 1024)


def paired(ours: Callable[..., Cost], floor: Callable[..., Cost], times: int, *arguments: Any) -> Pair:
    """Run both ``times`` times, turn by turn, each in a fresh process."""
    costs: list[Cost] = []
    for _ in range(times):
        for work in (floor, ours):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                costs.append(pool.submit(work, *arguments).result())
    return Pair(ours=costs[1::2], floor=costs[::2])


@contextmanager
def emulator(*options: str) -> Iterator[str]:
    """The emulator as a process of its own; gives its address."""
    command = [sys.executable, "-m", "airflow_provider_twilio_comms.emulator", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                yield found[0]
                break
        else:
            raise RuntimeError("the emulator did not start")
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def machine() -> str:
    """Return what it was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{platform.python_version()}, {os.cpu_count()} cores, {model[1] if model else platform.machine()}"


def report(title: str, how: str, rows: dict[str, str]) -> None:
    """A table for people."""
    print(f"\n{title}\n  {how}")
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"  {name:<{width}}  {value}")


def _memory(name: str) -> int:
    """KiB."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])
