"""Sender pools: https://www.twilio.com/docs/bulk-messaging/api/sender-pool-resource

What changes a pool is answered with 202 and a reference; the change follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from airflow_provider_twilio_comms.api.comms._acceptance import operation_id_of, resource_id_of
from airflow_provider_twilio_comms.api.comms._arguments import checked_tags
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.comms.senders import Sender
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = [
    "PoolOperation",
    "PoolStats",
    "Reference",
    "SenderPool",
    "add_senders",
    "create",
    "delete",
    "fetch",
    "fetch_operation",
    "list",
    "list_operations",
    "list_senders",
    "remove_sender",
    "update",
]


class SenderPool(msgspec.Struct, frozen=True, rename="camel"):
    """A pool of senders; independent of a Messaging Service's pool."""

    id: str
    name: str | None = None
    tags: dict[str, str] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class PoolStats(msgspec.Struct, frozen=True):
    """Progress of a change of a pool."""

    total: int = 0
    queued: int = 0
    created: int = 0
    failed: int = 0


class PoolOperation(msgspec.Struct, frozen=True, rename="camel"):
    """A change of a pool: PROCESSING, COMPLETED or CANCELED."""

    id: str
    status: str
    stats: PoolStats = PoolStats()
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def done(self) -> bool:
        return self.status in ("COMPLETED", "CANCELED")


class Reference(msgspec.Struct, frozen=True, rename="camel"):
    """The reply to an accepted change: an operation (create, add) or the resource itself (update, remove).

    The change was accepted even if both are None, because the reply did not name them.
    """

    operation_id: str | None = None
    resource_id: str | None = None


def list(
    *,
    operation_id: str | None = None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[SenderPool]]:
    """List pools, or those that one operation made: ``GET /SenderPools``."""
    query = filters(operation_id=operation_id, start_date=start_date, end_date=end_date, page_size=page_size)
    return listing("/SenderPools", "senderPools", SenderPool, query)


def create(
    name: str, *, sender_ids: Sequence[str] = (), tags: Mapping[str, str] | None = None
) -> Call[Reference]:
    """Create a pool of up to 10,000 senders: ``POST /SenderPools``."""
    if not name:
        raise InvalidInput.at("name", "is empty", "Name the pool")
    if len(sender_ids) > 10_000:
        raise InvalidInput.at("sender_ids", f"{len(sender_ids)} given", "Twilio takes 10,000 at a time")
    body = {"name": name, "senders": _references(sender_ids), "tags": checked_tags(tags)}
    return Call("POST", "/SenderPools", _reference, json={key: value for key, value in body.items() if value})


def fetch(sender_pool_id: str) -> Call[SenderPool]:
    """Read one pool: ``GET /SenderPools/{senderPoolId}``."""
    return Call("GET", _POOL, lambda reply: decoded(reply, SenderPool), path_values=_at(sender_pool_id))


def update(
    sender_pool_id: str, *, name: str | None = None, tags: Mapping[str, str] | None = None
) -> Call[Reference]:
    """Rename a pool or set its tags: ``PATCH /SenderPools/{senderPoolId}``."""
    given = {"name": name, "tags": checked_tags(tags) if tags is not None else None}
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise InvalidInput.at("name", "nothing to change is given", "Give a name, tags, or both")
    return Call("PATCH", _POOL, _reference, path_values=_at(sender_pool_id), json=body)


def delete(sender_pool_id: str) -> Call[Reference]:
    """Delete a pool; its senders stay: ``DELETE /SenderPools/{senderPoolId}``."""
    return Call("DELETE", _POOL, _reference, path_values=_at(sender_pool_id))


def list_senders(
    sender_pool_id: str,
    *,
    channel: str | None = None,
    status: str | None = None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    page_size: int | None = None,
) -> Call[Page[Sender]]:
    """List a pool's senders: ``GET /SenderPools/{senderPoolId}/Senders``."""
    query = filters(
        channel=channel, status=status, start_date=start_date, end_date=end_date, page_size=page_size
    )
    return listing(f"{_POOL}/Senders", "senders", Sender, query, path_values=_at(sender_pool_id))


def add_senders(sender_pool_id: str, sender_ids: Sequence[str]) -> Call[Reference]:
    """Add 1 to 10,000 senders to a pool: ``POST /SenderPools/{senderPoolId}/Senders``."""
    if not 1 <= len(sender_ids) <= 10_000:
        raise InvalidInput.at("sender_ids", f"{len(sender_ids)} given", "Twilio takes 1 to 10,000 at a time")
    return Call(
        "POST",
        f"{_POOL}/Senders",
        _reference,
        path_values=_at(sender_pool_id),
        json=_references(sender_ids),
    )


def remove_sender(sender_pool_id: str, sender_id: str) -> Call[Reference]:
    """Take a sender out of a pool: ``DELETE /SenderPools/{senderPoolId}/Senders/{senderId}``."""
    return Call(
        "DELETE",
        f"{_POOL}/Senders/{{senderId}}",
        _reference,
        path_values={**_at(sender_pool_id), "senderId": sender_id},
    )


def list_operations(
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    status: str | None = None,
    page_size: int | None = None,
) -> Call[Page[PoolOperation]]:
    """List the changes of pools: ``GET /SenderPools/Operations``."""
    query = filters(start_date=start_date, end_date=end_date, status=status, page_size=page_size)
    return listing("/SenderPools/Operations", "operations", PoolOperation, query)


def fetch_operation(operation_id: str) -> Call[PoolOperation]:
    """Read one change: ``GET /SenderPools/Operations/{operationId}``."""
    return Call(
        "GET",
        "/SenderPools/Operations/{operationId}",
        lambda reply: decoded(reply, PoolOperation),
        path_values={"operationId": operation_id},
    )


_POOL = "/SenderPools/{senderPoolId}"


def _at(sender_pool_id: str) -> Mapping[str, str]:
    return {"senderPoolId": sender_pool_id}


def _references(sender_ids: Sequence[str]) -> Sequence[Mapping[str, str]]:
    return [{"senderId": sender_id} for sender_id in sender_ids]


def _reference(reply: Reply) -> Reference:
    return Reference(operation_id_of(reply), resource_id_of(reply))
