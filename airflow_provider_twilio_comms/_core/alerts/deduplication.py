"""Deduplicate alerts: one asks for all that a process has at the same gates at the same time.

A triggerer runs the callbacks of all deadlines, and a task may tell of many things. Of the alerts that say
the same, the first goes to the store. Those that come while it asks gather, and when it is done the first of
them asks for all. Whoever does not ask is held back, and they are counted in one request.

Alerts that say different things may have their last gate in common, such as that of all messages of an hour.
They stand in a line: one asks, then as many at a time as were let through, and one more. As soon as that gate
is found shut, it is shut for all who stand there; they are held back, and counted in the same request.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from airflow_provider_twilio_comms._core.alerts.store import AlertStore, Gate, Permit, StoreFailed
from airflow_provider_twilio_comms.api.flows import Flow, waited


@dataclass(eq=False)
class _Group:
    """Alerts at the same gates. ``count`` is how many, the one that asks included.

    It is ``open`` to others until the one that asks has been told that they are held back. It is ``refused``
    where another group of its line was told so.
    """

    before: _Group | None = None
    count: int = 1
    open: bool = True
    done: bool = False
    refused: bool = False
    error: StoreFailed | None = None


@dataclass(eq=False)
class _Line:
    """Groups with the same last gate: those that wait, and how many ask and were let through."""

    waiting: list[_Group] = field(default_factory=list)
    asking: int = 0
    passed: int = 0

    @property
    def has_room(self) -> bool:
        return self.asking <= self.passed

    def refuse(self, error: StoreFailed | None = None) -> int:
        """Refuse all that wait, with an error where there is one; returns how many alerts they are."""
        for group in self.waiting:
            group.open, group.refused, group.error = False, True, error
        count = sum(group.count for group in self.waiting)
        self.waiting.clear()
        return count


_lock = threading.Lock()
_newest: dict[Hashable, _Group] = {}  # by process, store and gates; of those that are not done
_lines: dict[Hashable, _Line] = {}  # by process, store and scope; of those where somebody stands


def enter(store: AlertStore, gates: Sequence[Gate]) -> Flow[Permit | None]:
    """Get the right to send, or None: then the alert is held back, and counted.

    Raises :class:`StoreFailed` where the store does not answer; that others are at the gates is an answer.
    """
    key: Hashable = None
    group, joins = _Group(), False
    if any(gate.span > 0 and gate.limit == 1 for gate in gates):  # else several at once may all be sent
        key = (os.getpid(), store.identity, tuple(gates))
        group, joins = _join(key)
    if not joins:
        return (yield from _ask(store, gates, key, group))
    yield from _wait_for(group)
    if group.error is not None:
        raise StoreFailed(str(group.error)) from group.error
    return None


def _join(key: Hashable) -> tuple[_Group, bool]:
    """Join the open group of a key, or found one after it; tells which."""
    with _lock:
        newest = _newest.get(key)
        if newest is not None and newest.open:
            newest.count += 1
            return newest, True
        group = _newest[key] = _Group(newest)
        return group, False


def _ask(store: AlertStore, gates: Sequence[Gate], key: Hashable, group: _Group) -> Flow[Permit | None]:
    def close() -> int:
        with _lock:
            group.open = False
        return group.count

    group.error = StoreFailed("the alert that asked for all of them was cut off")
    try:
        if group.before is not None:
            yield from _wait_for(group.before)
            group.before = None
        permit = yield from _ask_in_line(store, gates, group, close)
        others = close() - 1
        if permit is not None and others:
            yield from store.hold(gates[0], others)
        group.error = None
    except StoreFailed as error:
        group.error = error
        raise
    finally:
        close()
        group.done = True
        with _lock:
            if _newest.get(key) is group:
                del _newest[key]
    return permit


def _ask_in_line(
    store: AlertStore, gates: Sequence[Gate], group: _Group, close: Callable[[], int]
) -> Flow[Permit | None]:
    """Ask the store, in turn with the others at the last gate, unless that refuses nobody."""
    last = gates[-1]
    if last.span == 0:
        return (yield from store.enter(gates, lambda shut: close()))
    key = (os.getpid(), store.identity, last.scope)
    with _lock:
        line = _lines.setdefault(key, _Line())
        line.waiting.append(group)

    def hold(shut: Gate) -> int:
        count = close()
        with _lock:
            return count + (line.refuse() if shut.scope == last.scope else 0)

    asks = False
    try:
        asks = yield from _wait_in(line, group)
        if not asks and group.error is not None:
            raise StoreFailed(str(group.error)) from group.error
        permit = (yield from store.enter(gates, hold)) if asks else None
        with _lock:
            line.passed += permit is not None
    except StoreFailed as error:
        with _lock:
            line.refuse(error)
        raise
    finally:
        with _lock:
            line.asking -= asks
            if group in line.waiting:  # cut off
                line.waiting.remove(group)
            if not line.asking and not line.waiting and _lines.get(key) is line:
                del _lines[key]
    return permit


def _wait_in(line: _Line, group: _Group) -> Flow[bool]:
    """Wait for the group's turn; False where it is refused before."""
    pause = 0.02
    while not group.refused:
        with _lock:
            if not group.refused and line.has_room:
                line.waiting.remove(group)
                line.asking += 1
                return True
        yield from waited(pause)
        pause = min(2 * pause, 0.3)
    return False


def _wait_for(group: _Group) -> Flow[None]:
    pause = 0.02
    while not group.done:
        yield from waited(pause)
        pause = min(2 * pause, 0.3)
