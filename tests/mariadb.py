"""A real MariaDB on a loopback port, in a folder of its own, gone when the tests end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from airflow_provider_twilio_comms.demo.processes import Component, Guardian, until

__all__ = ["MariaDB", "mariadb_running", "missing"]

USER = "airflow"  # and its password


@dataclass(frozen=True)
class MariaDB:
    """A server with two empty databases, ``airflow`` and ``alerts``."""

    port: int

    @property
    def sql_alchemy_conn(self) -> str:
        """The address of the database ``airflow``, as Airflow takes that of its metadata."""
        return f"mysql+mysqldb://{USER}:{USER}@127.0.0.1:{self.port}/airflow?charset=utf8mb4"

    def connection(self, database: str) -> str:
        """The value of an ``AIRFLOW_CONN_...`` variable."""
        return f"mysql://{USER}:{USER}@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def execute(self, sql: str, database: str = "airflow") -> list[tuple[object, ...]]:
        import MySQLdb

        connect = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": USER}
        with closing(MySQLdb.connect(**connect, database=database)) as connection:
            with closing(connection.cursor()) as cursor:
                cursor.execute(sql)
                found = list(cursor.fetchall())
            connection.commit()
            return found


def missing() -> str | None:
    """List what this machine lacks for it."""
    if _program("mariadbd") is None or _program("mariadb-install-db") is None:
        return "no MariaDB is installed (apt-get install mariadb-server)"
    if find_spec("MySQLdb") is None:
        return "no mysqlclient is installed (apt-get install libmariadb-dev pkg-config gcc, then make setup)"
    return None


@contextmanager
def mariadb_running() -> Iterator[MariaDB]:
    """A fresh server while the block lasts, or until this process dies.

    The server refuses root, so root runs it as Debian's user ``mysql``.
    """
    folder = Path(tempfile.mkdtemp(prefix="twilio-mariadb-"))
    user = ["--user=mysql"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "mysql")
    guardian = Guardian()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    setup = folder / "setup.sql"
    setup.write_text(
        "CREATE DATABASE airflow CHARACTER SET utf8mb4;\n"
        "CREATE DATABASE alerts CHARACTER SET utf8mb4;\n"
        f"CREATE USER {USER}@'%' IDENTIFIED BY '{USER}';\n"
        f"GRANT ALL ON *.* TO {USER}@'%';\n"
    )
    home = ["--no-defaults", f"--datadir={folder / 'data'}", *user]
    install = [_program("mariadb-install-db"), *home, "--auth-root-authentication-method=normal"]
    serve = [
        *(str(_program("mariadbd")), *home, f"--port={port}", "--bind-address=127.0.0.1"),
        *(f"--socket={folder / 'socket'}", f"--init-file={setup}", "--skip-name-resolve"),
        *("--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", "--max-connections=300"),
    ]
    server = Component("mariadb", serve, folder / "mariadb.log", os.environ, guardian)

    def answers() -> bool:
        server.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            return bool(line.recv(1))  # its greeting, once the databases are there
        return False

    try:
        subprocess.run(install, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
        server.start()
        until(answers, timeout=60, what="MariaDB to answer")
        yield MariaDB(port)
    finally:
        server.stop()
        guardian.dismiss()
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
