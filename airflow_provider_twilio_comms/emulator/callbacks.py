"""Signed webhooks: inbound messages, status callbacks and batches of Event Streams.

Signing is written here again, and not shared with the code that it tests. An address may end with connection
overrides (``#rc=3&rp=all``): they are neither signed nor sent.
https://www.twilio.com/docs/usage/security, https://www.twilio.com/docs/events/webhook-quickstart,
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.classic.status_callbacks import StatusCallbacks
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.subaccounts import Subaccounts

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Callback", "batch", "event", "of_message", "post_due", "posted", "route", "signed"]

_FORM = "application/x-www-form-urlencoded; charset=UTF-8"
_MOST_RETRIES = 5
TIMEOUT = 15.0  # seconds for an answer, as Twilio's
_CODES = {"undelivered": 30003, "failed": 30008}  # of a message that was to end otherwise
_PLACE = ("City", "State", "Zip", "Country")  # empty where Twilio does not know it


class Callback(NamedTuple):
    """A signed POST to ``url``, the address that was signed; ``overrides`` were in its fragment."""

    url: str
    headers: dict[str, str]
    body: bytes
    overrides: str = ""

    @property
    def retries(self) -> int:
        """The number of repeated posts: one, unless the overrides say so."""
        (count,) = parse_qs(self.overrides).get("rc", ["1"])
        return min(int(count), _MOST_RETRIES)

    def is_repeated(self, status: int | None) -> bool:
        """Tell if such an answer is tried again: None, for no connection, by default."""
        (policy,) = parse_qs(self.overrides).get("rp", ["ct"])
        kind = "ct" if status is None else f"{status // 100}xx"
        return bool({kind, "all"} & set(policy.split(","))) and kind in ("ct", "4xx", "5xx")


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """A request to post a webhook, at ``at`` or else ``url``; ``status`` is for outbound messages."""

    sid: str
    url: str
    status: str | None = None
    at: str | None = None


def signed(url: str, pairs: Sequence[tuple[str, str]], token: str = AUTH_TOKEN) -> Callback:
    """Sign a form with the auth token."""
    url, _, overrides = url.partition("#")
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(pairs)))
    headers = {"content-type": _FORM, **_signature(text, token)}
    return Callback(url, headers, urlencode(pairs).encode(), overrides)


def of_message(
    message: Message, url: str, status: str | None = None, token: str = AUTH_TOKEN, at: float | None = None
) -> Callback:
    """Build the webhook of an inbound message, or of a ``status`` that an outbound one has reached ``at``."""
    at = message.created if at is None else at
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
        pairs += [("SmsMessageSid", message.sid), ("Body", message.body), ("SmsStatus", "received")]
        pairs += [("NumMedia", str(message.media_count)), ("NumSegments", str(segments(message.body)[0]))]
        pairs += [(f"{end}{part}", "") for end in ("From", "To") for part in _PLACE]
        for number, file in enumerate(message.media.values()):
            pairs += [(f"MediaUrl{number}", file.url), (f"MediaContentType{number}", file.content_type)]
    else:
        pairs += [("MessageStatus", status), ("SmsStatus", status)]
        if status in _CODES:
            pairs.append(("ErrorCode", str(message.outcome.code or _CODES[status])))
        if status in ("delivered", "undelivered"):
            pairs.append(("RawDlrDoneDate", f"{datetime.fromtimestamp(at, timezone.utc):%y%m%d%H%M}"))
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
    url, _, overrides = url.partition("#")
    address = f"{url}{'&' if '?' in url else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Callback(
        address, {"content-type": "application/json", **_signature(address, token)}, body, overrides
    )


def posted(callback: Callback, at: str | None = None) -> int:
    """Post a webhook, to ``at`` if that is not the public address; returns the last answer's status.

    It is posted again as its overrides say. Raises ``OSError`` where there was no connection.
    """
    for attempt in range(callback.retries + 1):
        last = attempt == callback.retries
        try:
            status = _post(callback, at)
        except urllib.error.URLError:
            if last or not callback.is_repeated(None):
                raise
        else:
            if last or not callback.is_repeated(status):
                return status
    raise AssertionError("unreachable")


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """A handler that follows no redirect, which might lead away from this machine."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post_due(twilio: State) -> bool:
    """Post the status callbacks that are due, one after the other; tell if others wait.

    The state's lock is not held while one is posted, since the receiver may need it.
    """
    while True:
        with twilio.lock:
            callbacks = twilio.part(StatusCallbacks)
            due = callbacks.take()
            if due is None:
                return callbacks.waiting
            subaccount = twilio.part(Subaccounts).by_sid.get(due.message.account_sid)
            token = subaccount.auth_token if subaccount else AUTH_TOKEN
        try:
            answered = posted(of_message(due.message, due.url, due.status, token, due.at)) < 400
        except (OSError, ValueError):
            answered = False
        with twilio.lock:
            callbacks.answered += answered
            callbacks.failed += not answered


def _post(callback: Callback, at: str | None) -> int:
    request = urllib.request.Request(at or callback.url, callback.body, callback.headers, method="POST")
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Unmoved())
        with opener.open(request, timeout=TIMEOUT) as reply:
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
