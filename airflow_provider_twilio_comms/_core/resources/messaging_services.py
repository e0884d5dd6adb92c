"""A messaging service made what its author declared, changing only what differs.

https://www.twilio.com/docs/messaging/api/service-resource
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_twilio_comms._core.resources.declared import only_named
from airflow_provider_twilio_comms._core.resources.settings import different
from airflow_provider_twilio_comms.api.classic import incoming_numbers, short_codes
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, removed, waited
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.api.messaging.services import Service
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, ServerFailed, TransportFailed

THERE_ALREADY = 21710
CHECKS = (1.0, 2.0, 4.0, 8.0)  # seconds between looks for a service whose reply was lost


@dataclass(frozen=True)
class Pool:
    """One of a service's lists of senders: how its entries are listed, added and taken out.

    ``key`` is what identifies an entry; ``resolved`` turns what an author may write into keys. Where there
    is place for one only, ``out_first`` takes the old one out before the new one comes in.
    """

    key: Callable[[Any], str]
    list: Callable[..., Call[Page[Any]]]
    create: Callable[[str, str], Call[Any]]
    delete: Callable[[str, str], Call[None]]
    resolved: Callable[[Sequence[str]], Flow[Sequence[str]]]
    out_first: bool = False


@dataclass(frozen=True)
class Declared:
    """A service as it is to be. A pool that is not there is left as it is; an empty one is emptied."""

    friendly_name: str
    sid: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    pools: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Changes:
    """The changes that were made, or with a dry run would be."""

    sid: str | None
    created: bool = False
    changed: list[str] = field(default_factory=list)
    added: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        return not (self.created or self.changed or self.added or self.removed)

    def __str__(self) -> str:
        told = ["created"] * self.created + ([f"set {', '.join(self.changed)}"] if self.changed else [])
        for name in sorted({*self.added, *self.removed}):
            added, removed = len(self.added.get(name, ())), len(self.removed.get(name, ()))
            told.append(f"{name}: {added} added, {removed} removed")
        return "; ".join(told) or "nothing differs"


def applied(declared: Declared, *, dry_run: bool) -> Flow[Changes]:
    """Make the service what is declared; returns what that took.

    Raises :class:`InvalidInput` for a name that several services have, or a pool that cannot be.
    """
    wanted = {}
    for name, given in declared.pools.items():
        wanted[name] = yield from POOLS[name].resolved(given)
    _checked(declared, wanted)
    service = yield from _found(declared)
    changes = Changes(service.sid if service else None, created=service is None)
    if service is None and not dry_run:
        service = yield from _created(declared)
        changes.sid = service.sid
    elif service is not None:
        changes.changed = different(service, {"friendly_name": declared.friendly_name, **declared.settings})
        if changes.changed and not dry_run:
            values: Any = {"friendly_name": declared.friendly_name, **declared.settings}
            yield from made(services.update(service.sid, **{name: values[name] for name in changes.changed}))
    for name, keys in wanted.items():
        yield from _pooled(name, service, keys, _spared(name, wanted), changes, dry_run)
    return changes


def _checked(declared: Declared, wanted: Mapping[str, Sequence[str]]) -> None:
    """Make every call that may be needed, to see before anything is changed that it can be made."""
    services.create(declared.friendly_name, **declared.settings)
    for name, keys in wanted.items():
        for key in keys:
            POOLS[name].create(f"MG{0:032x}", key)


def deleted(sid: str) -> Flow[bool]:
    """Delete a service; returns whether it was there."""
    return (yield from removed(services.delete(sid)))


def _found(declared: Declared) -> Flow[Service | None]:
    if declared.sid:
        return (yield from made(services.fetch(declared.sid)))
    every = yield from every_item(services.list(page_size=1000))
    named = [service for service in every if service.friendly_name == declared.friendly_name]
    return only_named(named, [service.sid for service in named], "services", "friendly_name", "sid")


def _created(declared: Declared) -> Flow[Service]:
    """Create it. Where the reply is lost, it is looked for by its name before anybody may try again."""
    try:
        return (yield from made(services.create(declared.friendly_name, **declared.settings)))
    except (ServerFailed, TransportFailed) as error:
        if untouched(error):
            raise
        for pause in CHECKS:
            yield from waited(pause)
            service = yield from _found(declared)
            if service is not None:
                return service
        raise


def _pooled(
    name: str,
    service: Service | None,
    keys: Sequence[str],
    spared: Callable[[str], bool],
    changes: Changes,
    dry_run: bool,
) -> Flow[None]:
    """Make one pool what it should be. What is new comes in first, so that there is always a sender."""
    pool = POOLS[name]
    there: dict[str, Any] = {}
    if service is not None:
        entries = yield from every_item(pool.list(service.sid, page_size=1000))
        there = {pool.key(entry): entry for entry in entries}
    new = [key for key in keys if key not in there]
    old = [key for key in there if key not in keys and not spared(key)]
    changes.added.update({name: new} if new else {})
    changes.removed.update({name: old} if old else {})
    if service is None or dry_run:
        return
    into = [_added(pool.create(service.sid, key)) for key in new]
    out = [removed(pool.delete(service.sid, there[key].sid)) for key in old]
    for step in [*out, *into] if pool.out_first else [*into, *out]:
        yield from step


def _spared(name: str, wanted: Mapping[str, Sequence[str]]) -> Callable[[str], bool]:
    """Build the test for an undeclared entry that stays.

    An alphanumeric sender for all countries is shown in both of the lists, so the one list leaves to the
    other what may be its own.
    """
    if name != "destination_alpha_senders":
        return lambda key: False
    own = wanted.get("alpha_senders")
    return lambda key: key.startswith(":") and (own is None or key[1:] in own)


def _added(call: Call[Any]) -> Flow[None]:
    """Adding what is there already changes nothing, so a lost reply is made good by asking again."""
    for last in (False, True):
        try:
            yield from made(call)
            return
        except ApiError as error:
            if error.code == THERE_ALREADY:
                return
            if last or not isinstance(error, ServerFailed):
                raise
        except TransportFailed:
            if last:
                raise
        yield from waited(1.0)


def _as_given(given: Sequence[str]) -> Flow[Sequence[str]]:
    yield from ()
    return list(dict.fromkeys(given))


def _by_number(
    field_name: str, prefix: str, listed: Callable[[str], Call[Page[Any]]], shown: str
) -> Callable[[Sequence[str]], Flow[Sequence[str]]]:
    """SIDs as they are; numbers by the SID that the account has for them."""

    def resolved(given: Sequence[str]) -> Flow[Sequence[str]]:
        sids: dict[str, None] = {}
        for row, text in enumerate(given, 1):
            if text.startswith(prefix):
                sids[text] = None
                continue
            rows = yield from every_item(listed(text))
            own = [each.sid for each in rows if getattr(each, shown) == text]
            if not own:
                raise InvalidInput.at(field_name, "the account has no such number", "Buy it first", row)
            sids[own[0]] = None
        return list(sids)

    return resolved


def _country_and_name(entry: senders.DestinationAlphaSenderEntry) -> str:
    return f"{entry.iso_country_code or ''}:{entry.alpha_sender}"


def _create_destination(service_sid: str, key: str) -> Call[Any]:
    country, _, name = key.partition(":")
    return senders.create_destination_alpha_sender(service_sid, name, country or None)


POOLS: Mapping[str, Pool] = {
    "phone_numbers": Pool(
        lambda entry: str(entry.sid),
        senders.list_phone_numbers,
        senders.create_phone_number,
        senders.delete_phone_number,
        _by_number(
            "phone_numbers", "PN", lambda text: incoming_numbers.list(phone_number=text), "phone_number"
        ),
    ),
    "short_codes": Pool(
        lambda entry: str(entry.sid),
        senders.list_short_codes,
        senders.create_short_code,
        senders.delete_short_code,
        _by_number("short_codes", "SC", lambda text: short_codes.list(short_code=text), "short_code"),
    ),
    "alpha_senders": Pool(
        lambda entry: str(entry.alpha_sender),
        senders.list_alpha_senders,
        senders.create_alpha_sender,
        senders.delete_alpha_sender,
        _as_given,
        out_first=True,
    ),
    "destination_alpha_senders": Pool(
        _country_and_name,
        senders.list_destination_alpha_senders,
        _create_destination,
        senders.delete_destination_alpha_sender,
        _as_given,
        out_first=True,
    ),
    "channel_senders": Pool(
        lambda entry: str(entry.sid),
        senders.list_channel_senders,
        senders.create_channel_sender,
        senders.delete_channel_sender,
        _as_given,
    ),
}
