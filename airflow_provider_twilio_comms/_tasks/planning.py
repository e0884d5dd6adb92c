"""Plan a task's send: log its progress, load the opt-out list (``suppress``), print the preflight table."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_twilio_comms._core.planning.plan import Ladder, Plan, planned, spooled
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of
from airflow_provider_twilio_comms._core.recipients.phone_numbers import normalised
from airflow_provider_twilio_comms._core.recipients.reader import Reader, Reject
from airflow_provider_twilio_comms._core.recipients.sources import FILE_KINDS, lines_of, rows_of, suffix_of
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.object_storage import opened_rejects, resolved
from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError, scrub

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_twilio_comms._core.planning.limits import Limits
    from airflow_provider_twilio_comms._core.planning.screening import Screening
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

task_log: logging.Logger = logging.getLogger(__name__)

STEP = 100_000  # rows between two lines of progress


@contextmanager
def planning(
    rows: Iterable[Any],
    reader: Reader,
    log: Logger,
    *,
    envelope: int,
    at_most: int,
    on_invalid: Literal["fail", "skip"],
    rejects_path: str | None,
    ladder: Ladder | None = None,
    screening: Screening | None = None,
    guarded: Callable[[Plan, Callable[[Reject], None]], None] | None = None,
) -> Iterator[Plan]:
    """Check and encode all rows. The plan lasts as long as the block; the rejects are written by then.

    ``guarded`` leaves people out of the plan's parts, and is given where to write rejects.
    Raises what :func:`~airflow_provider_twilio_comms._core.planning.plan.planned` raises.
    """

    def progress(count: int) -> None:
        if count % STEP == 0:
            log.info("Read %s recipients", f"{count:,}")

    with spooled() as spool:
        with opened_rejects(rejects_path) as reject:
            plan = planned(
                rows,
                reader,
                spool,
                envelope=envelope,
                at_most=at_most,
                on_invalid=on_invalid,
                reject=reject,
                screening=screening,
                ladder=ladder,
                progress=progress,
                keep_rows=guarded is not None and rejects_path is not None,
            )
            if guarded is not None:
                guarded(plan, reject)
        log.info(
            "Planned %s in %s; %s rejected",
            pluralize(plan.recipients, "recipient"),
            pluralize(len(plan.chunks), "request"),
            f"{plan.rejected:,}",
        )
        if screening and screening.differing:
            log.warning(
                "%s with the number of an earlier row and other variables: all are sent, so these people "
                "get several messages; on_duplicate='first' or 'last' sends one to each number",
                pluralize(screening.differing, "row"),
            )
        for name, lacking in reader.lacking.items():
            log.warning(
                "Template variable %r has no default; without it: %s", name, pluralize(lacking, "recipient")
            )
        yield plan


def cost_of(hook: TwilioHook, countries: dict[str, Any], limits: Limits) -> dict[str, Any] | None:
    """Estimate the cost by country; None where the prices cannot be read and no limit needs them."""
    from airflow_provider_twilio_comms._core.planning.costs import priced, prices

    try:
        return priced(countries, hook.run(prices(countries)))
    except TwilioError as error:
        if limits.cost is not None:
            raise
        task_log.warning("The prices cannot be read, so there is no estimate: %s", error)
        return None


MOST = 20  # countries that the table names


def table(report: Mapping[str, Any]) -> str:
    """Counts only, whoever reads the log."""
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in report["rejected"].items()) or "nobody"
    lines = [
        f"Preflight: {pluralize(report['recipients'], 'recipient')} of {pluralize(report['rows'], 'row')}, "
        f"in {pluralize(report['requests'], 'request')}",
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
            f"  {about}{pluralize(segments['total'], 'segment')}, at most "
            f"{pluralize(segments['longest'], 'segment')} per text; {kinds}"
        )
    if report.get("countries"):
        lines += ["", *_countries(report)]
    return "\n".join(lines)


def _countries(report: Mapping[str, Any]) -> list[str]:
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


def moment_of(send_at: datetime | str | None) -> datetime | None:
    """Parse ``send_at``. Raises :class:`InvalidInput` for an empty text, which would send at once."""
    if send_at is None:
        return None
    given = send_at.strip() if isinstance(send_at, str) else send_at
    if not given:
        fix = "Check the template that renders to it, or leave send_at out to send at once"
        raise InvalidInput.at("send_at", "is empty: nothing was sent", fix)
    return cast("datetime", valid("send_at", given, datetime))


_NUMBER = re.compile(r"\+?[\d ().-]{5,}")


def load_suppressed(given: Any, region: str | None) -> NumberSet:
    """Load the opt-out list: the numbers of every source, of which nobody may be texted.

    ``given`` is a number, a path, ``{"sql", "conn_id"}`` or a list of these, which may be empty. Raises
    :class:`InvalidInput` for what is no number, and where a template or another task gave nothing at all.
    """
    if given is None or (isinstance(given, (str, Mapping)) and not given):
        raise InvalidInput.at(
            "suppress",
            "is empty: nothing was sent, since nobody would be left out",
            "Check the template or task that gives it; an empty list says that nobody opted out",
        )
    keys = NumberSet()
    sources = [given] if isinstance(given, (str, Mapping)) else given
    for source in sources:
        block: list[int] = []
        for row, text in enumerate(_texts(source), 1):
            block += map(key_of, _read(text, region, row))
            if len(block) >= 10_000:
                keys.add(block)
                block.clear()
        keys.add(block)
    return keys


def _texts(source: Any) -> Iterable[Any]:
    if isinstance(source, Mapping) and "sql" in source:
        return _of_table(source)
    if isinstance(source, str) and source.strip():
        return (source,) if _NUMBER.fullmatch(source.strip()) else _of_file(source)
    raise InvalidInput.at(
        "suppress",
        "holds an empty text" if isinstance(source, str) else f"holds a {type(source).__name__}",
        "Give numbers, paths, or {'sql': ..., 'conn_id': ...}",
    )


def _of_table(source: Mapping[str, Any]) -> Iterator[Any]:
    from airflow_provider_twilio_comms._tasks.sql import Query

    query = Query(str(source["sql"]), str(source.get("conn_id") or ""), source.get("parameters"))
    for batch in query.batches():
        for row in batch:
            yield row[0]


def _of_file(path: str) -> Iterator[Any]:
    """One number a line, with or without other columns after a comma; or rows with a column for it."""
    file = resolved(path)
    if suffix_of(file) in FILE_KINDS:
        first = next(lines_of(file), "") if suffix_of(file) == ".csv" else ""
        if scrub(first) != first and not _NUMBER.fullmatch(_cell(first)):
            problem = "the first line of the file is neither a number nor names of columns"
            raise InvalidInput.at("suppress", problem, "Write numbers in E.164, one a line", 1)
        if not _NUMBER.fullmatch(_cell(first)):
            for row in rows_of(file):
                yield _number_in(row)
            return
    yield from (_cell(line) for line in lines_of(file) if line.strip())


def _cell(line: str) -> str:
    return line.partition(",")[0].strip(" \t\r\n\"'")


def _number_in(row: Any) -> Any:
    if len(row) == 1:
        return next(iter(row.values()))
    names = ("phone", "to", "number", "phone_number", "mobile", "address")
    return next((row[name] for name in names if name in row), None)


def _read(text: Any, region: str | None, row: int) -> set[str]:
    """A number as recipients are read; and with a + too, where it has digits for a country code.

    Digits alone are a national number to one and an international one to another, such as 12025550101 in
    Germany. Where it can be both, both are left out. Without a region nobody can tell, so that is an error.
    """
    number, problem = normalised(text, region)
    found = {number} if not problem else set()
    if region and isinstance(text, str) and text.strip().isdecimal() and len(text.strip()) >= 11:
        international, unlike = normalised(f"+{text.strip()}")
        found |= {international} if not unlike else set()
    if not found:
        raise InvalidInput.at(
            "suppress",
            f"{problem}: nothing was sent, since the number would not be left out",
            "Write numbers in E.164 (+ and the country code first), or set default_region",
            row,
        )
    return found
