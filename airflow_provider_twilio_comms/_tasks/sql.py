"""Rows of any database that Airflow has a ``DbApiHook`` for, as a stream."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from airflow_provider_twilio_comms._core.recipients.prefetch import prefetch
from airflow_provider_twilio_comms._core.recipients.reader import BATCH, Batched, Rows
from airflow_provider_twilio_comms._core.recipients.sources import shown_columns
from airflow_provider_twilio_comms.exceptions import InvalidInput

log: logging.Logger = logging.getLogger(__name__)

FETCH = 2_000  # rows that the database hands over at once


@dataclass(frozen=True)
class Query:
    """A statement that reads. ``column`` has to be one of its columns, where it is given."""

    sql: str
    conn_id: str
    parameters: Sequence[Any] | Mapping[str, Any] | None = None
    column: str | None = None
    hook_params: Mapping[str, Any] | None = None

    def hook(self) -> Any:
        """The connection's hook. Raises :class:`InvalidInput` where it is for no database."""
        from airflow.sdk import BaseHook

        if not self.sql.strip():
            raise InvalidInput.at("sql", "is empty", "Check the template that renders to it")
        hook = BaseHook.get_hook(self.conn_id, hook_params=dict(self.hook_params or {}))
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        if not isinstance(hook, DbApiHook):
            raise InvalidInput.at(
                "sql_conn_id", f"{type(hook).__name__} is for no SQL database", "Name one of those"
            )
        return hook

    def batches(self, hook: Any = None) -> Iterator[Rows]:
        """The rows, a server-side cursor's worth at a time; memory stays that of a few of them."""
        with closing((hook or self.hook()).get_conn()) as connection, closing(_cursor(connection)) as cursor:
            cursor.execute(self.sql, *([self.parameters] if self.parameters else []))
            names: list[str] = []
            while rows := cursor.fetchmany(FETCH):
                names = names or self._names(cursor.description)
                if isinstance(rows[0], Mapping):
                    rows = [tuple(row.values()) for row in rows]
                for start in range(0, len(rows), BATCH):
                    yield Rows(names, rows[start : start + BATCH])
            names or self._names(cursor.description)

    def _names(self, description: Any) -> list[str]:
        if not description:
            raise InvalidInput.at("sql", "gives no rows", "Write a SELECT")
        names = [str(column[0]) for column in description]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            problem = f"gives {shown_columns(twice[:1])!r} twice"
            raise InvalidInput.at("sql", problem, "Name the columns apart with AS")
        if self.column is not None and self.column not in names:
            raise InvalidInput.at(
                "number_column",
                f"{self.column!r} is not a column of the statement (it has {shown_columns(names)})",
                "Name the one with the numbers",
            )
        return names


def streamed(query: Query) -> Batched:
    """The rows, read ahead by a thread: the database works while what it gave is checked and encoded."""
    hook = query.hook()
    return Batched(prefetch(lambda: query.batches(hook), depth=20))


def tables(query: Query) -> list[tuple[str, str]]:
    """The tables that a statement reads, as OpenLineage names them; none where its provider cannot tell."""
    try:
        from airflow.providers.openlineage.sqlparser import SQLParser

        hook = query.hook()
        info = hook.get_openlineage_database_info(hook.connection)
        parser = SQLParser(
            dialect=hook.get_openlineage_database_dialect(hook.connection),
            default_schema=hook.get_openlineage_default_schema(),
        )
        found = parser.generate_openlineage_metadata_from_sql(
            sql=query.sql, hook=hook, database_info=info, use_connection=False
        )
    except Exception as error:  # lineage is nice to have
        log.debug("The tables are not known: %s", type(error).__name__)
        return []
    return [(table.namespace, table.name) for table in found.inputs]


def _cursor(connection: Any) -> Any:
    """A server-side cursor where the driver has one; elsewhere the driver's own, read in steps."""
    driver = type(connection).__module__.partition(".")[0]
    if driver in ("psycopg2", "psycopg"):
        return connection.cursor(name="airflow_twilio")
    if driver in ("MySQLdb", "pymysql"):
        return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    cursor = connection.cursor()
    if hasattr(cursor, "arraysize"):
        cursor.arraysize = FETCH
    return cursor


def ordered(sql: str) -> bool:
    """Tell if the outermost SELECT has an ORDER BY; one in a window or a subquery does not count."""
    from sqlparse import lexer, tokens

    read: Any = lexer.tokenize
    depth = 0
    for kind, text in read(sql):
        if kind in tokens.Punctuation:
            depth += text.count("(") - text.count(")")
        elif depth == 0 and kind in tokens.Keyword and text.upper().split() == ["ORDER", "BY"]:
            return True
    return False
