"""The result line of a send or a wait: counts, shares, what was asked for, and the reasons of failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_provider_twilio_comms.api import error_codes

SHOWN = 5  # codes that a line names


def describe_result(
    reached: str,
    count: int,
    asked: int,
    criteria: str,
    *,
    under_way: int = 0,
    lost: int = 0,
    reasons: str = "",
) -> str:
    """Describe in one line how a wait ended.

    ``reached`` is what ``count`` of the ``asked`` messages are by now, such as ``delivered``, ``criteria``
    what the task asked for, and ``reasons`` why ``lost`` have failed, all in words.
    """
    share = f"{100 * count / asked:.1f} %" if asked else "nobody"
    line = f"{reached.capitalize()} {count:,} of {asked:,} ({share}; asked for {criteria})."
    if under_way:
        line += f" Under way {under_way:,}."
    if lost:
        line += f" Failed {lost:,}" + (f": {reasons}." if reasons else ".")
    return line


def describe_statuses(statuses: Iterable[str]) -> str:
    """Count statuses, in the order in which they were first seen; empty where there are none."""
    counts = Counter(status.lower() for status in statuses)
    return ", ".join(f"{status} {count:,}" for status, count in counts.items())


def describe_reasons(codes: Mapping[int, int], others: Iterable[tuple[int, str]] = ()) -> str:
    """Name the most frequent codes, each with its count, its meaning and what to do about it.

    ``others`` are counts of failures without a code, with their reason.
    """
    common = Counter(codes).most_common()
    named = [
        f"{count:,} x {code}"
        + (f" ({known.meaning}; {known.verdict.value})" if (known := error_codes.known(code)) else "")
        for code, count in common[:SHOWN]
    ]
    rest = ((sum(count for _, count in common[SHOWN:]), "other codes"), *others)
    return ", ".join([*named, *(f"{count:,} x {what}" for count, what in rest if count)])
