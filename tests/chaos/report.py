"""What came of it: a table for people, a verdict for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.chaos.run import Result

__all__ = ["failed", "table", "verdict"]

_HEAD = ("fault", "runs", "once", "twice", "lost", "uncertain", "mended", "seconds")


def table(results: Sequence[Result], faults: Iterable[str]) -> str:
    """A line for each fault: runs; recipients texted once, twice and never; runs that ended uncertain, and
    those that somebody had to clear; the longest run's seconds.
    """
    rows: list[tuple[str, ...]] = [_HEAD]
    for fault in faults:
        runs = [result for result in results if result.fault == fault]
        if runs:
            rows.append(_row(fault, runs))
    rows.append(_row("all", results))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows)


def _row(name: str, runs: Sequence[Result]) -> tuple[str, ...]:
    counts = (
        len(runs),
        sum(run.once for run in runs),
        sum(run.twice for run in runs),
        sum(run.lost for run in runs),
        sum(run.uncertain for run in runs),
        sum(bool(run.mended) for run in runs),
        round(max((run.seconds for run in runs), default=0.0)),
    )
    return (name, *map(str, counts))


def verdict(results: Sequence[Result]) -> str:
    return (
        f"chaos: runs={len(results)} duplicates={sum(run.twice for run in results)} "
        f"lost={sum(run.lost for run in results)} uncertain={sum(run.uncertain for run in results)}"
    )


def failed(result: Result) -> bool:
    return bool(result.twice or result.lost or result.trouble)
