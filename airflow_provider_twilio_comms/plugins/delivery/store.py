"""Queries of the delivery view, on Airflow's tables and nothing else. For the API server only.

Every query is limited: to the DAGs that the viewer may read, in time, and in rows. The first one uses an
index (the name of an XCom) or a small table (the task state store, which Airflow has from 3.3 on).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from airflow_provider_twilio_comms._core.xcom_keys import MARK, OUTCOME, SENT
from airflow_provider_twilio_comms.plugins.delivery.sends import (
    LEDGER,
    RETURNED,
    Found,
    Key,
    Note,
    Send,
    read,
)

__all__ = ["MOST", "one", "recent", "sending"]

MOST = 1000  # tasks that are looked at, the newest ones
NOTES = 20_000  # ledger rows that are looked at


def _state_store() -> Any:
    """Return the table of the task state store; None before Airflow 3.3."""
    try:
        from airflow.models.task_state_store import TaskStateStoreModel
    except ImportError:
        return None
    return TaskStateStoreModel


STORED = _state_store()


def sending(session: Session, dags: Collection[str], since: datetime) -> set[str]:
    """List those of these DAGs that have anything to show since then."""
    marked = select(XComModel.dag_id).where(
        XComModel.key.in_((MARK, SENT, OUTCOME)), XComModel.timestamp >= since, XComModel.dag_id.in_(dags)
    )
    found = set(session.scalars(marked.distinct()))
    return found | {key.dag_id for key in _begun(session, dags, since)}


def recent(session: Session, dags: Collection[str], since: datetime) -> tuple[list[Send], bool]:
    """Read the sends of DAGs since a time, newest first; the flag is set if there are more than ``MOST``."""
    marked = _marked(session, dags, since)
    begun = _begun(session, dags, since)
    keys = sorted({**begun, **marked}.items(), key=lambda each: (each[1], each[0]), reverse=True)
    chosen = {key for key, _ in keys[:MOST]}
    found = _found(session, chosen, notes_of={key for key in chosen if key not in marked})
    sends = [send for each in found if (send := read(each)) is not None]
    return sorted(sends, key=lambda send: (_or_never(send.began), send.key), reverse=True), len(keys) > MOST


def one(session: Session, key: Key, dags: Collection[str]) -> list[Send]:
    """Read one task instance's send, and the receipts of it that these DAGs have read since."""
    found = _found(session, {key}, notes_of={key})
    sends = [send for each in found if (send := read(each)) is not None]
    if not sends or not sends[0].ids:
        return sends
    about = XComModel
    outcomes = (
        select(about.dag_id, about.run_id, about.task_id, about.map_index)
        .where(about.key == OUTCOME, about.dag_id.in_(dags))
        .where(about.timestamp >= _or_never(sends[0].began))
        .order_by(about.timestamp.desc())
        .limit(MOST)
    )
    others = {_key(row) for row in session.execute(outcomes)} - {key}
    read_of = (read(each) for each in _found(session, others, notes_of=()))
    ids = set(sends[0].ids)
    return sends + [
        send for send in read_of if send and send.kind == "receipts" and not ids.isdisjoint(send.ids)
    ]


def _marked(session: Session, dags: Collection[str], since: datetime) -> dict[Key, datetime]:
    about = XComModel
    query = (
        select(about.timestamp, about.dag_id, about.run_id, about.task_id, about.map_index)
        .where(about.key.in_((MARK, SENT, OUTCOME)), about.timestamp >= since, about.dag_id.in_(dags))
        .order_by(about.timestamp.desc())
        .limit(3 * MOST + 1)
    )
    found: dict[Key, datetime] = {}
    for at, *key in session.execute(query):
        found.setdefault(_key(key), at)
    return found


def _begun(session: Session, dags: Collection[str], since: datetime) -> dict[Key, datetime]:
    """Find sends by their ledger: those that have just begun, or never ended, have nothing else."""
    if STORED is None:
        return {}
    about = STORED
    query = (
        select(about.updated_at, about.dag_id, about.run_id, about.task_id, about.map_index)
        .where(about.key == HEADS, about.updated_at >= since, about.dag_id.in_(dags))
        .order_by(about.id.desc())
        .limit(MOST + 1)
    )
    return {_key(key): at for at, *key in session.execute(query)}


def _found(session: Session, keys: Collection[Key], notes_of: Collection[Key]) -> list[Found]:
    xcoms, notes = _xcoms(session, keys), _notes(session, notes_of)
    task = TaskInstance
    query = select(
        task.dag_id, task.run_id, task.task_id, task.map_index, task.state, task.start_date, task.end_date
    )
    found = []
    for *key, state, began, ended in _of(session, query, task, keys):
        name = _key(key)
        if name in keys:
            found.append(Found(name, state, began, ended, xcoms[name], notes[name]))
    return found


def _xcoms(session: Session, keys: Collection[Key]) -> dict[Key, dict[str, Any]]:
    """Read XComs, but only of tasks with a key of ours: the values of others may be large."""
    mine, about = aliased(XComModel), XComModel
    same = and_(
        mine.dag_run_id == about.dag_run_id, mine.task_id == about.task_id, mine.map_index == about.map_index
    )
    query = select(about.dag_id, about.run_id, about.task_id, about.map_index, about.key, about.value).where(
        about.key.in_((MARK, SENT, OUTCOME, RETURNED)),
        select(mine.key).where(same, mine.key.in_((MARK, SENT, OUTCOME))).exists(),
    )
    found: dict[Key, dict[str, Any]] = defaultdict(dict)
    for *key, name, value in _of(session, query, about, keys):
        found[_key(key)][name] = _plain(value)
    return found


def _notes(session: Session, keys: Collection[Key]) -> dict[Key, list[Note]]:
    found: dict[Key, list[Note]] = defaultdict(list)
    if STORED is not None:
        about = STORED
        query = select(
            about.dag_id,
            about.run_id,
            about.task_id,
            about.map_index,
            about.key,
            about.value,
            about.updated_at,
        ).where(about.key.like(LEDGER))
        for *key, name, value, at in _of(session, query, about, keys, NOTES):
            found[_key(key)].append(Note(name, value, at))
    return found


def _of(
    session: Session, query: Any, about: Any, keys: Collection[Key], most: int | None = None
) -> Iterable[Any]:
    """Select the rows of tasks, some hundred runs at a time; it may return rows of other tasks too."""
    runs = sorted({(key.dag_id, key.run_id) for key in keys})
    for first in range(0, len(runs), 200):
        some = set(runs[first : first + 200])
        tasks = {key.task_id for key in keys if (key.dag_id, key.run_id) in some}
        narrowed = query.where(
            about.dag_id.in_({dag for dag, _ in some}),
            about.run_id.in_({run for _, run in some}),
            about.task_id.in_(tasks),
        )
        yield from session.execute(narrowed.limit(most) if most else narrowed)


def _key(row: Iterable[Any]) -> Key:
    return Key(*row)


def _plain(value: Any) -> Any:
    """Decode an XCom as the task pushed it; it is a text if a custom XCom backend stores it elsewhere."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _or_never(at: datetime | None) -> datetime:
    return at or datetime.fromtimestamp(0, timezone.utc)
