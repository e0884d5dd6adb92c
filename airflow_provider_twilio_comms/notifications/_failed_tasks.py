"""Look up which tasks of a run have failed, and the error that the first one has left.

A DAG's callback is told neither. Its process asks by the execution API (the DAG processor), or the database
(``dag.test()``). Airflow keeps no error of a task: ours leave theirs in XCom.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_provider_twilio_comms._core.xcom_keys import OUTCOME
from airflow_provider_twilio_comms._tasks.operator import TwilioTask

log: logging.Logger = logging.getLogger(__name__)


ASKED = 10  # tasks whose error is asked for


class FailedTask(NamedTuple):
    """A task instance that has failed."""

    task_id: str
    map_index: int = -1

    def __str__(self) -> str:
        return f"{self.task_id}[{self.map_index}]" if self.map_index >= 0 else self.task_id


def failed_tasks(dag: Any, dag_id: str, run_id: str) -> tuple[list[FailedTask], str]:
    """List a run's failed tasks as the DAG has them, and find the first error; empty where nobody knows."""
    try:
        tasks = dict(getattr(dag, "task_dict", {}))
        places = {name: place for place, name in enumerate(tasks)}
        found = list(_found(_asks_api(), dag_id, run_id, tasks))
        found.sort(key=lambda task: (places.get(task.task_id, len(places)), task.map_index))
        errors = (_error(dag_id, run_id, each, tasks.get(each.task_id)) for each in found[:ASKED])
        return found, next((error for error in errors if error), "")
    except Exception as error:  # an alert without names is better than none
        log.warning("The failed tasks of %s cannot be looked up: %s", dag_id, type(error).__name__)
        return [], ""


def _asks_api() -> bool:
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None) is not None


def _found(by_api: bool, dag_id: str, run_id: str, tasks: Mapping[str, Any]) -> Iterable[FailedTask]:
    if by_api:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = RuntimeTaskInstance.get_task_states(dag_id, run_ids=[run_id]).get(run_id, {})
        return (_named(name, tasks) for name, state in states.items() if state == "failed")
    return _in_database(dag_id, run_id)


def _named(name: str, tasks: Mapping[str, Any]) -> FailedTask:
    """Read the API's name of a task instance: the task's, with the map index behind it where it is mapped."""
    task_id, _, index = name.rpartition("_")
    if name not in tasks and task_id in tasks and index.isdecimal():
        return FailedTask(task_id, int(index))
    return FailedTask(name)


def _in_database(dag_id: str, run_id: str) -> Iterator[FailedTask]:
    from airflow.models.taskinstance import TaskInstance as Row
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Row.task_id, Row.map_index).where(
        Row.dag_id == dag_id, Row.run_id == run_id, Row.state == "failed"
    )
    with create_session(scoped=False) as session:
        yield from (FailedTask(*row) for row in session.execute(query).all())


def _error(dag_id: str, run_id: str, failed: FailedTask, task: Any) -> str:
    """Read the error that a task of ours has left; Airflow logs an error where others are asked for one."""
    if not (isinstance(task, TwilioTask) or str(getattr(task, "task_type", "")).startswith("Twilio")):
        return ""
    if not _asks_api():
        return _error_in_database(dag_id, run_id, failed)
    from airflow.sdk.execution_time.xcom import XCom

    outcome = XCom.get_one(
        key=OUTCOME, dag_id=dag_id, run_id=run_id, task_id=failed.task_id, map_index=failed.map_index
    )
    return str(outcome.get("error") or "") if isinstance(outcome, Mapping) else ""


def _error_in_database(dag_id: str, run_id: str, failed: FailedTask) -> str:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    query = XComModel.get_many(
        run_id=run_id,
        key=OUTCOME,
        dag_ids=dag_id,
        task_ids=failed.task_id,
        map_indexes=failed.map_index,
        limit=1,
    )
    with create_session(scoped=False) as session:
        row = session.scalars(query).first()
        outcome = XComModel.deserialize_value(row) if row is not None else None
    return str(outcome.get("error") or "") if isinstance(outcome, Mapping) else ""
