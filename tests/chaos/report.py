"""The report of a chaos round: a table for people, a verdict for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.chaos.run import Result

__all__ = ["failed", "table", "verdict"]

_HEAD = ("fault", "runs", "once", "twice", "lost", "colour", "uncertain", "changed", "cleared", "seconds")


def table(results: Sequence[Result], faults: Iterable[str]) -> str:
    """A line for each fault: runs; recipients texted once, twice and never; runs of a wrong colour, those
    that ended uncertain or for a changed list, and those that somebody had to clear; the longest run's
    seconds.
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
        sum(bool(run.wrong_colour) for run in runs),
        sum(run.uncertain for run in runs),
        sum(bool(run.changed) for run in runs),
        sum(bool(run.clears) for run in runs),
        round(max((run.seconds for run in runs), default=0.0)),
    )
    return (name, *map(str, counts))


def verdict(results: Sequence[Result]) -> str:
    """The last line: ``chaos: runs=3 duplicates=0 lost=0 wrong_colour=0 uncertain=1``."""
    return (
        f"chaos: runs={len(results)} duplicates={sum(run.twice for run in results)} "
        f"lost={sum(run.lost for run in results)} "
        f"wrong_colour={sum(bool(run.wrong_colour) for run in results)} "
        f"uncertain={sum(run.uncertain for run in results)}"
    )


def failed(result: Result) -> bool:
    return bool(result.twice or result.lost or result.wrong_colour or result.trouble)
