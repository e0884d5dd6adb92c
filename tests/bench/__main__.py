"""``python -m tests.bench [name ...]``: all measurements or the named ones, kept in ``docs/figures.json``."""

from __future__ import annotations

import logging
import os
import sys

from docs.hooks.figures import keep
from tests.bench import (
    approvals,
    bulk,
    classic,
    classic_waits,
    imports,
    profiles,
    push,
    receipts,
    single,
    sql,
    storm,
    triggerer,
    waits,
)
from tests.bench.measure import machine


def _classic() -> dict[str, float]:
    """Sending and waiting, which are one thing to whoever asks."""
    return {**classic.run(), **classic_waits.run()}


RUNS = {
    "bulk": bulk.run,
    "single": single.run,
    "imports": imports.run,
    "sql": sql.run,
    "profiles": profiles.run,
    "receipts": receipts.run,
    "waits": waits.run,
    "triggerer": triggerer.run,
    "approvals": approvals.run,
    "classic": _classic,
    "storm": storm.run,
    "push": push.run,
}


def main() -> None:
    logging.disable(logging.WARNING)
    os.environ["AIRFLOW__TWILIO__INSTALLATION_ID"] = "bench"  # there are no Variables
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"  # for the operators, in every process
    print(f"Measured on Python {machine()}")
    lines: dict[str, float] = {}
    for name in sys.argv[1:] or RUNS:
        lines.update(RUNS[name]())
    print()
    for name, value in lines.items():
        print(f"bench: {name}={value}")
    keep(lines, machine())


if __name__ == "__main__":
    main()
