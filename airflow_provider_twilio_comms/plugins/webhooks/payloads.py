"""Read genuine webhooks without the people in them: which assets they concern, and what these are told.

Each thing has a name of its own, made of what Twilio has signed: a message and its status, an event's id. By
it a repetition is known. ``I-Twilio-Idempotency-Token`` is none: it is not signed, so whoever replays a
request could choose it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from airflow_provider_twilio_comms._core.campaigns.consent import Words

__all__ = ["KINDS", "Incoming", "Kind", "Unreadable", "incoming"]

Kind: TypeAlias = Literal["inbound", "status", "events"]
Seal: TypeAlias = Callable[[str], str | None]

KINDS: tuple[Kind, ...] = ("inbound", "status", "events")
ASSETS = "twilio://webhook"
_WORDS_OF_CONSENT = Words()
_MEDIA = re.compile(r"/(ME[0-9a-fA-F]{32})\Z")
_WORD = re.compile(r"[a-z0-9_.-]{1,80}")


class Unreadable(ValueError):
    """It is signed, and yet not what it should be."""


class Incoming(NamedTuple):
    """One thing that Twilio told: ``name`` is its own, ``assets`` are URIs, ``extra`` is for their events."""

    name: str
    assets: tuple[str, ...]
    extra: dict[str, Any]


def incoming(kind: Kind, pairs: Sequence[tuple[str, str]], body: bytes, seal: Seal) -> list[Incoming]:
    """Read a request. ``seal`` gives the stand-in of a number. Raises :class:`Unreadable`."""
    if kind == "events":
        return [_event(each, seal) for each in _events(body)]
    form = dict(pairs)
    sid = form.get("MessageSid") or form.get("SmsSid")
    if not sid:
        raise Unreadable("no message is named")
    return [_inbound(sid, form, seal) if kind == "inbound" else _status(sid, form)]


def _inbound(sid: str, form: Mapping[str, str], seal: Seal) -> Incoming:
    service = form.get("MessagingServiceSid")
    stops = _WORDS_OF_CONSENT.kind_of(form.get("Body")) == "stop"
    opt_out = form.get("OptOutType") or ("STOP" if stops else None)
    assets = [f"{ASSETS}/inbound"]
    assets += [f"{ASSETS}/inbound/{service}"] if service else []
    assets += [f"{ASSETS}/opt-out"] if opt_out == "STOP" else []
    files = [
        found[1]
        for name, url in form.items()
        if name.startswith("MediaUrl") and (found := _MEDIA.search(url))
    ]
    extra = {
        "sid": sid,
        "service_sid": service,
        "sender": seal(form.get("From", "")),
        "opt_out": opt_out,
        "media": files,
    }
    return Incoming(_name("inbound", sid), tuple(assets), extra)


def _status(sid: str, form: Mapping[str, str]) -> Incoming:
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
    if not _WORD.fullmatch(status):
        raise Unreadable("no status is named")
    extra = {
        "sid": sid,
        "status": status,
        "error_code": form.get("ErrorCode"),
        "service_sid": form.get("MessagingServiceSid"),
    }
    return Incoming(_name("status", sid, status), (f"{ASSETS}/status", f"{ASSETS}/status/{status}"), extra)


def _events(body: bytes) -> list[dict[str, Any]]:
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("it is not JSON") from None
    events = read if isinstance(read, list) else [read]
    if not all(isinstance(each, dict) and isinstance(each.get("id"), str) and each["id"] for each in events):
        raise Unreadable("it is no batch of events")
    return events


def _event(event: Mapping[str, Any], seal: Seal) -> Incoming:
    """``data`` is an object, or its text, as some sinks deliver it."""
    data = event.get("data")
    if isinstance(data, str):
        try:
            data = msgspec.json.decode(data)
        except msgspec.DecodeError:
            data = None
    if not isinstance(data, dict):
        data = {}
    kind = str(event.get("type", "")).lower()
    short = kind.removeprefix("com.twilio.").removeprefix("comms-api.")
    sender = data.get("from") if kind.endswith("inbound-received") else None
    shown = ("operation_id", "message_id", "downstream_id", "session_id", "attempt", "error_code")
    extra = {
        "id": event["id"],
        "type": kind,
        "time": str(event.get("time", "")),
        **{name: data[name] for name in shown if isinstance(data.get(name), str | int)},
        **({"sender": seal(str(sender.get("address", "")))} if isinstance(sender, dict) else {}),
    }
    assets = [f"{ASSETS}/events", *([f"{ASSETS}/events/{short}"] if _WORD.fullmatch(short) else [])]
    return Incoming(_name("event", event["id"]), tuple(assets), extra)


def _name(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
