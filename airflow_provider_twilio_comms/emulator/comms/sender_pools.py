"""Sender pools: https://www.twilio.com/docs/bulk-messaging/api/sender-pool-resource.

A pool, and a sender added to one, exists once its operation is COMPLETED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.ids import new_id
from airflow_provider_twilio_comms.emulator.comms.inventory import Inventory, Pool
from airflow_provider_twilio_comms.emulator.comms.modules import Strict
from airflow_provider_twilio_comms.emulator.comms.queries import VERSION, choice, date_range, identifier
from airflow_provider_twilio_comms.emulator.comms.reading import Body
from airflow_provider_twilio_comms.emulator.comms.schema import SenderId, Tags
from airflow_provider_twilio_comms.emulator.comms.senders import listed
from airflow_provider_twilio_comms.emulator.comms.sending import accepted
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import comms_page, page_size
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("comms", VERSION + "/SenderPools")


class Reference(Strict):
    sender_id: SenderId | UnsetType = UNSET


class Create(Strict):
    name: str | UnsetType = UNSET
    senders: Annotated[list[Reference], Meta(max_length=10_000)] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class Update(Strict):
    name: str | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


_CREATE, _UPDATE = Body[Create](Create), Body[Update](Update)
_ADD = Body[list[Reference]](Annotated[list[Reference], Meta(min_length=1, max_length=10_000)])


@dataclass(frozen=True, slots=True)
class PoolOperation:
    """A change of a pool: ``known`` senders are added when it completes, ``unknown`` ones fail."""

    id: str
    created: float
    ends: float
    known: int
    unknown: int

    def view(self, now: float) -> dict[str, Any]:
        done = now + 1e-6 >= self.ends
        return {
            "id": self.id,
            "status": "COMPLETED" if done else "PROCESSING",
            "stats": {
                "total": self.known + self.unknown,
                "queued": 0 if done else self.known + self.unknown,
                "created": self.known if done else 0,
                "failed": self.unknown if done else 0,
            },
            "createdAt": iso(self.created),
            "updatedAt": iso(min(now, self.ends)),
        }


class PoolOperations:
    """Changes of pools by id, oldest first."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._by_id: dict[str, PoolOperation] = {}

    def start(self, known: int, unknown: int) -> PoolOperation:
        now = self._twilio.clock.now()
        identifier = new_id("operation", now, self._twilio.random)
        self._by_id[identifier] = PoolOperation(
            identifier, now, now + self._twilio.options.pace, known, unknown
        )
        return self._by_id[identifier]

    def kept(self) -> list[PoolOperation]:
        oldest = self._twilio.clock.now() - self._twilio.options.retention
        return [operation for operation in reversed(self._by_id.values()) if operation.created >= oldest]


def _pool(twilio: State, pool_id: str) -> Pool:
    pool = twilio.part(Inventory).pool(pool_id)
    if pool is None:
        raise Problem(404, 20404, "The sender pool was not found")
    return pool


def _changed(path: str, resource_id: str) -> Reply:
    location = address("comms", f"{path}/{resource_id}")
    return json_reply({"resourceId": resource_id, "resourceLocation": location}, 202, {"location": location})


def _check_name(request: Request, name: str | UnsetType) -> None:
    if name == "" and request.strict:
        raise Problem(400, 20001, "The name is empty", "$.name")


def _sender_ids(request: Request, references: list[Reference], where: str) -> list[str]:
    """Read the ids of senders. One without an id passes Twilio's schema, and then fails in the operation."""
    for index, each in enumerate(references):
        if each.sender_id is UNSET and request.strict:
            raise Problem(400, 20001, "senderId is missing", f"{where}[{index}]")
    return [each.sender_id if isinstance(each.sender_id, str) else "" for each in references]


@routes("GET", "")
def list_pools(twilio: State, request: Request, version: str) -> Reply:
    """List pools; ``operationId`` finds the pool that an operation created."""
    operation_id = identifier(request, "operationId", "comms_operation")
    (since, until), now = date_range(request), twilio.clock.now()
    found = (
        pool.view()
        for pool in reversed(twilio.part(Inventory).pools.values())
        if operation_id in (None, pool.operation_id)
        and pool.created <= now
        and since <= pool.created <= until
    )
    token, size = request.values.get("pageToken"), page_size(request.values.get("pageSize"))
    items, pagination = comms_page("pools", found, size, token)
    return json_reply({"senderPools": items, "pagination": pagination})


