"""Bulk messages: send, list and fetch. https://www.twilio.com/docs/bulk-messaging/api/message-resource"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from airflow_provider_twilio_comms.api._times import aware, when
from airflow_provider_twilio_comms.api.comms._acceptance import last_segment, operation_id_of
from airflow_provider_twilio_comms.api.comms._arguments import (
    checked_content,
    checked_sender,
    checked_tags,
    schedule,
)
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.comms._recipients import checked_addresses
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded, unreadable
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError

__all__ = [
    "LATEST",
    "Accepted",
    "Attempt",
    "AttemptError",
    "Message",
    "Related",
    "fetch",
    "list",
    "schedulable",
    "seek",
    "send",
]

MAX_RECIPIENTS = 10_000
MAX_BODY = 10_000_000  # bytes of the encoded request
LATEST = timedelta(days=30)  # a message is scheduled at most this far ahead
CHANNELS = ("SMS", "RCS", "WHATSAPP")

# Statuses that may still change. The others are final, except that DELIVERED may become READ.
UNDER_WAY = frozenset({"QUEUED", "SENT", "SCHEDULED"})
LOST = frozenset({"FAILED", "UNDELIVERED", "CANCELED"})
STATUSES = frozenset({*UNDER_WAY, *LOST, "DELIVERED", "READ", "GROUP", "INBOUND"})


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """A send that Twilio accepted, even if ``operation_id`` is None because the reply did not name it."""

    operation_id: str | None = None


class Related(msgspec.Struct, frozen=True):
    """A resource that a message belongs to; ``name`` is OPERATION."""

    name: str = ""
    id: str = ""


class AttemptError(msgspec.Struct, frozen=True, rename="camel"):
    """The reason why an attempt failed."""

    code: int | None = None
    message: str | None = None
    info_url: str | None = None

    def __repr__(self) -> str:
        return f"AttemptError(code={self.code})"


class Attempt(msgspec.Struct, frozen=True, rename="camel"):
    """A delivery attempt over one channel; a message with fallback has several."""

    status: str = ""
    sender: Any = msgspec.field(name="from", default=None)
    to: Any = None
    attempted_at: str | None = None
    info_url: str | None = None
    error: AttemptError | None = None

    def __repr__(self) -> str:
        return f"Attempt(status={self.status!r}, channel={self.channel!r}, error={self.error!r})"

    @property
    def channel(self) -> str | None:
        """The sender's channel: SMS, RCS or WHATSAPP."""
        return self.sender.get("channel") if isinstance(self.sender, dict) else None

    @property
    def sid(self) -> str | None:
        """The classic message SID (SM or MM), which only ``info_url`` contains."""
        match = re.search(r"\b(?:SM|MM)[0-9a-fA-F]{32}\b", self.info_url or "")
        return match[0] if match else None


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A message to one recipient. ``content`` and ``attempts`` come with :func:`fetch` only."""

    id: str
    status: str = ""
    sender: Any = msgspec.field(name="from", default=None)
    to: Any = None
    related: tuple[Related, ...] = ()
    tags: dict[str, str] | None = None
    scheduled: str | None = msgspec.field(name="scheduledFor", default=None)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    content: Any = None
    attempts: tuple[Attempt, ...] = ()

    def __repr__(self) -> str:
        return f"Message(id={self.id!r}, status={self.status!r})"

    @property
    def scheduled_for(self) -> datetime | None:
        """The time for which it is scheduled; None also where ``scheduled`` is text of another kind."""
        return when(self.scheduled)

    @property
    def operation_id(self) -> str | None:
        return next((related.id for related in self.related if related.name == "OPERATION"), None)

    @property
    def code(self) -> int | None:
        """Twilio's code of the last attempt that failed."""
        codes = [attempt.error.code for attempt in self.attempts if attempt.error and attempt.error.code]
        return codes[-1] if codes else None


