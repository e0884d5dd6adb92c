"""A preflight's report as a table for the task's log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["shown"]

MOST = 20  # countries that the table names


def shown(report: Mapping[str, Any]) -> str:
    """Counts only, whoever reads the log."""
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in report["rejected"].items()) or "nobody"
    lines = [
        f"Preflight: {report['recipients']:,} recipients of {report['rows']:,} rows, "
        f"in {report['requests']:,} requests",
        f"  left out: {left_out}",
    ]
    if report["lacking"]:
        lacking = ", ".join(f"{name} ({count:,})" for name, count in report["lacking"].items())
        lines.append(f"  lack a variable without default: {lacking}")
    segments = report.get("segments")
    if segments:
        about = "" if segments["exact"] else "about "
        kinds = ", ".join(
            f"{name} {segments[key]:,}"
            for name, key in (("GSM-7", "gsm7"), ("UCS-2", "ucs2"), ("MMS", "mms"))
            if segments.get(key)
        )
        lines.append(
            f"  {about}{segments['total']:,} segments, {segments['longest']} at most a text; {kinds}"
        )
    if report.get("countries"):
        lines += ["", *_table(report)]
    return "\n".join(lines)


def _table(report: Mapping[str, Any]) -> list[str]:
    cost = report.get("cost") or {"unit": "", "low": "", "high": "", "unpriced": []}
    rows = [("country", "recipients", "segments", "at least", f"at most {cost['unit']}".strip())]
    countries = list(report["countries"].items())
    for name, each in countries[:MOST]:
        counts = (f"{each['recipients']:,}", f"{each['segments']:,}" if "segments" in each else "?")
        rows.append((name, *counts, each.get("low", "?"), each.get("high", "?")))
    if len(countries) > MOST:
        rest = sum(each["recipients"] for _, each in countries[MOST:])
        rows.append((f"{len(countries) - MOST} more", f"{rest:,}", "", "", ""))
    total = report["segments"]["total"] if report.get("segments") else None
    rows.append(
        (
            "all",
            f"{report['recipients']:,}",
            "?" if total is None else f"{total:,}",
            cost["low"],
            cost["high"],
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
