"""Figures of the benchmarks, which ``make bench`` writes to ``docs/figures.json`` and one page states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["FIGURES", "MEANINGS", "Meaning", "keep", "page"]

FIGURES = Path(__file__).resolve().parents[1] / "figures.json"


class Meaning(NamedTuple):
    """A figure's description, its unit, and what it is held against."""

    measurement: str
    unit: str
    beside: str = ""
    command: str = ""


# The figures that are kept, by the name under which ``make bench`` prints them, in the order of the page.
MEANINGS = {
    "bulk_cpu_ratio": Meaning(
        "CPU of a bulk send to 1,000,000 recipients with three variables",
        "times",
        "the least that could be done: the same recipients in lists of 10,000, encoded once and posted",
        "bulk",
    ),
    "bulk_peak_mib": Meaning("its memory, at the peak and over the start", "MiB", "", "bulk"),
    "single_cpu_ratio": Meaning(
        "CPU of a single message through the hook",
        "times",
        "a bare `requests.Session.post` of the same form",
        "single",
    ),
    "sql_rows_per_s": Meaning(
        "rows from PostgreSQL, checked, encoded and posted in bulk", "a second", "", "sql"
    ),
    "sql_vs_official_ratio": Meaning(
        "the same rows through a loop with the `twilio` package, one request for each",
        "times as long",
        "5,000 rows of it, beside the above",
        "sql",
    ),
    "import_extra_ms": Meaning(
        "importing every operator, sensor, notifier and transfer",
        "ms",
        "`import airflow.sdk` and its base classes",
        "imports",
    ),
    "waits_10000_requests_per_round": Meaning(
        "requests of a poll for 10,000 waits of one operation each",
        "a round",
        "one for each wait and round, in as many loops",
        "waits",
    ),
    "waits_10000_kib_each": Meaning("memory of a wait", "KiB", "an idle trigger of Airflow's", "waits"),
    "waits_10000_lag_p99_ms": Meaning(
        "lag of the event loop with 10,000 waits, 99th percentile", "ms", "", "waits"
    ),
}


def keep(lines: Mapping[str, float], machine: str, path: Path = FIGURES) -> None:
    """Write the figures that were measured now, and leave the others as they are."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    month = f"{date.today():%B %Y}"
    for name in MEANINGS:
        if name in lines:
            kept[name] = {"value": lines[name], "measured": month, "machine": f"Python {machine}"}
    path.write_text(json.dumps(kept, indent=2) + "\n")


def page() -> str:
    """The page of the figures."""
    kept = json.loads(FIGURES.read_text())
    rows = [_row(meaning, kept[name]) for name, meaning in MEANINGS.items() if name in kept]
    return _PAGE + "\n".join(rows) + "\n"


def _row(meaning: Meaning, kept: Mapping[str, Any]) -> str:
    figure = f"{kept['value']:,} {meaning.unit}"
    where = f"{kept['measured']}, {kept['machine']}"
    cells = (meaning.measurement, figure, meaning.beside, f"`make bench ARGS={meaning.command}`", where)
    return f"| {' | '.join(cells)} |"


_PAGE = """# Measurements

These are the figures of the last `make bench`, which writes them to `docs/figures.json`; no other page has
any. Everything ran on one machine, against the emulator: there is no network and no Twilio in between, so
these are the costs of the client and say nothing about Twilio's speed. They vary with the load of the
machine, by a fifth and more. Waits were measured with one event loop, polls every 5 s, an emulator that
answers after 50 ms and operations that finish within 30 s.

Most of the difference to a loop is that between one request per person and one per 10,000 people, which the
Communications API makes possible. An account without access to it makes one request per message either way.

| measurement | figure | compared with | command | when and where |
|---|---|---|---|---|
"""
