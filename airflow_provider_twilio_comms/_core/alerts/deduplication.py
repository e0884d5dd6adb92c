"""Deduplicate alerts: one asks for all that a process has at the same gates at the same time.

A triggerer runs the callbacks of all deadlines, and a task may tell of many things. Of the alerts that say
the same, the first goes to the store. The others wait for its answer, which is that they are held back, and
are counted in one request.
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

__all__ = ["enter"]


@dataclass
class _Group:
    """Alerts at the same gates. ``count`` is how many, the one that asks included."""

    count: int = 1
    done: bool = False
    error: StoreFailed | None = None


_lock = threading.Lock()
_open: dict[Hashable, _Group] = {}


def enter(store: AlertStore, gates: Sequence[Gate]) -> Flow[Permit | None]:
    """Get the right to send, or None: then the alert is held back, and counted.

    Raises :class:`StoreFailed` where the store does not answer; that others are at the gates is an answer.
    """
    if not any(gate.span > 0 and gate.limit == 1 for gate in gates):
        return (yield from store.enter(gates, count_one))  # several at once may all be sent
    key = (os.getpid(), store.identity, tuple(gates))
    with _lock:
        group = _open.get(key)
        if group is not None:
            group.count += 1
        else:
            leading = _open[key] = _Group()
    if group is not None:
        yield from _follow(group)
        return None
    return (yield from _lead(store, gates, key, leading))


def _lead(store: AlertStore, gates: Sequence[Gate], key: Hashable, group: _Group) -> Flow[Permit | None]:
    def close() -> int:
        """How many there are; whoever comes later asks anew."""
        with _lock:
            if _open.get(key) is group:
                del _open[key]
        return group.count

    group.error = StoreFailed("the alert that asked for all of them was cut off")
    try:
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
    return permit


def _follow(group: _Group) -> Flow[None]:
    pause = 0.02
    while not group.done:
        yield from waited(pause)
        pause = min(2 * pause, 0.5)
    if group.error is not None:
        raise StoreFailed(str(group.error)) from group.error
