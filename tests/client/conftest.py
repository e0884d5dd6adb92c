"""Both runners behind one face, an emulator for the module, and a server that says what a test scripts."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running, running

T = TypeVar("T")


class Sync:
    """Runs work with requests."""

    def __init__(self, config: Config) -> None:
        self.client = sync.Client(config)

    def run(self, work: Call[T] | Flow[T]) -> T:
        return self.client.run(work)

    def close(self) -> None:
        self.client.close()


class Async:
    """Runs work with aiohttp, on an event loop of its own."""

    def __init__(self, config: Config) -> None:
        self.loop = asyncio.new_event_loop()

        async def opened() -> aio.AsyncClient:
            return aio.AsyncClient(config)

        self.client = self.loop.run_until_complete(opened())

    def run(self, work: Call[T] | Flow[T]) -> T:
        return self.loop.run_until_complete(self.client.run(work))

    def close(self) -> None:
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


Runner = Sync | Async
Connect = Callable[..., Runner]


@pytest.fixture(scope="session")
def _server() -> Iterator[Running]:
    with running(pace=0) as started:
        yield started


@pytest.fixture
def server(_server: Running) -> Iterator[Running]:
    """The emulator, empty, with its options as they were."""
    before = _server.twilio.options
    _server.twilio.reset()
    yield _server
    _server.twilio.options = before


@pytest.fixture
def config(server: Running) -> Config:
    return Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=server.base_url, timeout=5, max_attempts=3)


@pytest.fixture(params=[Sync, Async], ids=["requests", "aiohttp"])
def connect(request: pytest.FixtureRequest, config: Config) -> Iterator[Connect]:
    """Opens a runner; keyword arguments change the connection."""
    opened: list[Runner] = []

    def open_(**changes: Any) -> Runner:
        opened.append(request.param(replace(config, **changes)))
        return opened[-1]

    yield open_
    for runner in opened:
        runner.close()


@pytest.fixture
def runner(connect: Connect) -> Runner:
    """A runner connected to the emulator."""
    return connect()


class Scripted:
    """Answers one request per connection with the next of its raw replies, and keeps what came."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/{{product}}"
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, status: str, body: bytes = b"", *headers: str) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.replies.append("\r\n".join([*head, "", ""]).encode() + body)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.requests.append(self._read(connection))
                connection.sendall(self.replies.pop(0) if self.replies else b"")

    def _read(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()