def send(
    to: Sequence[Mapping[str, Any]] | msgspec.Raw,
    content: str | Mapping[str, Any],
    *,
    sender: str | Mapping[str, Any] | None = None,
    sender_channel: Literal["SMS", "RCS", "WHATSAPP"] = "SMS",
    send_at: datetime | None = None,
    tags: Mapping[str, str] | None = None,
) -> Call[Accepted]:
    """Send one message to up to 10,000 recipients: ``POST /Messages``.

    ``to`` are recipients in Twilio's form (``{"address", "channel", "variables"}``, or a stored person's
    ``{"profileId", "memoryStoreId"}``; in preview also ``{"cohortId"}``), or their JSON array, already
    encoded. ``send_at`` is at most 30 days ahead, see :func:`schedulable`. No runner repeats the request once
    it may have reached Twilio.
    """
    if not isinstance(to, msgspec.Raw) and not 1 <= len(to) <= MAX_RECIPIENTS:
        raise InvalidInput.at("to", f"{len(to)} recipients", f"Twilio takes 1 to {MAX_RECIPIENTS:,}")
    given = {
        "from": checked_sender(sender, sender_channel) if sender else None,
        "to": to,
        "content": checked_content(content),
        "schedule": schedule(send_at) if send_at else None,
        "tags": checked_tags(tags),
    }
    body = msgspec.json.encode({name: value for name, value in given.items() if value})
    if len(body) > MAX_BODY:
        raise InvalidInput.at("to", f"the request is {len(body):,} bytes", f"Twilio takes {MAX_BODY:,}")
    recipients = () if isinstance(to, msgspec.Raw) else checked_addresses(to)
    return Call("POST", "/Messages", _accepted, body=body, effect="sends", recipients=recipients)


def schedulable(send_at: datetime, now: datetime) -> None:
    """Check that Twilio can schedule a time, else raise :class:`InvalidInput`; :func:`send` has no clock."""
    if aware("send_at", send_at) - now > LATEST:
        raise InvalidInput.at("send_at", "cannot be scheduled", "Expected up to 30 days ahead")


def list(
    *,
    operation_id: str | None = None,
    session_id: str | None = None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    profile: str | None = None,
    channel: str | None = None,
    status: str | None = None,
    tags: Mapping[str, str] | None = None,
    page_size: int | None = None,
) -> Call[Page[Message]]:
    """List messages: ``GET /Messages``.

    Raises :class:`TwilioError` when ``operation_id`` is given and rows of another operation come back,
    because Twilio silently ignores a filter that it does not know.
    """
    for field, value, known in (("status", status, STATUSES), ("channel", channel, CHANNELS)):
        if value is not None and value not in known:
            raise InvalidInput.at(field, f"{value} is unknown", f"Known are {', '.join(sorted(known))}")
    checked_tags(tags, literal=True)
    query = filters(
        operation_id=operation_id,
        session_id=session_id,
        start_date=start_date,
        end_date=end_date,
        profile=profile,
        channel=channel,
        status=status,
        tags="".join(f"{key}:{value};" for key, value in (tags or {}).items()) or None,
        page_size=page_size,
    )

    def check(rows: Sequence[Message]) -> None:
        found = {each.id for row in rows for each in row.related if each.name == "OPERATION"}
        if operation_id and found - {operation_id}:
            raise TwilioError(
                f"messages of other operations came back for {operation_id}: the filter was ignored"
            )

    return listing("/Messages", "messages", Message, query, check=check)


def fetch(message_id: str) -> Call[Message]:
    """Read one message with its attempts: ``GET /Messages/{messageId}``."""
    return Call(
        "GET",
        "/Messages/{messageId}",
        lambda reply: decoded(reply, Message),
        path_values={"messageId": message_id},
    )


def seek(sid: str) -> Call[str]:
    """Find a message's id from the SM or MM SID of an attempt: ``GET /Messages/Seek/{identifier}``."""
    # https://www.twilio.com/docs/bulk-messaging/api/seek-message-resource
    if not re.fullmatch(r"(SM|MM)[0-9a-fA-F]{32}", sid):
        raise InvalidInput.at("sid", "not a message SID", "It is SM or MM and 32 hex digits")
    return Call(
        "GET", "/Messages/Seek/{identifier}", _sought, path_values={"identifier": sid}, redirects=True
    )


def _sought(reply: Reply) -> str:
    found = last_segment(reply.headers.get("location"), "comms_message_")
    if found is None:
        raise unreadable(reply, "it names no message")
    return found


def _accepted(reply: Reply) -> Accepted:
    return Accepted(operation_id_of(reply))
