"""Whom not to text: numbers from lists, files and tables, however many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_twilio_comms._core.recipients.number_sets import Keys, key_of
from airflow_provider_twilio_comms._core.recipients.phone_numbers import normalised
from airflow_provider_twilio_comms._core.recipients.sources import FILE_KINDS, lines_of, rows_of, suffix_of
from airflow_provider_twilio_comms._tasks.object_storage import resolved
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["suppressed"]

_NUMBER = re.compile(r"\+?[\d ().-]{5,}")


def suppressed(given: Any, region: str | None) -> Keys:
    """The numbers of every source. Raises :class:`InvalidInput` for what is none: nobody on it may be texted.

    ``given`` is a number, a path, ``{"sql", "conn_id"}`` or a list of these.
    """
    keys = Keys()
    sources = [given] if isinstance(given, (str, Mapping)) else given
    for source in sources:
        block: list[int] = []
        for row, text in enumerate(_texts(source), 1):
            block.append(key_of(_read(text, region, row)))
            if len(block) == 10_000:
                keys.add(block)
                block.clear()
        keys.add(block)
    return keys


def _texts(source: Any) -> Iterable[Any]:
    if isinstance(source, Mapping) and "sql" in source:
        return _of_table(source)
    if isinstance(source, str) and not _NUMBER.fullmatch(source.strip()):
        return _of_file(source)
    if isinstance(source, str):
        return (source,)
    raise InvalidInput.at(
        "suppress",
        f"holds a {type(source).__name__}",
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


def _read(text: Any, region: str | None, row: int) -> str:
    number, problem = normalised(text, region)
    if problem and isinstance(text, str) and text.strip().isdecimal():
        number, problem = normalised(f"+{text.strip()}", region)
    if problem:
        raise InvalidInput.at("suppress", problem, "Write numbers in E.164, or set default_region", row)
    return number
