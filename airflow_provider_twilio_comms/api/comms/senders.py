"""Senders, which Twilio creates from phone numbers, RCS agents and WhatsApp senders.

https://www.twilio.com/docs/bulk-messaging/api/sender-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["Party", "Resolution", "Sender", "fetch", "list", "resolve", "search"]


class Sender(msgspec.Struct, frozen=True, rename="camel"):
    """A sender. ``channel`` is SMS, RCS, WHATSAPP, EMAIL or PUSH; ``status`` ACTIVATED or DEACTIVATED."""

    id: str
    address: str | None = None
    channel: str | None = None
    status: str | None = None
    display_name: str | None = None
    tags: dict[str, str] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Sender(id={self.id!r}, channel={self.channel!r}, status={self.status!r})"


class Party(msgspec.Struct, frozen=True, rename="camel"):
    """One end of a route."""

    channel: str | None = None
    address: str | None = None
    sender_id: str | None = None
    display_name: str | None = None

    def __repr__(self) -> str:
        return f"Party(channel={self.channel!r}, sender_id={self.sender_id!r})"


class Resolution(msgspec.Struct, frozen=True, rename="camel"):
    """A route that Twilio would take; lower ``priority`` is preferred."""

    sender: Party = msgspec.field(name="from", default=Party())
    to: Party = Party()
    priority: int = 0


def list(
    *,
    channel: str | None = None,
    status: str | None = None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Sender]]:
    """List senders: ``GET /Senders``."""
    query = filters(
        channel=channel, status=status, start_date=start_date, end_date=end_date, page_size=page_size
    )
    return listing("/Senders", "senders", Sender, query)


def fetch(sender_id: str) -> Call[Sender]:
    """Read one sender: ``GET /Senders/{senderId}``."""
    return Call(
        "GET",
        "/Senders/{senderId}",
        lambda reply: decoded(reply, Sender),
        path_values={"senderId": sender_id},
    )


def search(
    address: str, channel: str, *, status: str | None = None, page_size: int | None = None
) -> Call[Page[Sender]]:
    """Find senders by address: ``POST /Senders/Search``. It only reads, so it may be repeated."""
    query = dict(filters(status=status))
    body: dict[str, Any] = {"address": address, "channel": channel, **query}
    if page_size is not None:
        filters(page_size=page_size)  # its range
        body["pageSize"] = page_size
    return listing("/Senders/Search", "senders", Sender, (), body=body)


def resolve(
    recipients: Sequence[Mapping[str, str]],
    *,
    sender_pool_id: str | None = None,
    sender: Mapping[str, Any] | None = None,
    channels: Mapping[str, Any] | None = None,
) -> Call[Sequence[Resolution]]:
    """Resolve the sender that would serve each recipient, sending nothing: ``POST /Senders/Resolve``. Reads.

    ``recipients`` are 1 to 100 of ``{"address", "channel"}``, the addresses of one person; give a pool or a
    ``sender`` (``{"address", "channel"}``), not both, or neither for all senders of the account. At most the
    best ten routes come back.
    """
    # https://www.twilio.com/docs/bulk-messaging/api/resolve-sender-resource
    if not 1 <= len(recipients) <= 100:
        raise InvalidInput.at("recipients", f"{len(recipients)} given", "Twilio takes 1 to 100 at a time")
    if sender_pool_id and sender:
        raise InvalidInput.at("sender_pool_id", "both a pool and a sender are given", "Give one of them")
    if sender is not None and not isinstance(sender, Mapping):
        raise InvalidInput.at("sender", "is not one sender", 'Give {"address": ..., "channel": "SMS"}')
    given = {"senderPoolId": sender_pool_id, "senderAddresses": sender, "channels": channels}
    return Call(
        "POST",
        "/Senders/Resolve",
        _results,
        json={"recipientAddresses": recipients} | {name: value for name, value in given.items() if value},
        effect="reads",
    )


class _Results(msgspec.Struct):
    results: tuple[Resolution, ...] = ()


def _results(reply: Reply) -> Sequence[Resolution]:
    return decoded(reply, _Results).results
