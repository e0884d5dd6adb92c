"""Tasks that wait in the triggerer, as Airflow's tables hold them: find them, and resume them once.

For the API server only. Airflow keeps the arguments of a deferral's trigger; ours are ids and numbers, and
say what the task waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger, handle_event_submit
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger
from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

__all__ = ["Parked", "list_parked", "resume"]

AT_ONCE = 500  # triggers whose arguments are read in one query
_KINDS = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (TwilioMessagesTrigger, TwilioOperationsTrigger)
}


class Parked(NamedTuple):
    """The triggers that tasks wait with: all ids, and those that were not ``known`` before, by id."""

    ids: set[int]
    new: dict[int, WaitingTrigger[Any]]


def list_parked(known: Collection[int]) -> Parked:
    """List the deferred tasks that wait for operations or messages; arguments are read of new ones only."""
    with create_session(scoped=False) as session:
        waiting = (
            select(Trigger.id)
            .join(TaskInstance, TaskInstance.trigger_id == Trigger.id)
            .where(Trigger.classpath.in_(_KINDS), TaskInstance.state == TaskInstanceState.DEFERRED)
        )
        ids = set(session.scalars(waiting))
        fresh = sorted(ids.difference(known))
        new: dict[int, WaitingTrigger[Any]] = {}
        for start in range(0, len(fresh), AT_ONCE):
            some = Trigger.id.in_(fresh[start : start + AT_ONCE])
            new.update(
                (row.id, _KINDS[row.classpath](**row.kwargs))
                for row in session.scalars(select(Trigger).where(some))
            )
        return Parked(ids, new)


def resume(events: Mapping[int, Mapping[str, Any]]) -> int:
    """Resume the tasks of these triggers with these events; returns how many did wait, and are resumed.

    Only one that still waits with this trigger is: the trigger's own event, a clear, a mark or another API
    server may have come first.
    """
    return sum(_resume(trigger_id, dict(payload)) for trigger_id, payload in events.items())


def _resume(trigger_id: int, payload: dict[str, Any]) -> bool:
    with create_session(scoped=False) as session:
        task_id = session.scalar(select(TaskInstance.id).where(TaskInstance.trigger_id == trigger_id))
        session.rollback()  # a claim is the first statement of its transaction, else SQLite refuses it
        if task_id is None or not _claim(session, task_id, trigger_id):
            return False
        task_instance = session.get_one(TaskInstance, task_id)
        handle_event_submit(TriggerEvent(payload), task_instance=task_instance, session=session)
        return True


def _claim(session: Session, task_id: Any, trigger_id: int) -> bool:
    """Take a task from its trigger, if it still waits with it. SQLite knows no ``FOR UPDATE``."""
    claim = (
        update(TaskInstance)
        .where(
            TaskInstance.id == task_id,
            TaskInstance.trigger_id == trigger_id,
            TaskInstance.state == TaskInstanceState.DEFERRED,
        )
        .values(trigger_id=None)
        .execution_options(synchronize_session=False)
    )
    return bool(getattr(session.execute(claim), "rowcount", 0))