@routes("POST", "")
def create(twilio: State, request: Request, version: str) -> Reply:
    """Create a pool; 409 if there is one with that name."""
    asked, inventory = _CREATE.read(request), twilio.part(Inventory)
    _check_name(request, asked.name)
    name = asked.name if isinstance(asked.name, str) else None
    if name is not None and any(pool.name == name for pool in inventory.pools.values()):
        raise Problem(409, 20409, "A sender pool of this name exists", "$.name")
    senders = _sender_ids(request, asked.senders if isinstance(asked.senders, list) else [], "$.senders")
    known = [sender_id for sender_id in senders if sender_id in inventory.senders]
    operation = twilio.part(PoolOperations).start(len(known), len(senders) - len(known))
    pool = Pool(
        new_id("senderpool", operation.created, twilio.random),
        name,
        dict(asked.tags) if isinstance(asked.tags, dict) else {},
        operation.ends,
        operation.ends,
        operation.id,
        dict.fromkeys(known, operation.ends),
    )
    inventory.pools[pool.id] = pool
    return accepted(twilio, version, "SenderPools", operation.id)


@routes("GET", "/{senderPoolId}")
def fetch(twilio: State, request: Request, version: str, sender_pool_id: str) -> Reply:
    return json_reply(_pool(twilio, sender_pool_id).view())


@routes("PATCH", "/{senderPoolId}")
def update(twilio: State, request: Request, version: str, sender_pool_id: str) -> Reply:
    """Change a pool; ``tags`` replace the old ones, since Twilio's behaviour is not documented."""
    pool, asked = _pool(twilio, sender_pool_id), _UPDATE.read(request)
    _check_name(request, asked.name)
    if request.strict and asked.name is UNSET and asked.tags is UNSET:
        raise Problem(400, 20001, "Nothing to change: give name or tags", "$")
    if isinstance(asked.name, str):
        pool.name = asked.name
    if isinstance(asked.tags, dict):
        pool.tags = dict(asked.tags)
    pool.updated = twilio.clock.now()
    return _changed(f"/{version}/SenderPools", pool.id)


@routes("DELETE", "/{senderPoolId}")
def delete(twilio: State, request: Request, version: str, sender_pool_id: str) -> Reply:
    pool = _pool(twilio, sender_pool_id)
    del twilio.part(Inventory).pools[pool.id]
    return _changed(f"/{version}/SenderPools", pool.id)


@routes("GET", "/{senderPoolId}/Senders")
def list_senders(twilio: State, request: Request, version: str, sender_pool_id: str) -> Reply:
    return listed(request, twilio.part(Inventory).members(_pool(twilio, sender_pool_id)))


@routes("POST", "/{senderPoolId}/Senders")
def add_senders(twilio: State, request: Request, version: str, sender_pool_id: str) -> Reply:
    """Add the senders of the body, an array. One that is in the pool already counts as added."""
    pool, asked = _pool(twilio, sender_pool_id), _ADD.read(request)
    senders = _sender_ids(request, asked, "$")
    known = [sender_id for sender_id in senders if sender_id in twilio.part(Inventory).senders]
    operation = twilio.part(PoolOperations).start(len(known), len(asked) - len(known))
    for sender_id in known:
        pool.sender_ids.setdefault(sender_id, operation.ends)
    return accepted(twilio, version, "SenderPools", operation.id)


@routes("DELETE", "/{senderPoolId}/Senders/{senderId}")
def remove_sender(
    twilio: State, request: Request, version: str, sender_pool_id: str, sender_id: str
) -> Reply:
    pool = _pool(twilio, sender_pool_id)
    if pool.sender_ids.pop(sender_id, None) is None:
        raise Problem(404, 20404, "The sender is not in this pool")
    return _changed(f"/{version}/SenderPools/{pool.id}/Senders", sender_id)


@routes("GET", "/Operations")
def list_operations(twilio: State, request: Request, version: str) -> Reply:
    status = choice(request, "status", ("PROCESSING", "COMPLETED", "CANCELED"))
    (since, until), now = date_range(request), twilio.clock.now()
    views = (
        operation.view(now)
        for operation in twilio.part(PoolOperations).kept()
        if since <= operation.created <= until
    )
    found = (view for view in views if status in (None, view["status"]))
    token, size = request.values.get("pageToken"), page_size(request.values.get("pageSize"))
    items, pagination = comms_page("pool operations", found, size, token)
    return json_reply({"operations": items, "pagination": pagination})


@routes("GET", "/Operations/{operationId}")
def fetch_operation(twilio: State, request: Request, version: str, operation_id: str) -> Reply:
    for operation in twilio.part(PoolOperations).kept():
        if operation.id == operation_id:
            return json_reply(operation.view(twilio.clock.now()))
    raise Problem(404, 20404, "The operation was not found")
