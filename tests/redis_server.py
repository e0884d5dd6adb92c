"""A real Redis on a loopback port that keeps nothing on disk, gone when the tests end."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_twilio_comms.demo.processes import Component, Guardian, until

__all__ = ["Redis", "installed", "redis_running"]


@dataclass(frozen=True)
class Redis:
    port: int
    server: Component

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def restart(self) -> None:
        """It comes back empty: every message that nobody had taken yet is gone."""
        self.server.stop()
        self.start()

    def start(self) -> None:
        self.server.start()
        until(self._answers, timeout=30, what="Redis to answer")

    def _answers(self) -> bool:
        self.server.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
        return False


def installed() -> str | None:
    """The server's program, if it is on this machine."""
    return shutil.which("redis-server")


@contextmanager
def redis_running() -> Iterator[Redis]:
    """A fresh server while the block lasts, or until this process dies."""
    program = installed()
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="twilio-redis-"))
    guardian = Guardian()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    redis = Redis(port, Component("redis", command, folder / "redis.log", os.environ, guardian))
    try:
        redis.start()
        yield redis
    finally:
        redis.server.stop()
        guardian.dismiss()
        shutil.rmtree(folder, ignore_errors=True)
