"""Deduplicate alerts across workers in a table of a SQL database, by one atomic insert.

A message of a scope (a key, or a connection) has the number after the last one's, and scope and number are
the primary key: of all who want to send, the database lets one insert the row. A row is ``claimed`` by
whoever is about to send, then ``sent``, or ``free`` again where nothing was; ``ended`` is a message that
told a recovery. ``held`` counts the alerts held back since, ``told`` how many of them a later message has
told of. The SQL is what PostgreSQL, MySQL, MariaDB and SQLite have in common. The rows are hashes, numbers
and times, and nothing of people.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from airflow_provider_twilio_comms._core.alerts import store
from airflow_provider_twilio_comms._core.alerts.store import KEEP, Gate, Permit, StoreFailed, new_id
from airflow_provider_twilio_comms.api.flows import Flow, aside, now

log: logging.Logger = logging.getLogger(__name__)

CREATE = """CREATE TABLE IF NOT EXISTS twilio_alerts (
    scope VARCHAR(64) NOT NULL,
    number BIGINT NOT NULL,
    holder VARCHAR(64) NOT NULL,
    state VARCHAR(8) NOT NULL,
    since BIGINT NOT NULL,
    held BIGINT NOT NULL,
    told BIGINT NOT NULL,
    PRIMARY KEY (scope, number)
)"""
INSERT = (
    "INSERT INTO twilio_alerts (scope, number, holder, state, since, held, told) VALUES (?, ?, ?, ?, ?, ?, 0)"
)
OWN = "scope = ? AND number = ? AND holder = ?"
TRIES = 100  # at a gate that many go through at once; each failure is somebody else's success


class Duplicate(StoreFailed):
    """There is a row of this key already."""


class Session(Protocol):
    """One connection, for statements that are committed one by one. ``?`` stands for a parameter."""

    def select(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]: ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Returns how many rows it changed. Raises :class:`Duplicate` for a primary key that is there."""


class Database(Protocol):
    """A database that every process reaches. Blocks, and raises :class:`StoreFailed`."""

    @property
    def identity(self) -> Hashable: ...

    @property
    def name(self) -> str: ...

    def session(self) -> AbstractContextManager[Session]: ...


class _Row(NamedTuple):
    number: int
    holder: str
    state: str
    since: int  # milliseconds since 1970
    held: int
    told: int


@dataclass(frozen=True)
class _Rows:
    """The rows of a scope at one look, by number."""

    rows: list[_Row]
    moment: float

    @property
    def last(self) -> int:
        return max((row.number for row in self.rows), default=0)

    def _news(self) -> list[_Row]:
        """The rows after the last recovery that was told."""
        ended = max((row.number for row in self.rows if row.state == "ended"), default=0)
        return [row for row in self.rows if row.number > ended]

    @property
    def alarmed(self) -> bool:
        return any(row.state == "sent" for row in self._news())

    def claimed(self) -> list[_Row]:
        return [row for row in self.rows if row.state == "claimed" and self._within(row, store.LEASE)]

    def shut(self, gate: Gate) -> bool:
        """Tell whether nobody else gets through: all was sent that may be, or others are about to send it."""
        sent = [row for row in self._news() if row.state == "sent" and self._within(row, gate.span)]
        return gate.span > 0 and len(sent) + len(self.claimed()) >= gate.limit

    def untold(self) -> Mapping[int, int]:
        """Count those held back, by row, but not those that a message under way tells of."""
        since = max((row.number for row in self.claimed()), default=0)
        return {row.number: row.held for row in self.rows if row.held > row.told and row.number >= since}

    def count_untold(self) -> int:
        untold = self.untold()
        return sum(row.held - row.told for row in self.rows if row.number in untold)

    def _within(self, row: _Row, seconds: float) -> bool:
        return row.since > (self.moment - seconds) * 1000


