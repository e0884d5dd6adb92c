"""The ledger of a task, in Airflow's task state store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import airflow.sdk
import msgspec

from airflow_provider_twilio_comms._core.sending.ledger import Ledger, send_id

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Progress", "Step", "ledger_of"]


def ledger_of(context: Context, send_key: str | None, *, anew: bool, noun: str = "chunk") -> Ledger:
    """The ledger of this task instance; ``anew`` says that a clear is meant to send again.

    Airflow before 3.3 has no store: there, what a retry knows is what Twilio's list shows.
    """
    ti: Any = context["ti"]
    key = send_key or f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}"
    clears = int(getattr(context.get("dag_run"), "clear_number", 0) or 0) if anew else 0
    return Ledger(
        context.get("task_state_store"),
        send_id(key, clears),
        retried=ti.try_number > 1,
        forever=getattr(airflow.sdk, "NEVER_EXPIRE", None),
        noun=noun,
    )


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
