"""A database of the user's, SQLite or a real PostgreSQL, which the connection ``warehouse`` names."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import environment

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

__all__ = ["SECRET", "Warehouse", "hashed", "in_postgres", "in_sqlite", "linked"]

SECRET = "a-secret-of-sixteen-or-more"


def hashed(number: str) -> str:
    """The hash of a number, as a user's own database would make it."""
    return hmac.new(SECRET.encode(), number.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Warehouse:
    """A database. ``execute`` takes a statement."""

    path: Path | None = None
    server: Postgres | None = None

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        if self.server is not None:
            return self.server.execute(statement)
        assert self.path is not None
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement).fetchall()


@contextmanager
def in_sqlite(folder: Path, name: str = "warehouse") -> Iterator[Warehouse]:
    """A file, gone with its folder."""
    path = folder / f"{name}.db"
    connection = json.dumps({"conn_type": "sqlite", "host": str(path)})
    with environment(**{f"AIRFLOW_CONN_{name.upper()}": connection}):
        yield Warehouse(path)


@contextmanager
def in_postgres(server: Postgres) -> Iterator[Warehouse]:
    """The server without the tables of consent and caps that other tests have left."""
    server.execute("DROP TABLE IF EXISTS opt_outs, twilio_frequency")
    with environment(AIRFLOW_CONN_WAREHOUSE=server.connection):
        yield Warehouse(server=server)


@contextmanager
def linked(emulator: Running, **extra: Any) -> Iterator[None]:
    """The Twilio connection with consent, a secret for hashes and more."""
    given = {"hash_secret": SECRET, "consent": {"conn_id": "warehouse", "table": "opt_outs"}, **extra}
    given = {name: value for name, value in given.items() if value is not None}
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(**given)):
        yield
