"""How far a task has come with a long list, so that a later try goes on from there.

Notes lie in the task state store: counts and the place of the next page, never a row. Before Airflow 3.3
there is no store, and a later try begins anew.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Progress", "Step"]

FRESH = 24 * 3600.0  # seconds for which it is worth going on: statuses and prices change


class Step(msgspec.Struct, omit_defaults=True):
    """``pages`` are written, with ``rows``; ``next`` is the query of the page that follows.

    ``at`` is when the list was begun, in seconds since 1970.
    """

    at: float
    pages: int = 0
    rows: int = 0
    statuses: dict[str, int] = {}
    next: list[tuple[str, str]] | None = None
    done: bool = False


class Progress:
    """The steps of a task, by name."""

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    def step(self, name: str) -> Step:
        """Where to go on; from the beginning, where nothing is noted or it is too old."""
        read = self._store.get(f"twilio.read.{name}") if self._store is not None else None
        if read:
            step = msgspec.convert(read, Step)
            if time.time() - step.at < FRESH:
                return step
        return Step(time.time())

    def note(self, name: str, step: Step) -> None:
        self._write(name, msgspec.to_builtins(step))

    def forget(self, name: str) -> None:
        """Once the whole task is done, so that a clear reads anew."""
        self._write(name, {})

    def _write(self, name: str, value: dict[str, Any]) -> None:
        if self._store is not None:
            self._store.set(f"twilio.read.{name}", value)
