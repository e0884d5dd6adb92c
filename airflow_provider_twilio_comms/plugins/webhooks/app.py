"""The app that takes webhooks. Its order is what keeps the API server safe:

no signature, no reading; no body beyond a bound; no work for a signature that is wrong; no more genuine
requests a second than the database shall bear; no 204 before what was told is stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.privacy import Redaction, derived
from airflow_provider_twilio_comms.plugins.webhooks.payloads import (
    KINDS,
    Incoming,
    Kind,
    Unreadable,
    incoming,
)
from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings
from airflow_provider_twilio_comms.plugins.webhooks.signature import (
    SETTINGS,
    SIGNATURE,
    Secret,
    genuine,
    parameters,
)

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Webhooks", "application"]

log: logging.Logger = logging.getLogger(__name__)

READ_WITHIN = 10.0  # seconds for a body to arrive
FRESH = 60.0  # seconds for which the connection's secret is not read again
RETRY = 5.0  # seconds after which a connection that could not be read is read again
AT_ONCE = 8  # requests that write at a time
REMEMBERED = 10_000  # names that a process knows without asking the database
LATER = {"Retry-After": "2"}
TIDY = 3600.0  # seconds between two clearances of old names


def application(settings: Settings) -> FastAPI:
    """The app of these settings, to be mounted where ``public_url`` leads."""
    from fastapi import FastAPI
    from starlette.responses import Response

    webhooks = Webhooks(settings)
    app = FastAPI(title="Twilio webhooks", docs_url=None, redoc_url=None, openapi_url=None)

    async def refuse(request: Request) -> Response:
        return Response(status_code=403)

    for kind in KINDS:
        app.router.add_route(f"/{kind}", webhooks.endpoint(kind), methods=["POST"])
    anything = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    app.router.add_route("/{rest:path}", refuse, methods=anything)
    return app


class Webhooks:
    """Takes requests. One of it lives in each process of the API server."""

    def __init__(self, settings: Settings) -> None:
        from airflow_provider_twilio_comms.plugins.webhooks import store

        self.settings = settings
        self._core = store
        self._reply = _template(settings.reply)
        self._secrets, self._hash_key = settings.secrets, ""
        self._read, self._fresh_until = asyncio.Lock(), 0.0
        self._allowance, self._counted_at = 2 * settings.max_rate, time.monotonic()
        self._writing = asyncio.Semaphore(AT_ONCE)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._tidied_at = time.monotonic()

    def endpoint(self, kind: Kind) -> Callable[[Request], Any]:
        async def receive(request: Request) -> Response:
            return await self.answer(kind, request)

        return receive

    async def answer(self, kind: Kind, request: Request) -> Response:
        from starlette.responses import Response

        headers = {
            name: value
            for name in (SIGNATURE, SETTINGS, "content-type")
            if (value := request.headers.get(name)) is not None
        }
        if SIGNATURE not in headers:
            return Response(status_code=403)
        try:
            body = await asyncio.wait_for(_bounded(request, self.settings.max_body), READ_WITHIN)
        except asyncio.TimeoutError:
            return Response(status_code=408)
        if body is None:
            return Response(status_code=413)
        query = request.scope["query_string"].decode("latin-1")
        url = f"{self.settings.public_url}/{kind}" + (f"?{query}" if query else "")
        pairs = parameters(headers, body)
        secrets = await self._signers()
        if not secrets:
            return Response(status_code=503, headers=LATER)
        if pairs is None or not genuine(secrets, url, headers, body, pairs):
            return Response(status_code=403)
        try:
            things = incoming(kind, pairs, body, Redaction("all", self._hash_key).number)
        except Unreadable as problem:
            log.warning("A genuine webhook for %s cannot be read: %s", kind, problem)
            return Response(status_code=400)
        return await self._stored(kind, things, pairs)

    async def _stored(
        self, kind: Kind, things: Sequence[Incoming], pairs: Sequence[tuple[str, str]]
    ) -> Response:
        from starlette.responses import Response

        if any(thing.name not in self._known for thing in things):
            if not self._allowed():
                return Response(status_code=429, headers=LATER)
            try:
                async with self._writing:
                    await asyncio.to_thread(self._core.taken, things)
                    await self._tidied()
            except Exception:
                log.exception("A webhook for %s could not be stored; Twilio is asked to try again", kind)
                return Response(status_code=503, headers=LATER)
            self._remember(things)
        if kind == "inbound" and self._reply is not None:
            return Response(self._reply(dict(pairs)), media_type="text/xml")
        return Response(status_code=204)

    async def _signers(self) -> tuple[Secret, ...]:
        """The configured secrets, and the auth token of the connection, which may change."""
        async with self._read:
            if time.monotonic() >= self._fresh_until:
                self._fresh_until = time.monotonic() + FRESH
                self._hash_key = self._hash_key or derived("".join(each.value for each in self._secrets))
                if self.settings.conn_id:
                    await self._read_connection()
        return self._secrets

    async def _read_connection(self) -> None:
        try:
            config = await asyncio.to_thread(self._core.config_of, self.settings.conn_id)
        except Exception as error:  # the last known secret goes on working
            log.warning("The connection %s cannot be read: %s", self.settings.conn_id, type(error).__name__)
            self._fresh_until = time.monotonic() + RETRY
            return
        self._hash_key = config.hash_secret or derived(config.secret)
        token = (Secret(config.secret),) if config.kind == "auth token" else ()
        self._secrets = (*self.settings.secrets, *token)

    def _allowed(self) -> bool:
        """Two seconds' worth may come at once."""
        now, rate = time.monotonic(), self.settings.max_rate
        self._allowance = min(2 * rate, self._allowance + (now - self._counted_at) * rate)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _remember(self, things: Sequence[Incoming]) -> None:
        self._known.update((thing.name, None) for thing in things)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _tidied(self) -> None:
        if time.monotonic() - self._tidied_at > TIDY:
            self._tidied_at = time.monotonic()
            try:
                await asyncio.to_thread(self._core.forgotten, self.settings.remember_days)
            except Exception:
                log.warning("What was taken long ago could not be dropped", exc_info=True)


async def _bounded(request: Request, most: int) -> bytes | None:
    """The body; None where it is larger than allowed, which is noticed before it is read."""
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _template(text: str) -> Callable[[dict[str, str]], str] | None:
    """TwiML from a request's parameters: a template of a text, or of all the XML. Values are escaped.

    https://www.twilio.com/docs/messaging/twiml
    """
    if not text.strip():
        return None
    from jinja2.sandbox import SandboxedEnvironment

    twiml = text if text.lstrip().startswith("<") else f"<Response><Message>{text}</Message></Response>"
    template = SandboxedEnvironment(autoescape=True).from_string(twiml)
    return lambda message: template.render(message=message, **message)
