"""Gates that keep a storm of alerts to one message, and the interface of the stores that keep them.

Two stores have it: ``names`` (Airflow's Variables, of which only the names are used) and ``table`` (a table
of the user's database). Both know three things of a gate: who is about to send (a claim, which lapses after
``LEASE`` seconds, so that a worker that died with it stands in nobody's way), what was sent, and how many
were held back.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.exceptions import TwilioError

ROOT = "twilio_alerts"
KEEP = 8 * 86_400.0  # seconds for which anything is kept; no window is longer
# Seconds after which a claim that became no message lapses. The clocks of hosts may differ by half of it;
# Airflow itself refuses the tokens of a host whose clock is more than ten seconds off ([api_auth]
# jwt_leeway).
LEASE = 120.0


class StoreFailed(TwilioError):
    """The place where alerts are counted cannot be read or written."""


def scope(*marks: str) -> str:
    """A short name for a key of any length, which does not show it."""
    return f"{ROOT}.{hashlib.sha256('|'.join(marks).encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Gate:
    """At most ``limit`` messages in any ``span`` seconds; none is refused where ``span`` is 0.

    ``note`` tells a person what it is about. ``counted`` says whether alerts that are held back here are
    counted for the next message.
    """

    scope: str
    span: float
    limit: int = 1
    note: str = ""
    counted: bool = True


@dataclass
class Permit:
    """The right to send one message. ``held`` is how many alerts were held back since the last one.

    ``since`` is when it was asked for, on this process's monotonic clock: others respect it for ``LEASE``
    seconds from then. ``ends`` marks the message that tells a recovery. ``claims`` and ``told`` are the
    store's notes.
    """

    id: str = ""
    held: int = 0
    gates: Sequence[Gate] = ()
    ends: bool = False
    since: float = field(default_factory=time.monotonic)
    claims: dict[str, str] = field(default_factory=dict)  # by scope: what stands for us there
    told: dict[tuple[str, int], int] = field(default_factory=dict)  # by row: how many this message tells of

    @property
    def age(self) -> float:
        """Seconds since it was asked for, or renewed."""
        return time.monotonic() - self.since


class AlertStore(Protocol):
    """A place that every process sees. All of it raises :class:`StoreFailed` where that does not answer.

    ``identity`` tells two stores apart; ``name`` is for people.
    """

    @property
    def identity(self) -> Hashable: ...

    @property
    def name(self) -> str: ...

    def enter(self, gates: Sequence[Gate], holding: Callable[[Gate], int]) -> Flow[Permit | None]:
        """Get the right to send through all gates, or None: one is shut, or others are about to shut it.

        Then as many alerts as ``holding`` says of that gate are counted as held back there.
        """

    def enter_recovery(self, gate: Gate) -> Flow[Permit | None]:
        """Get the right to tell that it is over, or None: there was no alert, or its end is being told."""

    def hold(self, gate: Gate, count: int) -> Flow[None]:
        """Count alerts that are held back."""

    def renew(self, permit: Permit) -> Flow[bool]:
        """Keep a permit from lapsing; False where it may have lapsed, and others may be sending."""

    def settle(self, permit: Permit) -> Flow[None]:
        """Write down that the message went out, and clear away what it told of and what nobody asks for."""

    def release(self, permit: Permit) -> Flow[None]:
        """Give a permit back: nothing was sent, and the next alert may be."""


def new_id(moment: float) -> str:
    """An id that starts with its time, and that nobody else makes."""
    return f"{moment * 1e6:.0f}-{secrets.token_hex(4)}"


def time_of(each: str) -> float:
    """The time that an id starts with, in seconds since 1970."""
    microseconds = each.partition("-")[0]
    return int(microseconds) / 1e6 if microseconds.isdigit() else 0.0
