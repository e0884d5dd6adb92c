"""Airflow's Variables, whose names count alerts: all of Airflow's processes can list and write them.

Tasks, the DAG processor and the triggerer reach Variables by the execution API (Airflow 3.3). The
process of a ``DeadlineAlert``'s ``SyncCallback`` may only read them; there, a write waits forever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from airflow.sdk import Variable

from airflow_provider_twilio_comms._core.alerts.store import StoreFailed
from airflow_provider_twilio_comms.exceptions import scrub

T = TypeVar("T")
_ABOUT = "Counts the alerts of TwilioNotifier; may be deleted at any time"


class VariableBoard:
    """A set of names, as Airflow Variables. Their values say to a person what they are about."""

    def __init__(self, *, writable: bool = True) -> None:
        self.writable = writable

    @property
    def identity(self) -> Hashable:
        return ("variables", self.writable)

    @property
    def name(self) -> str:
        return "Airflow's store of Variables"

    def names(self, prefix: str) -> Sequence[str]:
        if not hasattr(Variable, "keys"):
            raise StoreFailed("Airflow before 3.3 cannot list Variables")
        return _ask(lambda: list(Variable.keys(prefix)))

    def put(self, name: str, note: str) -> None:
        _ask(lambda: Variable.set(name, scrub(note)[:200] or "-", description=_ABOUT))

    def drop(self, name: str) -> None:
        _ask(lambda: Variable.delete(name))


def _ask(do: Callable[[], T]) -> T:
    try:
        return do()
    except Exception as error:  # whatever it is: Airflow wraps what the API server, or its absence, says
        raise StoreFailed(f"{type(error).__name__}: {scrub(str(error))}") from error
