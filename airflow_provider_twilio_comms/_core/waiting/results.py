"""The result line of a send or a wait: counts, shares, what was asked for, and the reasons of failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_provider_twilio_comms.api import error_codes

REASONS = 5  # codes that a line names


def describe_result(
    reached: str,
    count: int,
    asked: int,
    criteria: str,
    *,
    under_way: int = 0,
    lost: int = 0,
    codes: Mapping[int, int] | None = None,
) -> str:
    """Describe in one line how a wait ended.

    ``reached`` is what ``count`` of the ``asked`` messages are by now, such as ``delivered``, ``criteria``
    what the task asked for, in words, and ``codes`` how often each Twilio code was the reason of a failure;
    None where there are no codes to ask for.
    """
    share = f"{100 * count / asked:.1f} %" if asked else "nobody"
    line = f"{reached.capitalize()} {count:,} of {asked:,} ({share}; asked for {criteria})."
    if under_way:
        line += f" Under way {under_way:,}."
    if lost:
        line += f" Failed {lost:,}" + (f": {describe_reasons(codes)}." if codes else ".")
        unexplained = 0 if codes is None else lost - sum(codes.values())
        line += f" Twilio was not asked why {unexplained:,} did." if unexplained else ""
    return line


def describe_statuses(statuses: Iterable[str]) -> str:
    """Count statuses, in the order in which they were first seen; empty where there are none."""
    counts = Counter(status.lower() for status in statuses)
    return ", ".join(f"{status} {count:,}" for status, count in counts.items())


def describe_reasons(codes: Mapping[int, int]) -> str:
    """Name the most frequent codes, each with its count, its meaning and what to do about it."""
    return ", ".join(
        f"{count:,} x {code}"
        + (f" ({known.meaning}; {known.verdict.value})" if (known := error_codes.known(code)) else "")
        for code, count in Counter(codes).most_common(REASONS)
    )
