"""One alert a window, over all workers, on a store that can only list names, add one and drop one.

The store is Airflow's Variables (the one thing that a task, the DAG processor and the triggerer can all
write), of which only the *names* are used: a name is there or not, and no write can undo another's. There is
no atomic "take it if it is free", so a gate is entered as by Burns' algorithm for mutual exclusion: put your
own name up, then look; whoever sees nobody else is alone inside; of several, the lowest name stays until the
others have withdrawn theirs. Whoever looks before that sees the name, and waits without one of its own.

What this guarantees, on a store in which a finished write is seen by every later look (a database with one
primary, as Airflow wants it): two never enter at once, however slow anybody is and whatever their clocks say.
A name that is left by a dead process is dropped by whoever has watched it for ``LEASE`` seconds; a living one
that took longer than half of that to get through gives its place up and begins again. So the only assumption
is that no clock runs at twice the speed of another. Windows are measured by the clock on the wall: those of
two machines must not differ by more than a window.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from airflow_provider_twilio_comms._core.alerts.store import (
    NEVER,
    ROOT,
    AlertStore,
    Gate,
    StoreFailed,
    new_id,
    outlived,
    time_of,
)
from airflow_provider_twilio_comms.api.flows import Flow, aside, now, waited
from airflow_provider_twilio_comms.exceptions import TwilioError

__all__ = ["Deduplicator", "Permit"]

log: logging.Logger = logging.getLogger(__name__)
T = TypeVar("T")

LEASE = 20.0  # seconds after which a name at a gate belongs to the dead
PATIENCE = 45.0  # seconds at a gate after which the store counts as unusable
SWEEP = 500  # names that one message clears away at most


@dataclass
class _Seen:
    """The names at a gate, at one look."""

    claims: set[str]
    sent: list[str]  # by time

    def full(self, gate: Gate, moment: float) -> bool:
        return gate.span > 0 and sum(time_of(each) > moment - gate.span for each in self.sent) >= gate.limit

    @property
    def last(self) -> str:
        return self.sent[-1] if self.sent else NEVER


@dataclass
class Permit:
    """The right to send one message. ``held`` is how many alerts were held back since the last one."""

    id: str = ""
    held: int = 0
    gates: Sequence[Gate] = ()
    before: dict[str, list[str]] = field(default_factory=dict)  # by scope: what was sent earlier


@dataclass
class Deduplicator:
    """The way through several gates, in their order, for one alert."""

    board: AlertStore
    gates: Sequence[Gate]
    _standing: dict[str, float] = field(default_factory=dict)  # by scope: since when our name is up

    def entered(self) -> Flow[Permit | None]:
        """The right to send, or None: then the alert is held back, and counted.

        Raises :class:`StoreFailed` where the store cannot tell.
        """
        began = time.monotonic()
        for gate in self.gates:
            if (yield from self._full(gate)):
                return None
        if not self.board.writable:
            log.warning("Airflow's store can only be read here: this message will not hold others back")
            return Permit()
        while True:
            ticket = Permit(new_id((yield from now())), gates=self.gates)
            entered = yield from self._withdrawing(ticket.id, self._through(ticket, began))
            if entered is not None:
                return ticket if entered else None
            log.warning("Airflow's store took too long to let this alert through, trying again")

    def _through(self, ticket: Permit, began: float) -> Flow[bool | None]:
        """Whether this alert may be sent; None where its place at a gate may have been given away."""
        for gate in self.gates:
            seen = yield from self._alone(gate, ticket.id, began)
            ticket.before[gate.scope] = seen.sent
            if (yield from self._full(gate, seen)):
                return False
        yield from self._counted(ticket)
        for gate in self.gates:
            yield from self._put(gate.sent(ticket.id), gate.note)
        if time.monotonic() - min(self._standing.values()) < LEASE / 2:
            return True
        yield from self.undone(ticket)
        return None

    def closed(self) -> Flow[Permit | None]:
        """Forget that there was an alert: the right to tell its end, or None if there was none."""
        (gate,) = self.gates
        if not (yield from self._seen(gate)).sent or not self.board.writable:
            return None
        ticket = Permit(new_id((yield from now())), gates=self.gates)
        return (yield from self._withdrawing(ticket.id, self._forgotten(gate, ticket)))

    def _forgotten(self, gate: Gate, ticket: Permit) -> Flow[Permit | None]:
        seen = yield from self._alone(replace(gate, span=0.0), ticket.id, time.monotonic())
        ticket.before[gate.scope] = seen.sent
        if not seen.sent:
            return None
        yield from self._counted(ticket)
        for each in seen.sent:
            yield from self._drop(gate.sent(each))
        return ticket

    def held(self, gate: Gate, after: str | None = None) -> Flow[None]:
        """Count one alert that is held back."""
        if not gate.counted:
            return
        if not self.board.writable:
            log.warning("Airflow's store can only be read here: this alert is held back uncounted")
            return
        if after is None:
            after = (yield from self._seen(gate)).last
        moment = yield from now()
        yield from self._put(gate.held(after, new_id(moment)), gate.note)

    def undone(self, ticket: Permit) -> Flow[None]:
        """Give the right to send back: nothing was sent, and the next alert may be."""
        for gate in ticket.gates:
            yield from self._drop(gate.sent(ticket.id))

    def swept(self, ticket: Permit) -> Flow[None]:
        """Clear away what the message has told of, and what nobody will ask for any more."""
        if not ticket.gates:
            return
        moment = yield from now()
        own = {gate.scope: gate for gate in ticket.gates}
        names = yield from aside(lambda: self.board.names(f"{ROOT}."))
        doomed = [name for name in names if outlived(name, own, ticket.id, moment)]
        for name in sorted(doomed)[:SWEEP]:
            yield from self._drop(name)

    def _alone(self, gate: Gate, own: str, began: float) -> Flow[_Seen]:
        """Wait at a gate until nobody else is there."""
        watched: dict[str, float] = {}
        while True:
            seen = yield from self._seen(gate)
            if (yield from self._is_full(gate, seen)):
                return seen
            others, standing = seen.claims - {own}, own in seen.claims
            if standing and not others:
                return seen
            if standing and min(others) < own:
                yield from self._drop(gate.claim(own))
            moment = time.monotonic()
            if moment - began > PATIENCE:
                raise StoreFailed(f"after {PATIENCE:.0f} s, {len(others)} others are still at the gate")
            if not standing and not others:
                self._standing[gate.scope] = moment  # before anybody can have seen it
                yield from self._put(gate.claim(own), gate.note)
                continue
            watched = {each: watched.get(each, moment) for each in others}
            for dead in [each for each, since in watched.items() if moment - since > LEASE]:
                log.warning("Somebody died at an alert's gate; their name is dropped")
                yield from self._drop(gate.claim(dead))
            yield from waited(random.uniform(0.03, 0.15))

    def _full(self, gate: Gate, seen: _Seen | None = None) -> Flow[bool]:
        """Whether the gate is shut; if so, this alert is counted as held back there."""
        if seen is None:
            seen = yield from self._seen(gate)
        shut = yield from self._is_full(gate, seen)
        if shut:
            yield from self.held(gate, seen.last)
        return shut

    def _is_full(self, gate: Gate, seen: _Seen) -> Flow[bool]:
        return seen.full(gate, (yield from now()))

    def _counted(self, ticket: Permit) -> Flow[None]:
        """How many were held back since the last message."""
        for gate in ticket.gates:
            if gate.counted:
                last = (ticket.before[gate.scope] or [NEVER])[-1]
                names = yield from aside(partial(self.board.names, gate.held(last)))
                ticket.held += len(set(names))

    def _withdrawing(self, own: str, inner: Flow[T]) -> Flow[T]:
        """Take our names down, however the inner flow ends."""
        try:
            result = yield from inner
        except TwilioError:
            with suppress(StoreFailed):
                yield from self._withdrawn(own)
            raise
        yield from self._withdrawn(own)
        return result

    def _withdrawn(self, own: str) -> Flow[None]:
        for gate in self.gates:
            if self._standing.pop(gate.scope, None) is not None:
                yield from self._drop(gate.claim(own))

    def _seen(self, gate: Gate) -> Flow[_Seen]:
        prefix = f"{gate.scope}.gate."
        names = yield from aside(lambda: self.board.names(prefix))
        split = [name.removeprefix(prefix).partition(".") for name in names]
        return _Seen(
            {each for kind, _, each in split if kind == "claim"},
            sorted({each for kind, _, each in split if kind == "sent"}),
        )

    def _put(self, name: str, note: str) -> Flow[None]:
        yield from aside(lambda: self.board.put(name, note))

    def _drop(self, name: str) -> Flow[None]:
        yield from aside(lambda: self.board.drop(name))
