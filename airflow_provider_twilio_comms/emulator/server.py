"""Server of the emulator on a loopback port, ``http://127.0.0.1:{port}/{product}/...``, with real faults."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_twilio_comms.emulator import callbacks, control, page
from airflow_provider_twilio_comms.emulator.clock import Clock, http_date
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.events.delivery import Deliverer
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Exchange, Twilio

__all__ = ["Running", "application", "running"]

_log = logging.getLogger(__name__)

CALLBACK_PAUSE = 0.05  # seconds between two looks for callbacks that are due
REFUSED = {"error": "only for http://localhost or 127.0.0.1, and for no other site's pages"}


def application(twilio: Twilio) -> ASGIApp:
    """Build the ASGI app: outbox page and control API on Starlette, Twilio's products on bare ASGI."""
    own, load = Starlette(routes=[*page.routes(twilio), *control.routes(twilio)]), _Load()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/" or scope["path"].startswith("/_emulator"):
            answer = own if control.is_local(Headers(scope=scope)) else control.json_response(REFUSED, 403)
            await answer(scope, receive, send)
            return
        try:
            with load:
                await _answer(twilio, load.count, scope, receive, send)
        except Exception:
            _log.exception("The emulator failed on %s %s", scope["method"], scope["path"])
            raise

    return app


class _Load:
    """Number of requests in progress."""

    count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


async def _answer(twilio: Twilio, in_progress: int, scope: Scope, receive: Receive, send: Send) -> None:
    product, _, path = scope["path"][1:].partition("/")
    fault = twilio.faults.pick(scope["method"], product, f"/{path}")
    if fault is None and 0 < twilio.options.requests_at_once < in_progress:
        fault = Fault(kind="rate_limited")
    body = b"" if fault and fault.kind == "drop_before" else await _read(receive)
    query = scope["query_string"]
    request = Request(
        scope["method"],
        product,
        f"/{path}",
        parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else (),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body,
    )
    exchange = twilio.exchange(request, fault, in_progress)
    delay = exchange.delay + twilio.options.reply_delay
    if delay:
        await asyncio.sleep(delay)
    await _reply(exchange, http_date(twilio.clock.now()), receive, send)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _reply(exchange: Exchange, date: str, receive: Receive, send: Send) -> None:
    """Send a reply whole, or end the connection before its first byte or in its middle."""
    if exchange.ending == "drop":
        _transport(send).abort()
        await _gone(receive)
        return
    reply = exchange.reply
    length = len(reply.body) + (100 if exchange.ending == "cut" else 0)
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    headers += [(b"date", date.encode()), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if exchange.ending == "cut":
        half = reply.body[: len(reply.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(send).close()  # flushes what was written
        await _gone(receive)
        return
    await send({"type": "http.response.body", "body": reply.body})


async def _gone(receive: Receive) -> None:
    """Wait until the server notices that the connection is closed, else it logs a missing reply."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(send: Send) -> asyncio.Transport:
    """Return the connection. ASGI cannot break it, but uvicorn's ``send`` is a method of the object that
    holds it, in both of its HTTP protocols.
    """
    return cast(asyncio.Transport, cast(Any, send).__self__.transport)


class _Server(uvicorn.Server):
    """A server that ends when it is told to; uvicorn's own notices within 0.1 s and then waits 0.1 s more."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    def end(self) -> None:
        """From another thread."""
        self.should_exit = True
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        await asyncio.sleep(0)  # those that are idle close now
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=self.config.timeout_graceful_shutdown)
        for task in self.server_state.tasks:
            task.cancel()


class Running:
    """A server on a thread of its own. ``port`` 0 picks a free one."""

    def __init__(self, twilio: Twilio, port: int = 0) -> None:
        self.twilio = twilio
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self.url: str = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            application(twilio),
            backlog=4096,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the clock's is sent
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="twilio-emulator", daemon=True
        )
        self._caller = threading.Thread(target=self._call_back, name="twilio-emulator-callbacks", daemon=True)
        self._ended = threading.Event()

        self._deliverer = Deliverer(twilio)

    def start(self) -> None:
        self._thread.start()
        self._deliverer.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The emulator's server did not start")
            time.sleep(0.005)
        self._caller.start()

    def _call_back(self) -> None:
        """Post status callbacks when they are due; the clock, which may be advanced, is looked at often."""
        waits = self.twilio.webhooks_wait
        while not self._ended.is_set():
            waits.wait()
            waits.clear()
            while not self._ended.wait(CALLBACK_PAUSE) and callbacks.post_due(self.twilio):
                pass

    def stop(self) -> None:
        """Stop the server; open connections are closed, replies in progress get one second."""
        self._deliverer.stop()
        self._ended.set()
        self.twilio.webhooks_wait.set()
        self._server.end()
        self._thread.join()
        if self._caller.is_alive():
            self._caller.join(timeout=1)
        self._socket.close()

    @property
    def base_url(self) -> str:
        """The connection's ``base_url``, in which ``{product}`` is a placeholder."""
        return f"{self.url}/{{product}}"

    @property
    def connection(self) -> str:
        """A connection for the account and its auth token, as :meth:`connection_json` writes it."""
        return self.connection_json()

    def connection_json(self, login: str = ACCOUNT_SID, password: str = AUTH_TOKEN, **extra: Any) -> str:
        """Write a connection as JSON, the value of ``AIRFLOW_CONN_TWILIO_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "twilio",
                "login": login,
                "password": password,
                "extra": {"base_url": self.base_url, **extra},
            }
        )


@contextmanager
def running(
    *, port: int = 0, clock: Clock | None = None, seed: int | None = None, **options: Any
) -> Iterator[Running]:
    """Run an emulator while the block lasts. ``options`` are those of :class:`Options`::

    with running(pace=0) as emulator:
        emulator.url, emulator.connection, emulator.twilio.ledger
    """
    emulator = Running(Twilio(clock, seed, **options), port)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
