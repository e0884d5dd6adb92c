"""Control API, under ``/_emulator/``: JSON, no credentials, loopback only.

A browser on this machine reaches it too, for whatever site it shows. So a request is refused (403) where its
Host is no loopback name, as after DNS rebinding, or where its Origin is another site.

GET    health          {"ok", "now"}
GET    ledger          {"requests", "messages", "distinct", "twice", "recipients": {address: count}}
                       ?recipients=0 leaves the last out
GET    requests        {"total", "counts": {"METHOD /product/route": n}, "recent": [...]}
GET    faults          those in wait; POST adds one (see ``faults.py``) or a list; DELETE takes all away
GET    options         see ``options.py``; POST changes those it names
POST   clock           {"advance": seconds}
POST   cancel          {"operationId"}: what is not yet sent never will be
POST   revoke-tokens   every OAuth token ends
POST   inbound         {"from", "to", "body", "media", "serviceSid"}: somebody writes; returns {"sid"}
POST   people          {"count", "displayName"}: a memory store with so many made-up people; {"storeId"}
POST   callbacks       {"sid", "url", "status", "at"}: post a message's signed webhook; {"answered": 204}
GET    callbacks       {"waiting", "answered", "failed", "skipped"}: callbacks of messages with StatusCallback
POST   reset           forgets everything but the options and the time
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_twilio_comms.emulator import callbacks
from airflow_provider_twilio_comms.emulator.classic.status_callbacks import LOOPBACK, StatusCallbacks
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.credentials import Tokens
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.memory.seed import Seed, seed
from airflow_provider_twilio_comms.emulator.twilio import Twilio

__all__ = ["is_local", "json_response", "routes"]


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance: float


class Cancel(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    operation_id: str


def json_response(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def is_local(headers: Mapping[str, str]) -> bool:
    """Tell if a request was meant for this machine, and comes from no other site's page."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOOPBACK:
        return False
    return origin is None or urlsplit(origin)[:2] == ("http", host)


def routes(twilio: Twilio) -> list[Route]:
    """The control API of one Twilio."""

    def answer(method: str, path: str, act: Callable[[Request, bytes], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                with twilio.lock:
                    return json_response(act(request, body))
            except (msgspec.MsgspecError, ValueError, LookupError) as error:
                return json_response({"error": str(error)}, 400)

        handler: Callable[[Request], Awaitable[Response]] = endpoint
        return Route(f"/_emulator/{path}", handler, methods=[method])

    def ledger(request: Request, _: bytes) -> Any:
        return twilio.ledger.to_dict(recipients=request.query_params.get("recipients") != "0")

    def add_faults(_: Request, body: bytes) -> Any:
        listed = body if body.lstrip().startswith(b"[") else b"[" + body + b"]"
        return [twilio.faults.add(fault) for fault in msgspec.json.decode(listed, type=list[Fault])]

    def change(_: Request, body: bytes) -> Any:
        twilio.change(**msgspec.json.decode(body, type=dict[str, Any]))
        return twilio.options

    def cancel(_: Request, body: bytes) -> Any:
        twilio.part(Outbox).cancel(msgspec.json.decode(body, type=Cancel).operation_id)
        return {"ok": True}

    def inbound(_: Request, body: bytes) -> Any:
        return {"sid": receive(twilio, msgspec.json.decode(body, type=Arrival)).sid}

    def people(_: Request, body: bytes) -> Any:
        return {"storeId": seed(twilio, msgspec.json.decode(body or b"{}", type=Seed)).id}

    return [
        answer("GET", "health", lambda _, body: {"ok": True, "now": twilio.clock.now()}),
        answer("GET", "ledger", ledger),
        answer("GET", "requests", lambda _, body: twilio.journal.to_dict()),
        answer("GET", "faults", lambda _, body: twilio.faults.waiting()),
        answer("POST", "faults", add_faults),
        answer("DELETE", "faults", lambda _, body: twilio.faults.clear()),
        answer("GET", "options", lambda _, body: twilio.options),
        answer("POST", "options", change),
        answer("POST", "clock", lambda _, body: {"now": _advanced(twilio, body)}),
        answer("POST", "cancel", cancel),
        answer("POST", "revoke-tokens", lambda _, body: {"revoked": twilio.part(Tokens).revoke_all()}),
        answer("POST", "inbound", inbound),
        answer("POST", "people", people),
        callbacks.route(twilio),
        answer("GET", "callbacks", lambda _, body: twilio.part(StatusCallbacks).to_dict()),
        answer("POST", "reset", lambda _, body: twilio.reset()),
    ]


def _advanced(twilio: Twilio, body: bytes) -> float:
    return twilio.clock.advance(msgspec.json.decode(body, type=Advance).advance)
