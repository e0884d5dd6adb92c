"""The report of a conformance run: a table for the screen, and Markdown to attach to an issue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from airflow_provider_twilio_comms.conformance.checks import Check, Seen

__all__ = ["Result", "line", "markdown", "summary"]


class Result(NamedTuple):
    """A check and what it saw."""

    check: Check
    seen: Seen

    @property
    def verdict(self) -> str:
        return {True: "as assumed", False: "DIFFERS", None: "not tried"}[self.seen.agrees]


def line(result: Result) -> str:
    """One line of the table: verdict, name, what was seen, and where it differs what was assumed."""
    text = f"{result.verdict:<10}  {result.check.name:<24}  {result.seen.text}"
    return f"{text}\n{'':<12}assumed: {result.check.assumed}" if result.seen.agrees is False else text


def summary(results: Sequence[Result]) -> str:
    counts = Counter(result.verdict for result in results)
    return ", ".join(f"{counts[name]} {name}" for name in ("as assumed", "DIFFERS", "not tried"))


def markdown(results: Sequence[Result], about: str) -> str:
    """The whole report. It holds facts of Twilio's answers only: no numbers, texts, SIDs or ids."""
    rows = [
        f"| {result.check.name} | {result.check.assumed} | {_cell(result.seen.text)} | {result.verdict} "
        f"| {result.check.source} |"
        for result in results
    ]
    return "\n".join(
        [
            "# What was assumed of Twilio, and what was seen",
            "",
            about,
            "",
            f"{summary(results)}.",
            "",
            "| check | assumed | seen | verdict | assumption from |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
