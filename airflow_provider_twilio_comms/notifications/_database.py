"""The database that ``alert_store`` names, where storms of alerts are counted.

The table ``twilio_alerts`` is made when it is missing. Each statement is committed by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_twilio_comms._core.alerts.store import StoreFailed
from airflow_provider_twilio_comms._core.alerts.table import CREATE, Duplicate
from airflow_provider_twilio_comms._tasks.sql_loading import describe, sql_hook
from airflow_provider_twilio_comms.exceptions import scrub

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

__all__ = ["HookDatabase"]

T = TypeVar("T")

# Seconds between tries: a storm is also when a database has no connection to spare, or a lock is held.
_PAUSES = (0.1, 0.3, 1.0, 2.0)


class HookDatabase:
    """A database that Airflow has a ``DbApiHook`` for."""

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id

    @property
    def identity(self) -> Hashable:
        return ("table", self.conn_id)

    @property
    def name(self) -> str:
        return f"The database of the connection {self.conn_id!r}"

    @contextmanager
    def session(self) -> Iterator[_HookSession]:
        """One connection, closed at the end of the block."""
        try:
            hook = sql_hook(self.conn_id, "alert_store")
        except Exception as error:  # whatever Airflow says of a connection that is not there
            raise StoreFailed(scrub(f"{type(error).__name__}: {error}")) from None
        with closing(_try(hook.get_conn)) as connection:
            if hook.supports_autocommit:
                hook.set_autocommit(connection, True)
            yield _HookSession(hook, connection)


class _HookSession:
    """Runs statements on one connection."""

    def __init__(self, hook: DbApiHook, connection: Any) -> None:
        self._mark, self._connection = str(hook.placeholder), connection

    def select(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        def read() -> Sequence[Sequence[Any]]:
            return self._run(sql, parameters, lambda cursor: list(cursor.fetchall()))

        try:
            return read()
        except Exception:  # there is no portable word for a table that is missing
            with suppress(Exception):  # another process may make it in the same moment
                self._connection.rollback()
                self._run(CREATE, (), lambda cursor: None)
            return _try(read, self._connection.rollback)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        def write() -> int:
            return self._run(sql, parameters, lambda cursor: int(cursor.rowcount))

        return _try(write, self._connection.rollback)

    def _run(self, sql: str, parameters: Sequence[Any], read: Callable[[Any], T]) -> T:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql.replace("?", self._mark), *([tuple(parameters)] if parameters else []))
            result = read(cursor)
        self._connection.commit()
        return result


def _try(do: Callable[[], T], clean: Callable[[], object] = lambda: None) -> T:
    """Do something with the database, again where it fails. Raises :class:`StoreFailed`."""
    for pause in (*_PAUSES, None):
        try:
            return do()
        except Exception as error:
            with suppress(Exception):
                clean()
            if any(kind.__name__ == "IntegrityError" for kind in type(error).__mro__):  # of any driver
                raise Duplicate(describe(error)) from None
            if pause is None:
                raise StoreFailed(describe(error)) from None
        time.sleep(random.uniform(pause / 2, pause))
    raise AssertionError("unreachable")
