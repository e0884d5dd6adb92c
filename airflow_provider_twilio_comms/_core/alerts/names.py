"""Deduplicate alerts across workers in a store that can only list names, add one and drop one.

That is what Airflow's Variables can do for a task, the DAG processor and the triggerer alike: a name is
there or not, and no write can undo another's. Names of a scope (a key, or a connection)::

    <scope>.gate.claim.<id>   somebody is about to send; <id> starts with its time
    <scope>.gate.sent.<id>    a message went out
    <scope>.gate.ended.<id>   its end was told: what was sent before counts no more
    <scope>.held.<id>.<n>     n alerts held back; told of by the first message that asks after <id>

There is no atomic "take it if it is free", so a gate is entered as by Burns' algorithm for mutual
exclusion, with one difference: nobody waits to be let in after somebody else. Look, and if anything is
there, somebody has sent or is about to: the alert is held back and counted. Else put a claim up and look
again; whoever sees no other sends. Of several that put theirs up at once only the lowest stays, until the
others, who are held back, have taken theirs down. So an alert costs a number of requests that does not
depend on how many others there are, and two never send, however slow anybody is: each puts its claim up
before it looks, so the last to look sees all the others. That takes a store in which a finished write is
seen by every later look: a database with one primary, as Airflow wants it.

Whoever sends begins within half a lease of its claim, or gives the claim up and tries again; the others
respect it for a whole one. An id is later than any other seen, so that hosts whose clocks differ a little
agree on the order.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from airflow_provider_twilio_comms._core.alerts import store
from airflow_provider_twilio_comms._core.alerts.store import (
    KEEP,
    ROOT,
    Gate,
    Permit,
    StoreFailed,
    new_id,
    time_of,
)
from airflow_provider_twilio_comms.api.flows import Flow, aside, now, waited

log: logging.Logger = logging.getLogger(__name__)

ROUNDS = 3  # claims that one alert puts up at most, one after the other
SWEEP = 500  # names that one message clears away at most
SWEEPING = 5.0  # seconds that it takes for that at most
_AGAIN = (1.0, 4.0)  # seconds before what became of a message is written down once more


class NameBoard(Protocol):
    """A set of names that every process sees. Its verbs block, and raise :class:`StoreFailed`."""

    @property
    def identity(self) -> Hashable: ...

    @property
    def name(self) -> str: ...

    @property
    def writable(self) -> bool: ...

    def names(self, prefix: str) -> Sequence[str]: ...

    def put(self, name: str, note: str) -> None: ...

    def drop(self, name: str) -> None: ...


@dataclass(frozen=True)
class _Seen:
    """The ids at a gate, at one look, each kind sorted by time."""

    claims: list[str]
    sent: list[str]
    ended: list[str]
    moment: float

    @property
    def newest(self) -> float:
        return max(map(time_of, (*self.claims, *self.sent, *self.ended)), default=0.0)

    @property
    def told(self) -> float:
        """The time of the last message; it told of all that was held back before."""
        return max(map(time_of, (*self.sent, *self.ended)), default=0.0)

    @property
    def alarmed(self) -> bool:
        """Tell whether an alert was sent whose end nobody has told."""
        return bool(self.sent) and time_of(self.sent[-1]) > max(map(time_of, self.ended), default=0.0)

    def in_force(self, gate: Gate) -> int:
        """Count the messages of the gate's span."""
        since = max(self.moment - gate.span, *map(time_of, self.ended), 0.0)
        return sum(time_of(each) > since for each in self.sent) if gate.span else 0

    def standing(self, own: str = "") -> list[str]:
        """The claims that have not lapsed, and have not become a message."""
        over = {*self.sent, *self.ended}
        return [
            each
            for each in self.claims
            if each == own or (self.moment - time_of(each) < store.LEASE and each not in over)
        ]

    def shut(self, gate: Gate) -> bool:
        """Tell whether nobody else gets through: all was sent that may be, or others are about to send it."""
        return gate.span > 0 and self.in_force(gate) + len(self.standing()) >= gate.limit


