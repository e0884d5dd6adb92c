"""Deduplicate alerts: one asks for all that a process has at the same gates at the same time.

A triggerer runs the callbacks of all deadlines, and a task may tell of many things. Of the alerts that say
the same, the first goes to the store. Those that come while it asks gather, and when it is done the first of
them asks for all. Whoever does not ask is held back, and they are counted in one request.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from airflow_provider_twilio_comms._core.alerts.store import (
    AlertStore,
    Gate,
    Permit,
    StoreFailed,
    count_one,
)
from airflow_provider_twilio_comms.api.flows import Flow, waited


@dataclass
class _Group:
    """Alerts at the same gates. ``count`` is how many, the one that asks included.

    It is ``open`` to others until the one that asks has been told that they are held back.
    """

    before: _Group | None
    count: int = 1
    open: bool = True
    done: bool = False
    error: StoreFailed | None = None


_lock = threading.Lock()
_newest: dict[Hashable, _Group] = {}  # by process, store and gates; of those that are not done


def enter(store: AlertStore, gates: Sequence[Gate]) -> Flow[Permit | None]:
    """Get the right to send, or None: then the alert is held back, and counted.

    Raises :class:`StoreFailed` where the store does not answer; that others are at the gates is an answer.
    """
    if not any(gate.span > 0 and gate.limit == 1 for gate in gates):
        return (yield from store.enter(gates, count_one))  # several at once may all be sent
    key = (os.getpid(), store.identity, tuple(gates))
    with _lock:
        group = _newest.get(key)
        joins = group is not None and group.open
        if group is not None and joins:
            group.count += 1
        else:
            group = _newest[key] = _Group(group)
    if joins:
        yield from _wait_for(group)
        if group.error is not None:
            raise StoreFailed(str(group.error)) from group.error
        return None
    return (yield from _ask(store, gates, key, group))


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
        permit = yield from store.enter(gates, close)
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


def _wait_for(group: _Group) -> Flow[None]:
    pause = 0.02
    while not group.done:
        yield from waited(pause)
        pause = min(2 * pause, 0.3)