@dataclass(frozen=True)
class TableStore:
    """Gates whose state is a table. See :class:`~.store.AlertStore` for its verbs."""

    database: Database

    @property
    def identity(self) -> Hashable:
        return self.database.identity

    @property
    def name(self) -> str:
        return self.database.name

    def enter(self, gates: Sequence[Gate], holding: Callable[[Gate], int]) -> Flow[Permit | None]:
        moment = yield from now()
        permit = Permit(new_id(moment), gates=gates)
        return (yield from aside(lambda: self._enter(permit, moment, holding)))

    def enter_recovery(self, gate: Gate) -> Flow[Permit | None]:
        moment = yield from now()
        permit = Permit(new_id(moment), gates=[gate], ends=True)
        return (yield from aside(lambda: self._enter_recovery(permit, gate, moment)))

    def hold(self, gate: Gate, count: int) -> Flow[None]:
        def do() -> None:
            try:
                with self.database.session() as session:
                    last = self._look(session, {gate.scope}, moment)[gate.scope].last
                    self._hold(session, gate, count, last, moment)
            except StoreFailed as error:
                self._uncounted(error)

        moment = yield from now()
        if gate.counted:
            yield from aside(do)

    def renew(self, permit: Permit) -> Flow[bool]:
        if not permit.claims or permit.age < store.LEASE / 2:
            return True
        since, moment = time.monotonic(), (yield from now())

        def do() -> bool:
            with self.database.session() as session:
                changed = [
                    session.execute(
                        f"UPDATE twilio_alerts SET since = ? WHERE {OWN}",
                        (_milliseconds(moment), *own, permit.id),
                    )
                    for own in _claims(permit)
                ]
            return all(changed)

        if not (yield from aside(do)) or permit.age >= store.LEASE:
            return False
        permit.since = since
        return True

    def settle(self, permit: Permit) -> Flow[None]:
        moment = yield from now()
        if permit.claims:
            yield from aside(lambda: self._settle(permit, moment))

    def release(self, permit: Permit) -> Flow[None]:
        def do() -> None:
            with self.database.session() as session:
                self._free(session, permit)

        if permit.claims:
            yield from aside(do)

    def _enter(self, permit: Permit, moment: float, holding: Callable[[Gate], int]) -> Permit | None:
        with self.database.session() as session:
            found = self._look(session, {gate.scope for gate in permit.gates}, moment)
            shut = next((gate for gate in permit.gates if found[gate.scope].shut(gate)), None)
            if shut is None:
                shut = next(
                    (gate for gate in permit.gates if not self._claim(session, gate, permit, found, moment)),
                    None,
                )
            if shut is None:
                return permit
            try:
                self._free(session, permit)
                self._hold(session, shut, holding(shut), found[shut.scope].last, moment)
            except StoreFailed as error:  # that it is held back does not hang on it
                self._uncounted(error)
            return None

    def _enter_recovery(self, permit: Permit, gate: Gate, moment: float) -> Permit | None:
        with self.database.session() as session:
            found = self._look(session, {gate.scope}, moment)
            rows = found[gate.scope]
            if not rows.alarmed or rows.claimed():
                return None
            try:
                self._insert(session, gate, permit, rows)
            except Duplicate:
                return None
            return permit

    def _claim(
        self, session: Session, gate: Gate, permit: Permit, found: dict[str, _Rows], moment: float
    ) -> bool:
        """Insert the row of the next message; False where the gate was shut by others before."""
        for _ in range(TRIES):
            rows = found[gate.scope]
            own = next((row.number for row in rows.rows if row.holder == permit.id), None)
            if own is not None:  # the reply to our insert was lost
                permit.claims[gate.scope] = str(own)
                return True
            if rows.shut(gate):
                return False
            try:
                self._insert(session, gate, permit, rows)
            except Duplicate:
                found |= self._look(session, {gate.scope}, moment)
            else:
                return True
        return gate.span == 0

    def _insert(self, session: Session, gate: Gate, permit: Permit, rows: _Rows) -> None:
        number = rows.last + 1
        session.execute(INSERT, (gate.scope, number, permit.id, "claimed", _milliseconds(rows.moment), 0))
        permit.claims[gate.scope] = str(number)
        if gate.counted:
            permit.held += rows.count_untold()
            permit.told |= {(gate.scope, row): held for row, held in rows.untold().items()}

    def _hold(self, session: Session, gate: Gate, count: int, last: int, moment: float) -> None:
        """Count alerts held back, at the newest row of the scope."""
        if not gate.counted:
            return
        number = last or 1  # the first one, in quiet hours before any message
        add = "UPDATE twilio_alerts SET held = held + ? WHERE scope = ? AND number = ?"
        if last and session.execute(add, (count, gate.scope, number)):
            return
        try:
            session.execute(INSERT, (gate.scope, number, "", "free", _milliseconds(moment), count))
        except Duplicate:
            session.execute(add, (count, gate.scope, number))

    def _settle(self, permit: Permit, moment: float) -> None:
        state, gates = "ended" if permit.ends else "sent", {gate.scope: gate for gate in permit.gates}
        with self.database.session() as session:
            for own in _claims(permit):
                session.execute(f"UPDATE twilio_alerts SET state = '{state}' WHERE {OWN}", (*own, permit.id))
            for (name, number), held in permit.told.items():
                session.execute(
                    "UPDATE twilio_alerts SET told = ? WHERE scope = ? AND number = ?", (held, name, number)
                )
            for name, number in _claims(permit):
                lapsed = 0.0 if permit.ends else max(gates[name].span, store.LEASE)
                session.execute(
                    "DELETE FROM twilio_alerts WHERE scope = ? AND number < ? AND since < ? AND held <= told",
                    (name, number, _milliseconds(moment - lapsed)),
                )
            session.execute("DELETE FROM twilio_alerts WHERE since < ?", (_milliseconds(moment - KEEP),))

    def _free(self, session: Session, permit: Permit) -> None:
        for own in _claims(permit):
            session.execute(f"UPDATE twilio_alerts SET state = 'free' WHERE {OWN}", (*own, permit.id))

    def _look(self, session: Session, scopes: Collection[str], moment: float) -> dict[str, _Rows]:
        marks = ", ".join("?" * len(scopes))
        found: dict[str, list[_Row]] = {name: [] for name in scopes}
        columns = ", ".join(("scope", *_Row._fields))
        for name, *values in session.select(
            f"SELECT {columns} FROM twilio_alerts WHERE scope IN ({marks})", sorted(scopes)
        ):
            found[name].append(_Row(*values))
        return {name: _Rows(rows, moment) for name, rows in found.items()}

    def _uncounted(self, error: StoreFailed) -> None:
        log.warning("%s did not count an alert that is held back: %s", self.name, error)


def _claims(permit: Permit) -> list[tuple[str, int]]:
    return [(name, int(number)) for name, number in permit.claims.items()]


def _milliseconds(moment: float) -> int:
    return round(moment * 1000)
