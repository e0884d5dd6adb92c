"""Environment variables of a stack's processes, and the migrated database that they start from."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from airflow_provider_twilio_comms.demo.processes import StackFailed

__all__ = [
    "airflow_env",
    "clean_env",
    "copy_template_database",
    "free_port",
    "kept_env",
    "migrate",
    "sqlite_url",
]


# The connections that the stack sets to the emulator.
OWN = frozenset({"AIRFLOW_CONN_TWILIO_DEFAULT", "AIRFLOW_CONN_TWILIO_PREVIEW"})


def free_port(preferred: int = 0) -> int:
    """Find a free loopback port: the preferred one, or any if that is taken or 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, after a restart
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kept_env() -> dict[str, str]:
    """Read Airflow's connections and variables from this process's environment.

    The stack's own are left out: in the demo they are the emulator, and must never be a real account.
    """
    kept = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
    return {name: value for name, value in os.environ.items() if name.startswith(kept) and name not in OWN}


def clean_env() -> dict[str, str]:
    """Copy this process's environment without Airflow's variables, since the stack sets its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "_AIRFLOW"))}
    # Every address of the stack is on the loopback; a proxy of the user's must not get in between.
    env["NO_PROXY"] = env["no_proxy"] = "localhost,127.0.0.1"
    return env


def sqlite_url(home: Path) -> str:
    return f"sqlite:///{home / 'airflow.db'}"


def airflow_env(home: Path, dags: Path, port: int, sql_alchemy_conn: str) -> dict[str, str]:
    """Build the environment of an Airflow's components, with new secrets for each stack.

    Four workers instead of 32 save a gigabyte; the short sleeps are for people and tests that wait.
    """
    options = {
        "CORE__DAGS_FOLDER": str(dags),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
        "API__SECRET_KEY": secrets.token_urlsafe(32),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        "DATABASE__SQL_ALCHEMY_CONN": sql_alchemy_conn,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return (
        clean_env()
        | {"AIRFLOW_HOME": str(home)}
        | {f"AIRFLOW__{key}": value for key, value in options.items()}
    )


def migrate(env: Mapping[str, str]) -> None:
    """Create or upgrade the tables of the database that ``env`` names."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StackFailed(f"airflow db migrate failed:\n{(done.stdout + done.stderr)[-4000:]}")


def copy_template_database(home: Path) -> None:
    """Put a migrated SQLite database into ``home``; kept per Airflow version, as migrating takes 5 s."""
    template = _cache() / f"airflow-{version('apache-airflow-core')}.db"
    if not template.exists():
        with tempfile.TemporaryDirectory(dir=template.parent) as scratch:
            made = Path(scratch)
            migrate(airflow_env(made, made / "dags", 0, sqlite_url(made)))
            with contextlib.closing(sqlite3.connect(made / "airflow.db")) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it into the one file we keep
            # Another process may have been as quick; a rename replaces its equal copy in one step.
            (made / "airflow.db").replace(template)
    shutil.copyfile(template, home / "airflow.db")


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "airflow-provider-twilio-comms"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home folder, or a read-only one
        folder = Path(tempfile.gettempdir()) / f"airflow-provider-twilio-comms-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
