"""Many alerts at once, from a process of their own: ``python -m tests.notifications.alert_process ...``.

They are kept in a folder or in a SQLite file. A folder's files are the names: creating and removing one is
atomic, and every process sees it. ``slow`` seconds pass, at most, before and after each of its verbs.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_twilio_comms._core.alerts.alert import Alert
from airflow_provider_twilio_comms._core.alerts.names import NameStore
from airflow_provider_twilio_comms._core.alerts.send import Order, send_alert
from airflow_provider_twilio_comms._core.alerts.store import AlertStore, Gate, scope
from airflow_provider_twilio_comms._core.alerts.table import CREATE, Duplicate, TableStore
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage, compose
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

__all__ = ["EVE", "FROM", "FileDatabase", "FolderBoard", "config", "order", "store_in"]

EVE, FROM = "+12025550124", "+15005550006"
ALERT = Alert("orders", "load")


class FolderBoard:
    """A set of names that every process sees."""

    def __init__(self, folder: Path, slow: float = 0.0, *, writable: bool = True) -> None:
        self.folder, self.slow, self.writable = folder, slow, writable
        self.asked = 0
        self.name = "The folder"

    @property
    def identity(self) -> Hashable:
        """Each board is as another process's: only the alerts of one go to the store together."""
        return id(self)

    def names(self, prefix: str) -> Sequence[str]:
        self._wait()
        found = [path.name for path in self.folder.iterdir() if path.name.startswith(prefix)]
        self._wait()
        return found

    def put(self, name: str, note: str) -> None:
        self._wait()
        (self.folder / name).write_text(note)
        self._wait()

    def drop(self, name: str) -> None:
        self._wait()
        (self.folder / name).unlink(missing_ok=True)
        self._wait()

    def _wait(self) -> None:
        self.asked += 1
        if self.slow:
            time.sleep(random.uniform(0, self.slow))


class FileDatabase:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, "The file"

    @property
    def identity(self) -> Hashable:
        return id(self)

    @contextmanager
    def session(self) -> Iterator[FileSession]:
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as connection:
            connection.execute(CREATE)
            yield FileSession(connection)


class FileSession:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def select(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        return self.connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        try:
            return self.connection.execute(sql, parameters).rowcount
        except sqlite3.IntegrityError as error:
            raise Duplicate(str(error)) from error


def store_in(folder: Path, kind: str, slow: float = 0.0) -> AlertStore:
    """A store of alerts, as one process has it."""
    return (
        TableStore(FileDatabase(folder / "db")) if kind == "table" else NameStore(FolderBoard(folder, slow))
    )


def config(base_url: str) -> Config:
    return Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=base_url)


def order(
    key: str = "orders",
    window: float = 3600.0,
    alert: Alert = ALERT,
    sender: str = FROM,
    writing: Callable[[], object] = lambda: None,
    **kwargs: object,
) -> Order:
    """An alert to one person, whose text is the default one."""
    gates = kwargs.pop("gates", None) or [Gate(scope("key", key), window, note=key)]

    def write(about: Alert) -> OutgoingMessage:
        writing()
        return compose([EVE], {"from_": sender, "body": about.text}, lambda address: True)

    return Order(alert, gates, write, **kwargs)  # type: ignore[arg-type]


def main(url: str, folder: str, kind: str, count: str, threads: str, slow: str) -> None:
    client, store = Client(config(url)), store_in(Path(folder), kind, float(slow))
    with ThreadPoolExecutor(int(threads)) as pool:
        sent = list(pool.map(lambda number: client.run(send_alert(order(), store)), range(int(count))))
    client.close()
    print(sum(sent))


if __name__ == "__main__":
    main(*sys.argv[1:])