@dataclass(frozen=True)
class NameStore:
    """Gates whose state is the names on a board. See :class:`~.store.AlertStore` for its verbs."""

    board: NameBoard

    @property
    def identity(self) -> Hashable:
        return self.board.identity

    @property
    def name(self) -> str:
        return self.board.name

    def enter(self, gates: Sequence[Gate], holding: Callable[[Gate], int]) -> Flow[Permit | None]:
        looks: dict[str, _Seen] = {}
        for gate in gates:
            seen = looks[gate.scope] = yield from self._look(gate)
            if seen.shut(gate):
                yield from self._hold(gate, holding(gate), seen.newest)
                return None
        if not self.board.writable:
            log.warning("%s can only be read here: this alert will not hold others back", self.name)
            return Permit()
        shut = gates[0]
        for _ in range(ROUNDS):
            permit = yield from self._prepare(gates, looks)
            refusing = yield from self._claim_all(permit, looks)
            if refusing is None and permit.age < store.LEASE / 2:
                yield from self._count_held(permit, looks)
                return permit
            with suppress(StoreFailed):  # then the claim lapses
                yield from self._withdraw(permit)
            if refusing is not None:
                shut = refusing
                break
            log.warning("%s took too long to let this alert through, so it tries again", self.name)
        yield from self._hold(shut, holding(shut), looks[shut.scope].newest)
        return None

    def enter_recovery(self, gate: Gate) -> Flow[Permit | None]:
        seen = yield from self._look(gate)
        if not seen.alarmed or seen.standing() or not self.board.writable:
            return None
        looks = {gate.scope: seen}
        permit = yield from self._prepare([gate], looks)
        permit.ends = True
        refusing = yield from self._claim_all(permit, looks)
        if refusing is not None or not looks[gate.scope].alarmed or permit.age >= store.LEASE / 2:
            yield from self._withdraw(permit)
            return None
        yield from self._count_held(permit, looks)
        return permit

    def hold(self, gate: Gate, count: int) -> Flow[None]:
        yield from self._hold(gate, count, 0.0)

    def renew(self, permit: Permit) -> Flow[bool]:
        if not permit.claims or permit.age < store.LEASE / 2:
            return True
        since, each = time.monotonic(), new_id((yield from now()))
        for gate in permit.gates:
            if gate.scope in permit.claims:
                yield from self._put(_claim(gate.scope, each), gate.note)
        kept = permit.age < store.LEASE  # so the new ones were there before the old ones lapsed
        yield from self._withdraw(permit)
        permit.claims, permit.since = dict.fromkeys(permit.claims, each), since
        if not kept:
            yield from self._withdraw(permit)
        return kept

    def settle(self, permit: Permit) -> Flow[None]:
        kind = "ended" if permit.ends else "sent"
        for gate in permit.gates:
            yield from self._insist(f"{gate.scope}.gate.{kind}.{permit.id}", gate.note)
        if permit.gates:
            yield from self._withdraw(permit)
            yield from self._sweep(permit)

    def release(self, permit: Permit) -> Flow[None]:
        yield from self._withdraw(permit)

    def _prepare(self, gates: Sequence[Gate], looks: dict[str, _Seen]) -> Flow[Permit]:
        moment = yield from now()
        return Permit(new_id(_after(moment, *(seen.newest for seen in looks.values()))), gates=gates)

    def _claim_all(self, permit: Permit, looks: dict[str, _Seen]) -> Flow[Gate | None]:
        """Put a claim up at each gate; returns the one that refuses it."""
        try:
            for gate in permit.gates:
                # The end of an alert is told once, whatever was sent: only claims are in its way.
                if permit.ends:
                    gate = replace(gate, span=0.0)
                elif gate.span == 0:
                    continue
                if not (yield from self._claim(gate, permit, looks)):
                    return gate
        except StoreFailed:
            with suppress(StoreFailed):
                yield from self._withdraw(permit)
            raise
        return None

    def _claim(self, gate: Gate, permit: Permit, looks: dict[str, _Seen]) -> Flow[bool]:
        """Put a claim up, and wait for those that have to go; False where ours has to."""
        permit.claims[gate.scope] = permit.id
        yield from self._put(_claim(gate.scope, permit.id), gate.note)
        pause = 0.05
        while True:
            seen = looks[gate.scope] = yield from self._look(gate)
            if permit.age >= store.LEASE / 2:
                return True  # too late, as the caller finds
            if permit.id not in seen.claims:
                raise StoreFailed("it does not keep what is written to it")
            standing, room = seen.standing(permit.id), gate.limit - seen.in_force(gate)
            if len(standing) <= room:
                return True
            if standing.index(permit.id) >= room:
                return False
            yield from waited(random.uniform(pause, 2 * pause))
            pause = min(2 * pause, 2.5)

    def _count_held(self, permit: Permit, looks: dict[str, _Seen]) -> Flow[None]:
        """Count what was held back since the last message, and is not told of by one that is under way."""
        own = time_of(permit.id)
        for gate in permit.gates:
            if not gate.counted:
                continue
            seen = looks[gate.scope]
            earlier = [time_of(each) for each in seen.standing() if each < permit.id]
            since, prefix = max(seen.told, *earlier, 0.0), f"{gate.scope}.held."
            for name in (yield from aside(partial(self.board.names, prefix))):
                each, _, count = name.removeprefix(prefix).partition(".")
                if since <= time_of(each) < own:
                    permit.held += int(count) if count.isdigit() else 1

    def _hold(self, gate: Gate, count: int, newest: float) -> Flow[None]:
        if not gate.counted:
            return
        if not self.board.writable:
            log.warning("%s can only be read here: this alert is held back uncounted", self.name)
            return
        each = new_id(_after((yield from now()), newest))
        try:
            yield from self._put(f"{gate.scope}.held.{each}.{count}", gate.note)
        except StoreFailed as error:  # that it is held back does not hang on it
            log.warning("%s did not count an alert that is held back: %s", self.name, error)

    def _sweep(self, permit: Permit) -> Flow[None]:
        """Clear away what the message has told of, and what nobody will ask for any more."""
        moment, began = (yield from now()), time.monotonic()
        gates = {gate.scope: gate for gate in permit.gates}
        names = yield from aside(lambda: self.board.names(f"{ROOT}."))
        doomed = sorted(name for name in names if _outlived(name, gates, permit, moment))
        for count, name in enumerate(doomed):
            if count >= SWEEP or time.monotonic() - began > SWEEPING:
                return
            yield from self._drop(name)
        if permit.ends:  # nothing is left that it would have to be told apart from
            for gate in permit.gates:
                yield from self._drop(f"{gate.scope}.gate.ended.{permit.id}")

    def _withdraw(self, permit: Permit) -> Flow[None]:
        for name, each in permit.claims.items():
            yield from self._drop(_claim(name, each))

    def _look(self, gate: Gate) -> Flow[_Seen]:
        prefix = f"{gate.scope}.gate."
        names = yield from aside(lambda: self.board.names(prefix))
        found: dict[str, set[str]] = {"claim": set(), "sent": set(), "ended": set()}
        for name in names:
            kind, _, each = name.removeprefix(prefix).partition(".")
            found.setdefault(kind, set()).add(each)
        moment = yield from now()
        return _Seen(sorted(found["claim"]), sorted(found["sent"]), sorted(found["ended"]), moment)

    def _insist(self, name: str, note: str) -> Flow[None]:
        for pause in _AGAIN:
            try:
                yield from self._put(name, note)
            except StoreFailed:
                yield from waited(pause)
            else:
                return
        yield from self._put(name, note)

    def _put(self, name: str, note: str) -> Flow[None]:
        yield from aside(lambda: self.board.put(name, note))

    def _drop(self, name: str) -> Flow[None]:
        yield from aside(lambda: self.board.drop(name))


def _claim(scope: str, each: str) -> str:
    return f"{scope}.gate.claim.{each}"


def _after(moment: float, *seen: float) -> float:
    """A time after what was seen, unless that is of a clock that is wrong."""
    latest = max(seen, default=0.0)
    return max(moment, latest + 1e-6) if latest < moment + store.LEASE / 2 else moment


def _outlived(name: str, gates: dict[str, Gate], permit: Permit, moment: float) -> bool:
    """Tell whether a name may go, now that this message went out."""
    head, _, rest = name.removeprefix(f"{ROOT}.").partition(".")
    kind, _, each = rest.removeprefix("gate.").partition(".")
    made, gate = time_of(each), gates.get(f"{ROOT}.{head}")
    if gate is None or moment - made > KEEP:
        return moment - made > KEEP
    if kind == "held":
        return made < time_of(permit.id)
    if kind == "claim":
        return moment - made > store.LEASE
    if each.startswith(permit.id):
        return False
    return made < time_of(permit.id) if permit.ends or kind == "ended" else moment - made > gate.span
