"""A sender pool made what its author declared, changing only what differs.

https://www.twilio.com/docs/bulk-messaging/api/sender-pool-resource
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_twilio_comms._core.resources.declared import only_named
from airflow_provider_twilio_comms.api.comms import sender_pools, senders
from airflow_provider_twilio_comms.api.comms._arguments import checked_sender, checked_tags
from airflow_provider_twilio_comms.api.comms.sender_pools import PoolOperation, Reference, SenderPool
from airflow_provider_twilio_comms.api.flows import Flow, every_item, fetched, made, now, removed, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    InvalidInput,
    ServerFailed,
    TransportFailed,
    TwilioError,
)

AT_ONCE = 1000  # senders that are added in one request
GRACE = 60.0  # seconds for which an operation that has just begun may answer 404


@dataclass(frozen=True)
class Declared:
    """A declared pool. Tags and senders that are None stay as they are.

    ``patience`` is how many seconds an operation may take, ``pause`` those between two looks at it.
    """

    name: str
    sender_pool_id: str | None = None
    senders: Sequence[str] | None = None
    tags: Mapping[str, str] | None = None
    remove_others: bool = False
    patience: float = 300.0
    pause: float = 2.0


@dataclass
class Changes:
    """Changes that were made, or with a dry run would be; ``others`` are senders of the pool not declared."""

    sender_pool_id: str | None
    created: bool = False
    changed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def none(self) -> bool:
        return not (self.created or self.changed or self.added or self.removed)

    def __str__(self) -> str:
        told = ["created"] * self.created + ([f"set {', '.join(self.changed)}"] if self.changed else [])
        if self.added or self.removed:
            told.append(f"senders: {len(self.added)} added, {len(self.removed)} removed")
        return "; ".join(told) or "nothing differs"


def applied(declared: Declared, *, dry_run: bool) -> Flow[Changes]:
    """Make the pool what is declared; returns what that took.

    Raises :class:`InvalidInput` for a name that several pools have and for a sender that the account does
    not have, and :class:`TwilioError` where Twilio does not carry a change out in time.
    """
    sender_pools.create(declared.name, tags=declared.tags)
    wanted = yield from _resolved(declared.senders or ())
    sender_pools.create(declared.name, sender_ids=wanted)  # to see that it can be made
    pool = yield from _found(declared)
    if pool is None:
        yield from _unfinished(declared)
        pool = yield from _found(declared)
    changes = Changes(pool.id if pool else None, created=pool is None)
    if pool is None:
        changes.added = wanted
        if not dry_run:
            pool = yield from _created(declared, wanted)
            changes.sender_pool_id = pool.id
            yield from _filled(declared, pool, wanted, Changes(pool.id), dry_run=False)
        return changes
    yield from _described(declared, pool, changes, dry_run)
    if declared.senders is not None:
        yield from _filled(declared, pool, wanted, changes, dry_run)
    return changes


def _resolved(given: Sequence[str]) -> Flow[list[str]]:
    """Sender ids as they are; numbers, WhatsApp numbers and RCS agents by the id that the account has."""
    ids: dict[str, None] = {}
    for row, text in enumerate(given, 1):
        sender = checked_sender(text)
        if "senderId" in sender:
            ids[sender["senderId"]] = None
            continue
        if "address" not in sender:
            raise InvalidInput.at(
                "senders", "a pool is not a sender", "Give ids, numbers, rcs: or whatsapp:", row
            )
        call = senders.search(sender["address"], sender["channel"], status="ACTIVATED")
        found = yield from every_item(call)
        if not found:
            problem = f"the account has no active {sender['channel']} sender of this address"
            raise InvalidInput.at("senders", problem, "List the account's senders in Twilio's console", row)
        ids[found[0].id] = None
    return list(ids)


def _found(declared: Declared) -> Flow[SenderPool | None]:
    if declared.sender_pool_id:
        return (yield from made(sender_pools.fetch(declared.sender_pool_id)))
    every = yield from every_item(sender_pools.list(page_size=1000))
    named = [pool for pool in every if pool.name == declared.name]
    return only_named(named, [pool.id for pool in named], "pools", "name", "sender_pool_id")


def _unfinished(declared: Declared) -> Flow[None]:
    """Wait for changes under way: one may make the pool that a killed try asked for, which no list shows."""
    end = (yield from now()) + declared.patience
    while (yield from every_item(sender_pools.list_operations(status="PROCESSING"), 1)):
        if (yield from now()) >= end:
            raise _late(declared, "other changes of sender pools are under way")
        yield from waited(declared.pause)


def _created(declared: Declared, wanted: Sequence[str]) -> Flow[SenderPool]:
    """Create it. Where the reply is lost or the name is taken, the pool of that name is the one."""
    call = sender_pools.create(declared.name, sender_ids=wanted, tags=declared.tags)
    try:
        reference = yield from made(call)
    except (ServerFailed, TransportFailed) as error:
        if untouched(error):
            raise
        reference = Reference()
    except ApiError as error:
        if error.status != 409:
            raise
        reference = Reference()
    if reference.operation_id:
        yield from _completed(reference.operation_id, declared)
    end = (yield from now()) + declared.patience
    while True:
        pool = yield from _found(declared)
        if pool is not None:
            return pool
        if (yield from now()) >= end:
            raise _late(declared, "no list shows it yet")
        yield from waited(declared.pause)


def _described(declared: Declared, pool: SenderPool, changes: Changes, dry_run: bool) -> Flow[None]:
    """Change name and tags, where they differ."""
    name = declared.name if declared.name != pool.name else None
    tags = None
    if declared.tags is not None and checked_tags(declared.tags) != (pool.tags or {}):
        tags = declared.tags
    changes.changed = [each for each, value in (("name", name), ("tags", tags)) if value is not None]
    if changes.changed and not dry_run:
        yield from made(sender_pools.update(pool.id, name=name, tags=tags))


def _filled(
    declared: Declared, pool: SenderPool, wanted: Sequence[str], changes: Changes, dry_run: bool
) -> Flow[None]:
    """Add the senders that are missing; what is new comes in before anything is taken out."""
    there = [
        sender.id for sender in (yield from every_item(sender_pools.list_senders(pool.id, page_size=1000)))
    ]
    changes.added = [each for each in wanted if each not in set(there)]
    others = [each for each in there if each not in set(wanted)]
    changes.removed, changes.others = (others, []) if declared.remove_others else ([], others)
    if dry_run:
        return
    for start in range(0, len(changes.added), AT_ONCE):
        some = changes.added[start : start + AT_ONCE]
        reference = yield from _asked(sender_pools.add_senders(pool.id, some))
        if reference.operation_id:
            yield from _completed(reference.operation_id, declared)
    for each in changes.removed:
        yield from removed(sender_pools.remove_sender(pool.id, each))


def _asked(call: Call[Reference]) -> Flow[Reference]:
    """Add senders. One that is there already changes nothing, so after a lost reply it is asked again."""
    try:
        return (yield from made(call))
    except (ServerFailed, TransportFailed):
        yield from waited(1.0)
        return (yield from made(call))


def _completed(operation_id: str, declared: Declared) -> Flow[PoolOperation]:
    """Wait until a change is carried out."""
    began = yield from now()
    while True:
        operation = yield from fetched(sender_pools.fetch_operation(operation_id))
        time = (yield from now()) - began
        if operation is not None and operation.done:
            break
        if time >= declared.patience or (operation is None and time >= GRACE):
            raise _late(declared, f"{operation_id} is not completed")
        yield from waited(declared.pause)
    if operation.status != "COMPLETED" or operation.stats.failed:
        raise TwilioError(
            f"the sender pool was not changed as declared: {operation_id} is {operation.status}, and "
            f"{operation.stats.failed:,} of {operation.stats.total:,} senders were not added. Check that the "
            "senders exist and are active; running the task again adds only what is missing"
        )
    return operation


def _late(declared: Declared, why: str) -> TwilioError:
    return TwilioError(
        f"the sender pool {declared.name!r} is not as declared after {declared.patience:,.0f} s: {why}. "
        "Running the task again goes on from there, and makes no second pool"
    )
