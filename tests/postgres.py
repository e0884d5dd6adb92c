"""A real PostgreSQL on a loopback port, in a folder of its own, gone when the tests end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_twilio_comms.demo.processes import Guardian

__all__ = ["Postgres", "installed", "postgres_running"]


@dataclass(frozen=True)
class Postgres:
    """A server; every user is trusted. ``serve`` is ``pg_ctl`` with one of its words."""

    port: int
    serve: Callable[[str], None]

    @property
    def connection(self) -> str:
        """The value of an ``AIRFLOW_CONN_...`` variable."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def restart(self) -> None:
        """As an upgrade would: whoever is connected is cut off, what is committed stays."""
        self.serve("restart")

    def create_database(self, name: str) -> None:
        """Make one more database; ``execute`` is in a transaction, where that is not possible."""
        import psycopg2

        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        import psycopg2

        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


def installed() -> Path | None:
    """The folder of the newest server on this machine, if there is one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    command = shutil.which("initdb")
    return Path(command).parent if command else None


@contextmanager
def postgres_running() -> Iterator[Postgres]:
    """A fresh server while the block lasts, or until this process dies.

    The server refuses root, so root runs it as another user.
    """
    programs = installed()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="twilio-pg-"))
    user = pwd.getpwnam(_owner()) if os.geteuid() == 0 else None
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs / program), "-D", str(folder / "data"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=60,
            cwd=folder,
            **({"user": user.pw_uid, "group": user.pw_gid} if user else {}),  # type: ignore[call-overload]
        )

    def serve(word: str) -> None:
        run("pg_ctl", "-o", options, "-l", str(folder / "log"), "-m", "fast", "-w", word)
        guardian.watch(int((folder / "data" / "postmaster.pid").read_text().split()[0]))

    guardian = Guardian()
    port = _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    try:
        run("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "--encoding=UTF8", "--locale=C")
        serve("start")
        try:
            yield Postgres(port, serve)
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        guardian.dismiss()
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
