"""The state of a task's work in Airflow: the ledger of a send, its key, and how far a long list was read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import airflow.sdk
import msgspec
from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms._core.sending.ledger import Ledger, send_id
from airflow_provider_twilio_comms._tasks.shared_keys import installation_id, shared_notes

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.sending.shared_keys import SharedKey


def ledger_of(context: Context, send_key: str | None, *, anew: bool, noun: str = "request") -> Ledger:
    """The ledger of this task instance; ``anew`` says that a clear of it is meant to send again.

    A default key names the installation, DAG, run, task and mapped value, so that no other send has it; the
    author's own names the send over the whole account. Airflow before 3.3 has no store, and with
    ``[state_store] clear_on_success`` it empties that of a green task: what a later try knows then is what
    Twilio's list shows.
    """
    ti: Any = context["ti"]
    value, listed = _mapped_value(context)
    clears = int(getattr(context.get("dag_run"), "clear_number", 0) or 0)
    own = send_key or f"{ti.dag_id}|{ti.run_id}|{ti.task_id}"

    def key() -> str:
        named = own if send_key else f"{installation_id()}|{own}"
        return named if value is None else f"{named}|{value}"

    old = send_key or f"{own}|{ti.map_index}"  # as the version before had it
    return Ledger(
        context.get("task_state_store"),
        key,
        owner=_owner(ti),
        slot=send_id(f"{send_key or ''}|{value if value is not None else ''}"),
        listed=listed,
        retried=ti.try_number > 1,
        max_tries=int(getattr(ti, "max_tries", 0) or 0),
        anew=anew,
        old_names=[
            *(send_id(f"{old} clear {number}") for number in range(clears if anew else 0, 0, -1)),
            send_id(old),
        ],
        forever=getattr(airflow.sdk, "NEVER_EXPIRE", None),
        forgets=conf.getboolean("state_store", "clear_on_success", fallback=False),
        noun=noun,
    )


def shared_key_of(ledger: Ledger, send_key: str | None, patience: float) -> SharedKey | None:
    """The author's own key, which is an idempotency key over the account; None for a default one."""
    from airflow_provider_twilio_comms._core.sending.shared_keys import SharedKey

    return SharedKey(shared_notes(), ledger.name, ledger.owner, patience) if send_key else None


def moved_here(context: Context, ledger: Ledger) -> bool:
    """Tell if another map index may have sent this, since the list of values has shifted after a clear."""
    if context["ti"].map_index is None or context["ti"].map_index < 0 or ledger.begun:
        return False
    return ledger.others or bool(getattr(context.get("dag_run"), "clear_number", 0))


def earliest_start(context: Context) -> float | None:
    """Find when the first try may have begun, in seconds since 1970; a clear moves the run's start.

    It does not move the plan."""
    run = context.get("dag_run")
    times = [getattr(run, name, None) for name in ("start_date", "run_after", "queued_at")]
    known = [each.timestamp() for each in times if each is not None]
    return max(min(known), time.time() - 7 * 86_400.0) if known else None


def _owner(ti: Any) -> str:
    place = f"[{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"task {ti.dag_id}.{ti.task_id}{place} of run {ti.run_id}"


def _mapped_value(context: Context) -> tuple[str | None, bool]:
    """Hash the mapped value, which tells the instances of a mapped task apart; None without a map.

    Never the map index where the value is known: a list that grows at its front moves all indexes. The second
    says whether the value is a list itself, which may have been edited where it stands.
    """
    ti: Any = context["ti"]
    if ti.map_index is None or ti.map_index < 0:
        return None, False
    try:
        values = list(_expanded(context))
    except Exception:  # Airflow's own classes, which may be others in a later version
        values = []
    if not values:
        return f"index {ti.map_index}", False
    return send_id(msgspec.json.encode(values, enc_hook=str, order="sorted").decode()), _holds_list(values)


def _holds_list(values: Iterable[Any]) -> bool:
    """Tell if a mapped value holds a list, and not only a name such as a path."""
    for value in values:
        inner = value.values() if isinstance(value, Mapping) else value
        if any(isinstance(each, Iterable) and not isinstance(each, (str, bytes)) for each in inner):
            return True
    return False


def _expanded(context: Context) -> Iterable[Any]:
    """The mapped value of the task, and of each mapped task group around it."""
    task: Any = context["dag"].get_task(context["ti"].task_id)
    inputs = [group._expand_input for group in task.iter_mapped_task_groups()]
    if getattr(task, "_expand_input_attr", None):
        inputs.append(getattr(task, task._expand_input_attr))
    for each in inputs:
        found, _ = each.resolve(context)
        yield found if isinstance(found, Mapping) else [found]


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
        """Find the position to go on from; the beginning, if nothing is noted or it is too old."""
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
