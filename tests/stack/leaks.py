"""Looks for what must not be kept: phone numbers, texts and credentials in all that an Airflow writes down.

Searched are every column of every row of the metadata database (XComs, trigger arguments, rendered
fields, the state store ...), SQLite's file as it lies on the disk (deleted rows stay in it), the logs of all
tasks and of all components. The emulator's own log is not: it is Twilio's side.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN

# Digits alone, and digits as people write them. Both are looked at: a date beside a number would hide it from
# the second, brackets from the first.
_DIGITS = re.compile(r"\d{7,15}")
_WRITTEN = re.compile(r"\+?\(?\d[\d ().-]{5,22}\d")
_NUMBER = re.compile(r"\+?[\d ().-]{7,}")


class Leak(NamedTuple):
    """``needle`` was found in ``where``; ``context`` is what stands around it."""

    where: str
    needle: str
    context: str


def leaks(stack: Stack, needles: Iterable[str]) -> list[Leak]:
    """Find where any of ``needles`` can be read.

    Phone numbers may be many: all number-shaped tokens are compared with all of them at once, in whatever
    form either is written. Other texts are searched one by one, as they are and as JSON escapes them.
    """
    numbers: dict[str, str] = {}
    texts: dict[str, str] = {}
    for needle in needles:
        if _NUMBER.fullmatch(needle):
            numbers[re.sub(r"\D", "", needle)] = needle
        elif needle.strip():
            texts[needle] = texts[json.dumps(needle)[1:-1]] = needle
    found: dict[tuple[str, str], Leak] = {}
    for where, text in written(stack):
        for needle, start in _matches(text, numbers, texts):
            found.setdefault((where, needle), Leak(where, needle, text[max(0, start - 60) : start + 60]))
    return list(found.values())


def credentials(stack: Stack) -> list[str]:
    """The secrets that ``twilio_default`` of a stack holds, in the forms they travel in."""
    assert stack.emulator is not None
    connection = json.loads(stack.emulator.connection())
    basic = base64.b64encode(f"{connection['login']}:{connection['password']}".encode()).decode()
    return [AUTH_TOKEN, str(connection["password"]), basic]


def written(stack: Stack) -> Iterator[tuple[str, str]]:
    """Everything the Airflow of ``stack`` has written, as (where, text)."""
    yield from _rows(stack)
    for path in sorted(stack.home.rglob("*")):
        if path.is_file() and path.name != "emulator.log":
            yield str(path.relative_to(stack.home)), path.read_bytes().decode("utf-8", errors="replace")


def _rows(stack: Stack) -> Iterator[tuple[str, str]]:
    import sqlalchemy

    engine = sqlalchemy.create_engine(stack.sql_alchemy_conn)
    try:
        tables = sqlalchemy.inspect(engine).get_table_names()
        with engine.connect() as database:
            for table in tables:
                rows = database.execute(sqlalchemy.text(f'SELECT * FROM "{table}"'))
                columns = list(rows.keys())
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        if value is not None:
                            yield f"{table}.{column}", _text(value)
    finally:
        engine.dispose()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    return json.dumps(value, default=str, ensure_ascii=False)


def _matches(text: str, numbers: dict[str, str], texts: dict[str, str]) -> Iterator[tuple[str, int]]:
    for pattern in (_DIGITS, _WRITTEN) if numbers else ():
        for match in pattern.finditer(text):
            digits = re.sub(r"\D", "", match[0])
            if digits in numbers:
                yield numbers[digits], match.start()
    for form, needle in texts.items():
        if (start := text.find(form)) >= 0:
            yield needle, start
