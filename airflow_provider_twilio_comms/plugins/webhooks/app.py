"""ASGI app of the webhooks. The order of its checks keeps the API server safe:

no signature, no reading; no body beyond a bound; no work for a signature that is wrong; no more genuine
requests a second than the database shall bear (a burst waits for its turn, as long as Twilio waits for an
answer); no 204 before what was told is stored.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.privacy import Redaction, derived
from airflow_provider_twilio_comms.plugins.webhooks.intake import Intake, Pace
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
from airflow_provider_twilio_comms.plugins.webhooks.waking import Waker

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Webhooks", "application"]

log: logging.Logger = logging.getLogger(__name__)

# Twilio waits 15 seconds for an answer, its retries included.
# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
READ_WITHIN = 10.0  # seconds for a body to arrive
QUEUE_WITHIN = 10.0  # seconds after its arrival within which a request gets its turn, else 503
ANSWER_WITHIN = 14.0  # seconds after its arrival within which it is stored, else 503
FRESH = 5.0  # seconds for which the connection's secret is not read again, while signatures fit it
REREADS = 5  # signatures at once that do not fit and have the secret read again, and one each FRESH seconds
REMEMBERED = 10_000  # names that a process knows without asking the database
LATER = {"Retry-After": "2"}
TIDY = 3600.0  # seconds between two clearances of old names


def application(settings: Settings) -> FastAPI:
    """Make the app of these settings, to be mounted where ``public_url`` leads."""
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
    """Take requests. One of it lives in each process of the API server."""

    def __init__(self, settings: Settings) -> None:
        from airflow_provider_twilio_comms.plugins.webhooks import store

        self.settings = settings
        self._core = store
        self._reply = _template(settings.reply)
        self._secrets, self._hash_key = settings.secrets, ""
        self._reading, self._reads, self._read_at = asyncio.Lock(), 0, float("-inf")
        self._rereads = Pace(1 / FRESH, REREADS)
        self._pace = Pace(settings.max_rate, 2 * settings.max_rate)
        self._intake = Intake(lambda things: self._core.taken(things, codes=settings.keeps_codes))
        self._known: OrderedDict[str, None] = OrderedDict()
        self._tidied_at = time.monotonic()
        self.waker: Waker | None = self._waker() if settings.wakes else None

    def _waker(self) -> Waker:
        from airflow_provider_twilio_comms.plugins.webhooks import parked

        return Waker(parked, self._core.config_of)

    def endpoint(self, kind: Kind) -> Callable[[Request], Any]:
        async def receive(request: Request) -> Response:
            return await self.answer(kind, request)

        return receive

    async def answer(self, kind: Kind, request: Request) -> Response:
        from starlette.responses import Response

        arrived = time.monotonic()
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
        await self._refresh()
        if not self._secrets:
            return Response(status_code=503, headers=LATER)
        if pairs is None or not await self._is_genuine(url, headers, body, pairs):
            return Response(status_code=403)
        try:
            things = incoming(kind, pairs, body, Redaction("all", self._hash_key).number)
        except Unreadable as problem:
            log.warning("A genuine webhook for %s cannot be read: %s", kind, problem)
            return Response(status_code=400)
        if any(thing.name not in self._known for thing in things):
            later = await self._store(kind, things, arrived)
            if later:
                return Response(status_code=503, headers=later)
        if kind == "inbound" and self._reply is not None:
            return Response(self._reply(dict(pairs)), media_type="text/xml")
        return Response(status_code=204)

    async def _store(
        self, kind: Kind, things: Sequence[Incoming], arrived: float
    ) -> Mapping[str, str] | None:
        """Store what a request tells, in its turn; returns the headers of a 503 where that takes too long."""
        turn, wait = self._pace.reserve(arrived + QUEUE_WITHIN - time.monotonic())
        if not turn:
            log.warning(
                "A webhook for %s was answered with 503: at [twilio] webhook_max_rate its turn is in %.0f s",
                kind,
                wait,
            )
            return {"Retry-After": str(math.ceil(wait))}
        await asyncio.sleep(wait)
        try:
            left = max(1.0, arrived + ANSWER_WITHIN - time.monotonic())
            await asyncio.wait_for(self._intake.store(things), left)
        except asyncio.TimeoutError:
            log.warning("A webhook for %s was answered with 503: the database takes too long", kind)
            return LATER
        except Exception:
            log.exception("A webhook for %s could not be stored and was answered with 503", kind)
            return LATER
        self._remember(things)
        if self.waker is not None:
            self.waker.wake(things)
        await self._tidy()
        return None

    async def _is_genuine(
        self, url: str, headers: Mapping[str, str], body: bytes, pairs: Sequence[tuple[str, str]]
    ) -> bool:
        """Check the signature; where it does not fit, once more with a secret that is read just now."""
        reads = self._reads
        if genuine(self._secrets, url, headers, body, pairs):
            return True
        async with self._reading:
            if self._reads == reads and self.settings.conn_id and self._rereads.reserve()[0]:
                await self._read_connection()
        return self._reads > reads and genuine(self._secrets, url, headers, body, pairs)

    async def _refresh(self) -> None:
        """Read the connection's auth token where the last one is not fresh: it may be rotated."""
        async with self._reading:
            if time.monotonic() - self._read_at >= FRESH:
                self._hash_key = self._hash_key or derived("".join(each.value for each in self._secrets))
                if self.settings.conn_id:
                    await self._read_connection()

    async def _read_connection(self) -> None:
        self._read_at = time.monotonic()
        try:
            config = await asyncio.to_thread(self._core.config_of, self.settings.conn_id)
        except Exception as error:  # the last known secret goes on working
            log.warning(
                "The connection %s cannot be read (%s); webhooks are checked with what it said before",
                self.settings.conn_id,
                type(error).__name__,
            )
            return
        self._reads += 1
        self._hash_key = config.hash_secret or derived(config.secret)
        token = (Secret(config.secret),) if config.kind == "auth token" else ()
        self._secrets = (*self.settings.secrets, *token)

    def _remember(self, things: Sequence[Incoming]) -> None:
        self._known.update((thing.name, None) for thing in things)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at > TIDY:
            self._tidied_at = time.monotonic()
            try:
                await asyncio.to_thread(self._core.forgotten, self.settings.remember_days)
            except Exception:
                log.warning(
                    "Names of old webhooks could not be deleted; the next hour tries again", exc_info=True
                )


async def _bounded(request: Request, most: int) -> bytes | None:
    """Read the body; None where it is larger than allowed, which is noticed before it is read."""
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
    """Make the template of the TwiML: of a text, or of all the XML. A request's values are escaped.

    https://www.twilio.com/docs/messaging/twiml
    """
    if not text.strip():
        return None
    from jinja2.sandbox import SandboxedEnvironment

    twiml = text if text.lstrip().startswith("<") else f"<Response><Message>{text}</Message></Response>"
    template = SandboxedEnvironment(autoescape=True).from_string(twiml)
    return lambda message: template.render(message=message, **message)
