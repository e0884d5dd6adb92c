"""A webhook sink of Event Streams and its subscriptions, created where they are missing.

A sink is ours if it posts to the declared address under the declared description. All others are foreign:
they are counted, and never changed. https://www.twilio.com/docs/events/event-streams
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_twilio_comms.api.events import sinks, subscriptions, types
from airflow_provider_twilio_comms.api.events.sinks import Sink
from airflow_provider_twilio_comms.api.events.subscriptions import Subscription
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed, TransportFailed

T = TypeVar("T")
CHECKS = (1.0, 2.0, 4.0, 8.0)  # seconds between looks for a thing whose reply was lost


@dataclass(frozen=True)
class Declared:
    """A sink and what it is to get: types of events, with the version of each schema or None."""

    address: str
    description: str
    types: Mapping[str, int | None]


@dataclass
class Found:
    """Sinks and subscriptions that were there, and those created or, with a dry run, to be created."""

    sink_sid: str | None = None
    subscription_sid: str | None = None
    created: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def applied(declared: Declared, *, dry_run: bool) -> Flow[Found]:
    """Create what is missing of a sink and its subscriptions; returns what was found.

    Raises :class:`InvalidInput` for an address or a type that cannot be, and for a sink that has failed.
    """
    check_address(declared.address)
    sinks.create(declared.description, declared.address)  # checked before anything is read
    subscriptions.create(declared.description, f"DG{0:032x}", declared.types)
    yield from _check_types(declared.types)
    found = Found()
    sink = yield from _find_sink(declared, found)
    if sink is None:
        found.created.append("sink")
        found.added = list(declared.types)
        if dry_run:
            found.created.append("subscription")
            return found
        sink = yield from _create_sink(declared)
    found.sink_sid = sink.sid
    yield from _subscribe(declared, sink.sid, found, dry_run)
    return found


def check_address(address: str) -> None:
    """Raise :class:`InvalidInput` unless Twilio could post events to this address, or the emulator could."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    problem = ""
    if parts.username or parts.password:
        problem = "holds a user name or a password, which Twilio would show to everybody with access"
    elif parts.query or parts.fragment:
        problem = "has a query or a fragment"
    elif _is_loopback(host):
        return
    elif parts.scheme != "https" or "." not in host:
        problem = "is not an https address on a public host"
    elif _is_private(host):
        problem = "is on a private network, which Twilio cannot reach"
    if problem:
        raise InvalidInput.at(
            "address",
            problem,
            "Give what Twilio is to call, such as https://airflow.example.com/twilio/events",
        )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.endswith((".local", ".internal", ".localhost"))


def _check_types(wanted: Mapping[str, int | None]) -> Flow[None]:
    known = {each.type for each in (yield from every_item(types.list(page_size=1000)))}
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise InvalidInput.at(
                "types", f"Twilio knows no events of type {name}", f"Did you mean {near[0]}?" if near else ""
            )


def _find_sink(declared: Declared, found: Found | None = None) -> Flow[Sink | None]:
    """Find our sink; those of others are noted in ``found``."""
    own: list[Sink] = []
    for each in (yield from every_item(sinks.list(page_size=1000))):
        configuration = each.sink_configuration
        to_us = (
            each.sink_type == "webhook" and configuration and configuration.destination == declared.address
        )
        if to_us and each.description == declared.description:
            own.append(each)
        elif found is not None:
            found.foreign.append(each.sid)
    if not own:
        return None
    sink = min(own, key=lambda each: (each.status == "failed", each.date_created is None, each.sid))
    if sink.status == "failed":
        raise InvalidInput.at(
            "address",
            f"Twilio says that the sink {sink.sid} has failed",
            "See why in Twilio's console, delete it there, and run the task again",
        )
    return sink


def _create_sink(declared: Declared) -> Flow[Sink]:
    return (
        yield from _created(
            sinks.create(declared.description, declared.address), lambda: _find_sink(declared)
        )
    )


def _subscribe(declared: Declared, sink_sid: str, found: Found, dry_run: bool) -> Flow[None]:
    """Have the sink get what is declared. Types that it gets besides stay; a version is not changed."""
    ours: Subscription | None = None
    there: set[str] = set()
    for each in (yield from every_item(subscriptions.list(sink_sid=sink_sid, page_size=1000))):
        there |= yield from _types_of(each.sid)
        ours = each if each.description == declared.description else ours
    found.subscription_sid = ours.sid if ours else None
    found.present = [name for name in declared.types if name in there]
    missing = {name: version for name, version in declared.types.items() if name not in there}
    found.added = list(missing)
    if missing and ours is None:
        found.created.append("subscription")
    if not missing or dry_run:
        return
    if ours is None:
        made_now = yield from _created(
            subscriptions.create(declared.description, sink_sid, missing),
            lambda: _find_subscription(declared, sink_sid),
        )
        found.subscription_sid = made_now.sid
        return
    for name, version in missing.items():
        yield from _created(subscriptions.create_event(ours.sid, name, version), _finder(ours.sid, name))


def _find_subscription(declared: Declared, sink_sid: str) -> Flow[Subscription | None]:
    every = yield from every_item(subscriptions.list(sink_sid=sink_sid, page_size=1000))
    return next((each for each in every if each.description == declared.description), None)


def _finder(sid: str, name: str) -> Callable[[], Flow[subscriptions.SubscribedEvent | None]]:
    def find() -> Flow[subscriptions.SubscribedEvent | None]:
        every = yield from every_item(subscriptions.list_events(sid, page_size=1000))
        return next((each for each in every if each.type == name), None)

    return find


def _types_of(sid: str) -> Flow[set[str]]:
    return {each.type for each in (yield from every_item(subscriptions.list_events(sid, page_size=1000)))}


def _created(call: Call[T], find: Callable[[], Flow[T | None]]) -> Flow[T]:
    """Create a thing. Where the reply is lost, it is looked for before anybody may try again."""
    try:
        return (yield from made(call))
    except (ServerFailed, TransportFailed) as error:
        if untouched(error):
            raise
        for pause in CHECKS:
            yield from waited(pause)
            thing = yield from find()
            if thing is not None:
                return thing
        raise
