"""A database that Airflow has a ``DbApiHook`` for, read and written while a task sends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_twilio_comms._tasks.sql_loading import describe, sql_hook
from airflow_provider_twilio_comms.exceptions import TwilioError, scrub

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

T = TypeVar("T")

# Seconds between tries: others hold a lock, or the server was restarted while this task was sending.
_PAUSES = (0.1, 0.3, 1.0, 2.0)


class Database:
    """One connection, opened when it is first needed and again when it is lost; each statement is committed.

    ``purpose`` says in an error what the table is for. A statement may be made twice, where its reply was
    lost, so it has to change nothing the second time.
    """

    def __init__(self, conn_id: str, table: str, purpose: str) -> None:
        self.conn_id, self.table, self._purpose = conn_id, table, purpose
        self._connection: Any = None
        self._hook: DbApiHook | None = None

    def select(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """The rows of a statement. Raises :class:`TwilioError`."""
        return self._run(sql, parameters, lambda cursor: list(cursor.fetchall()))

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement, and count the rows that it changed. Raises :class:`TwilioError`."""
        return self._run(sql, parameters, lambda cursor: int(cursor.rowcount))

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    def _run(self, sql: str, parameters: Sequence[Any], read: Callable[[Any], T]) -> T:
        for pause in (*_PAUSES, None):
            try:
                return self._run_once(sql, parameters, read)
            except Exception as error:
                self.close()
                if pause is None:
                    raise self._unusable(error) from None
            time.sleep(random.uniform(pause / 2, pause))
        raise AssertionError("unreachable")

    def _run_once(self, sql: str, parameters: Sequence[Any], read: Callable[[Any], T]) -> T:
        if self._connection is None:
            self._hook = sql_hook(self.conn_id, "conn_id")
            self._connection = self._hook.get_conn()
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(self._connection, True)
        assert self._hook is not None
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(
                sql.replace("?", str(self._hook.placeholder)), *([tuple(parameters)] if parameters else [])
            )
            result = read(cursor)
        self._connection.commit()
        return result

    def _unusable(self, error: Exception) -> TwilioError:
        told = scrub(str(error)) if isinstance(error, TwilioError) else describe(error)
        return TwilioError(
            f"the table {self.table} of the connection {self.conn_id!r} ({self._purpose}) cannot be used: "
            f"{told}. Nothing more is sent without it. Check the connection and the table (create_table "
            "makes it where it is missing), and run the task again: it sends what is not sent"
        )
