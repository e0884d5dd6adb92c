"""The names by which storms are counted, and where they are kept.

Names of a scope (a key, or a connection)::

    <scope>.gate.claim.<id>         somebody is at the gate
    <scope>.gate.sent.<id>          a message went out, or is about to; <id> starts with its time
    <scope>.held.<id of sent>.<id>  one alert held back since that message
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_twilio_comms.exceptions import TwilioError

__all__ = [
    "KEEP",
    "NEVER",
    "ROOT",
    "AlertStore",
    "Gate",
    "StoreFailed",
    "new_id",
    "outlived",
    "scope",
    "time_of",
]

ROOT = "twilio_alerts"
KEEP = 8 * 86_400.0  # seconds for which names are kept; no window is longer
NEVER = "never"  # in place of the message that something was held back after


class StoreFailed(TwilioError):
    """The place where storms are counted cannot be read or written."""


class AlertStore(Protocol):
    """A set of names that every process sees. Its verbs block, and raise :class:`StoreFailed`."""

    writable: bool

    def names(self, prefix: str) -> Sequence[str]: ...

    def put(self, name: str, note: str) -> None: ...

    def drop(self, name: str) -> None: ...


def scope(*marks: str) -> str:
    """A short name for a key of any length, which does not show it."""
    return f"{ROOT}.{hashlib.sha256('|'.join(marks).encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Gate:
    """At most ``limit`` messages in any ``span`` seconds; ``note`` tells a person what it is about.

    ``counted`` says whether those held back here are counted for the next message.
    """

    scope: str
    span: float
    limit: int = 1
    note: str = ""
    counted: bool = True

    def claim(self, each: str) -> str:
        return f"{self.scope}.gate.claim.{each}"

    def sent(self, each: str) -> str:
        return f"{self.scope}.gate.sent.{each}"

    def held(self, after: str, each: str = "") -> str:
        return f"{self.scope}.held.{after}.{each}"


def new_id(moment: float) -> str:
    """A name's last part: it starts with the time, and nobody else makes the same."""
    return f"{moment * 1000:.0f}-{secrets.token_hex(4)}"


def time_of(each: str) -> float:
    """The time that an id starts with."""
    milliseconds = each.partition("-")[0]
    return int(milliseconds) / 1000 if milliseconds.isdigit() else 0.0


def outlived(name: str, gates: Mapping[str, Gate], own: str, moment: float) -> bool:
    """Whether a name may go, now that the message ``own`` went out through ``gates`` (by scope): it told of
    all that was held back before it, and the next one may be out. What is older than any window may go.
    """
    head, _, rest = name.removeprefix(f"{ROOT}.").partition(".")
    kind, _, each = rest.rpartition(".")
    gate = gates.get(f"{ROOT}.{head}")
    age = moment - time_of(each)
    if gate is None or kind == "gate.claim" or age > KEEP:
        return age > KEEP
    if kind == "gate.sent":
        return age > gate.span and each != own
    after = kind.removeprefix("held.")
    return after == NEVER or not own or after < own
