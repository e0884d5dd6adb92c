"""``make matrix``: the suite's in-process part on every Airflow and Python supported that this machine has.

Each pair has an environment of its own (``.venv-airflow-A-python-P``), kept for the next time, and its output
in ``build/matrix``. A Python that is not here is skipped and named; nothing is downloaded but packages.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cell", "interpreter", "main", "summary", "table"]

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")

LIQUID = "python-liquid=2026-11-01"  # ours alone, and newer than that Airflow

# What is installed. An old Airflow does not work with today's versions of what it needs, hence the date.
AIRFLOWS = {
    "3.2": ["apache-airflow==3.2.2", "--exclude-newer=2026-06-15", f"--exclude-newer-package={LIQUID}"],
    "3.3": ["--constraint", "constraints.txt"],
}

OURS = ["--editable", ".[demo,emulator,parquet]", "--group", "test"]

# What an old Airflow's dependencies warn of is not ours to fix: there, warnings are no errors.
WARNINGS = {"3.2": ["-W", "default"], "3.3": []}

PATIENCE = 3600  # seconds for one pair

# As `make test` runs them.
PARALLEL = ["-n", os.environ.get("WORKERS", "4"), "--dist", "worksteal"]


@dataclass(frozen=True)
class Cell:
    """One pair, and what came of it."""

    airflow: str
    python: str
    said: str
    ran: bool = True
    good: bool = False


def candidates(version: str) -> Iterator[Path]:
    """Find where a Python of this version may be: the one that runs this, PATH, pyenv."""
    yield Path(sys.base_prefix) / "bin" / f"python{version}"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True)


def interpreter(version: str) -> Path | None:
    """A Python of this version that starts and has what Airflow and a virtual environment need."""
    wants = "import sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    for path in candidates(version):
        if path.is_file() and os.access(path, os.X_OK):
            done = subprocess.run([path, "-c", wants], capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() == version:
                return path
    return None


def run(airflow: str, version: str, python: Path, more: Sequence[str]) -> Cell:
    """Make the pair's environment and run the tests there."""
    name = f"airflow-{airflow}-python-{version}"
    home, log = ROOT / f".venv-{name}", ROOT / "build" / "matrix" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    tests = [home / "bin" / "python", "-m", "pytest", "-m", "process", "-p", "no:cacheprovider", *PARALLEL]
    uv = Path(sys.executable).with_name("uv")
    steps: list[list[str | Path]] = [
        [uv, "venv", "--quiet", "--allow-existing", "--python", python, home],
        [uv, "pip", "install", "--quiet", "--python", home, *AIRFLOWS[airflow], *OURS],
        [*tests, *WARNINGS[airflow], *more],
    ]
    began = time.monotonic()
    with log.open("w") as output:
        for step in steps:
            try:
                code = subprocess.run(
                    step, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=PATIENCE
                ).returncode
            except subprocess.TimeoutExpired:
                return Cell(airflow, version, f"not done after {PATIENCE} s, see {log.relative_to(ROOT)}")
            if code:
                break
    said = summary(log.read_text(errors="replace")) or f"no tests ran, see {log.relative_to(ROOT)}"
    return Cell(airflow, version, f"{said}, {time.monotonic() - began:.0f} s in all", good=code == 0)


def summary(log: str) -> str:
    """Return what pytest said at its end: ``12 passed, 1 skipped in 3.4s``; empty if it never got there."""
    found = re.findall(r"^=* ?(\d+ (?:failed|passed|skipped|deselected|error).*? in [\d.]+s)", log, re.M)
    return found[-1] if found else ""


def failures(airflow: str, version: str) -> list[str]:
    log = ROOT / "build" / "matrix" / f"airflow-{airflow}-python-{version}.log"
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if re.match(r"(FAILED|ERROR) ", line)] or lines[-15:]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when something ran and everything that ran passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.dist.matrix", description=__doc__)
    parser.add_argument("--airflow", nargs="+", choices=AIRFLOWS, default=list(AIRFLOWS))
    parser.add_argument("--python", nargs="+", choices=PYTHONS, default=list(PYTHONS))
    parser.add_argument("pytest", nargs="*", help="after --: further arguments for pytest")
    given = parser.parse_args(arguments)
    found = {version: interpreter(version) for version in given.python}
    for version, python in found.items():
        print(f"Python {version}: {python or 'skipped, neither on PATH nor in pyenv'}", flush=True)
    cells = []
    for airflow in given.airflow:
        for version, python in found.items():
            if python is None:
                cells.append(Cell(airflow, version, f"skipped: no Python {version} here", ran=False))
                continue
            print(f"Airflow {airflow} on Python {version} ...", flush=True)
            cells.append(cell := run(airflow, version, python, given.pytest))
            if not cell.good:
                print("\n".join(failures(airflow, version)), flush=True)
    print(table(cells))
    ran = [cell for cell in cells if cell.ran]
    return 0 if ran and all(cell.good for cell in ran) else 1


def table(cells: Sequence[Cell]) -> str:
    lines = ["Airflow  Python  "]
    for cell in cells:
        verdict = ("passed" if cell.good else "FAILED") if cell.ran else ""
        lines.append(f"{cell.airflow:<9}{cell.python:<8}{verdict:<8}{cell.said}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
