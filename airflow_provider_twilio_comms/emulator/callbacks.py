"""Signed webhooks: inbound messages, status callbacks and batches of Event Streams.

Signing is written here again, and not shared with the code that it tests.
https://www.twilio.com/docs/usage/security, https://www.twilio.com/docs/events/webhook-quickstart
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Callback", "batch", "event", "of_message", "posted", "route", "signed"]

_FORM = "application/x-www-form-urlencoded; charset=UTF-8"
_CODES = {"undelivered": "30003", "failed": "30008"}


class Callback(NamedTuple):
    """A signed POST to ``url``; the signature covers that address."""

    url: str
    headers: dict[str, str]
    body: bytes


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """A request to post a webhook, at ``at`` or else ``url``; ``status`` is for outbound messages."""

    sid: str
    url: str
    status: str | None = None
    at: str | None = None


def signed(url: str, pairs: Sequence[tuple[str, str]], token: str = AUTH_TOKEN) -> Callback:
    """Sign a form with the auth token."""
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(pairs)))
    headers = {"content-type": _FORM, **_signature(text, token)}
    return Callback(url, headers, urlencode(pairs).encode())


def of_message(message: Message, url: str, status: str | None = None, token: str = AUTH_TOKEN) -> Callback:
    """Build the webhook of an inbound message, or of a ``status`` that an outbound one has reached."""
    pairs = [
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("AccountSid", message.account_sid),
        ("From", message.from_),
        ("To", message.to),
        ("ApiVersion", "2010-04-01"),
    ]
    if message.service_sid:
        pairs.append(("MessagingServiceSid", message.service_sid))
    if status is None:
        pairs += [("Body", message.body), ("NumMedia", str(message.media_count)), ("SmsStatus", "received")]
        for number, file in enumerate(message.media.values()):
            pairs += [(f"MediaUrl{number}", file.url), (f"MediaContentType{number}", file.content_type)]
    else:
        pairs += [("MessageStatus", status), ("SmsStatus", status)]
        pairs += [("ErrorCode", _CODES[status])] if status in _CODES else []
    callback = signed(url, pairs, token)
    callback.headers["i-twilio-idempotency-token"] = hashlib.md5(callback.body).hexdigest()
    return callback


def event(kind: str, data: Mapping[str, Any], number: int = 1, at: float = 0.0) -> dict[str, Any]:
    """Build a CloudEvent, such as ``com.twilio.comms-api.operation.completed`` about an ``operation_id``."""
    return {
        "specversion": "1.0",
        "type": kind,
        "source": f"/2010-04-01/Accounts/{ACCOUNT_SID}",
        "id": f"EZ{number:032x}",
        "dataschema": "https://events-schemas.twilio.com/CommsApi/2",
        "datacontenttype": "application/json",
        "time": iso(at),
        "data": dict(data),
    }


def batch(url: str, events: Sequence[Mapping[str, Any]], token: str = AUTH_TOKEN) -> Callback:
    """Build a batch of events as JSON. Its hash is part of the address, and the address is signed."""
    body = msgspec.json.encode(events)
    address = f"{url}{'&' if '?' in url else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Callback(address, {"content-type": "application/json", **_signature(address, token)}, body)


def posted(callback: Callback, at: str | None = None) -> int:
    """Post a webhook, to ``at`` if that differs from the public address; returns the status of the answer."""
    request = urllib.request.Request(at or callback.url, callback.body, callback.headers, method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=15) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def route(twilio: State) -> Route:
    """Build the route of the control API that posts; it holds no lock, since the receiver may need it."""

    async def post(request: Request) -> Response:
        order = msgspec.json.decode(await request.body(), type=Order)
        message = twilio.part(Messages).by_sid[order.sid]
        callback = of_message(message, order.url, order.status)
        answered = await asyncio.to_thread(posted, callback, order.at)
        return Response(msgspec.json.encode({"answered": answered}), media_type="application/json")

    return Route("/_emulator/callbacks", post, methods=["POST"])


def _signature(text: str, token: str) -> dict[str, str]:
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return {"x-twilio-signature": base64.b64encode(digest).decode()}
