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
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger
from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

__all__ = ["Parked", "list_parked", "resume"]

AT_ONCE = 500  # triggers whose arguments are read in one query
TOGETHER = 20  # tasks that are resumed in one transaction
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
    server may have come first. ``TOGETHER`` of them share a transaction; where that fails, as in a deadlock,
    each has its own.
    """
    numbers, resumed = sorted(events), 0
    for start in range(0, len(numbers), TOGETHER):
        some = {number: events[number] for number in numbers[start : start + TOGETHER]}
        try:
            resumed += _resume(some)
        except DBAPIError:
            resumed += sum(_resume({number: event}) for number, event in some.items())
    return resumed


def _resume(events: Mapping[int, Mapping[str, Any]]) -> int:
    task = TaskInstance
    with create_session(scoped=False) as session:
        waiting = select(task.id, task.trigger_id).where(task.trigger_id.in_(events))
        found = {row.id: events[row.trigger_id] for row in session.execute(waiting)}
        session.rollback()  # a claim is the first statement of its transaction, else SQLite refuses it
        _claim(session, found, events)
        claimed = select(task).where(
            task.id.in_(found), task.trigger_id.is_(None), task.state == TaskInstanceState.DEFERRED
        )
        tasks = session.scalars(claimed).unique().all()
        for each in tasks:
            handle_event_submit(TriggerEvent(dict(found[each.id])), task_instance=each, session=session)
        return len(tasks)


def _claim(session: Session, tasks: Collection[Any], triggers: Collection[int]) -> None:
    """Take tasks from their triggers, if they still wait with them. SQLite knows no ``FOR UPDATE``.

    Until the transaction ends, nobody else has a task that is deferred and has no trigger.
    """
    claim = (
        update(TaskInstance)
        .where(
            TaskInstance.id.in_(tasks),
            TaskInstance.trigger_id.in_(triggers),
            TaskInstance.state == TaskInstanceState.DEFERRED,
        )
        .values(trigger_id=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(claim)
