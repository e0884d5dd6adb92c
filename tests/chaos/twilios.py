"""Several Twilios in one process, each on a port of its own, so that each run can have its own faults.

::

    python -m tests.chaos.twilios 4      prints four ports as JSON, then obeys lines such as "down 2", "up 2"

A Twilio that is down refuses connections, and forgets nothing. The process ends with its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from types import TracebackType

from typing_extensions import Self

from airflow_provider_twilio_comms.demo.emulation import Emulation
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.emulator.twilio import Twilio

__all__ = ["Twilios"]


class Twilios:
    """The process with its Twilios. May be used by several threads."""

    def __init__(self, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        ports = json.loads(self._process.stdout.readline())
        self.each = [Emulation(port) for port in ports]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for twilio in self.each:
            twilio.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def down(self, index: int) -> None:
        self._order(f"down {index}")

    def up(self, index: int) -> None:
        self._order(f"up {index}")

    def _order(self, order: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(order + "\n")
            self._process.stdin.flush()
            assert self._process.stdout.readline().strip() == "done"


def _serve(count: int) -> None:
    twilios = [Twilio() for _ in range(count)]
    servers: list[Running | None] = [Running(twilio) for twilio in twilios]
    ports = [int(server.url.rpartition(":")[2]) for server in servers if server]
    for server in servers:
        if server:
            server.start()
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        verb, index = line.split()[0], int(line.split()[1])
        server = servers[index]
        if verb == "down" and server:
            server.stop()
            servers[index] = None
        elif verb == "up" and not server:
            servers[index] = server = Running(twilios[index], ports[index])
            server.start()
        print("done", flush=True)
    for server in servers:
        if server:
            server.stop()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
