"""Rows as Airflow and our operators leave them, written straight into Airflow's tables."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

LEDGER = "0123456789abcdef0123"


def operation(number: int) -> str:
    return f"comms_operation_{number:026d}"


def stats(recipients: int, failed: int = 0, unaddressable: int = 0, queued: int = 0) -> dict[str, int]:
    """Twilio's counters once a send is over, or nearly."""
    delivered = recipients - failed - unaddressable - queued
    counts = {"delivered": delivered, "failed": failed, "unaddressable": unaddressable, "queued": queued}
    return {"total": recipients, "recipients": recipients, **counts}


def entry(state: str, count: int, number: int | None = None) -> dict[str, Any]:
    """A chunk in the ledger."""
    identity = {} if number is None else {"operation_id": operation(number)}
    return {"state": state, "fingerprint": "f", "count": count, **identity}


def head(parts: int, at: datetime) -> dict[str, Any]:
    """The head of a ledger, as of a send that is not complete."""
    outline = {"content": "c", "people": "p", "plan": "p", "parts": parts, "recipients": parts}
    return {"a slot": {"name": LEDGER, "max_tries": 0, "outline": outline, "since": at.timestamp()}}


class Seeds:
    """Runs and task instances of DAGs; ``known`` writes the DAG itself too."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def known(self, dag_id: str) -> None:
        if self.session.get(DagBundleModel, "seeds") is None:
            self.session.add(DagBundleModel(name="seeds"))
            self.session.flush()
        self.session.add(DagModel(dag_id=dag_id, bundle_name="seeds", is_stale=False))
        self.session.flush()

    def forget(self, *dag_ids: str, runs: str = "%") -> None:
        """Runs like that, of these DAGs or of any; and the DAGs named."""
        mine = DagRun.dag_id.in_(dag_ids) if dag_ids else DagRun.run_id.like(runs)
        self.session.execute(delete(DagRun).where(mine))
        self.session.execute(delete(DagModel).where(DagModel.dag_id.in_(dag_ids)))

    def task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        at: datetime,
        state: str | None = "success",
        *,
        map_index: int = -1,
        lasted: timedelta = timedelta(minutes=5),
        xcoms: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        operator: str = "TwilioBulkMessageOperator",
    ) -> None:
        """A task instance. ``notes`` of the ledger, by place or ``head``, are written a second apart."""
        run = self._run(dag_id, run_id, at)
        ended = at + lasted if state in ("success", "failed", "skipped") else None
        same = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        about = {"start_date": at, "end_date": ended, "operator": operator, "pool": "default_pool"}
        row = {"id": uuid.uuid4(), **same, "state": state, "try_number": 1, "max_tries": 0, **about}
        self.session.execute(insert(TaskInstance).values(**row))
        for key, value in (xcoms or {}).items():
            self.session.execute(
                insert(XComModel).values(dag_run_id=run, **same, key=key, value=value, timestamp=at)
            )
        for place, (key, value) in enumerate((notes or {}).items()):
            written = {"value": json.dumps(value), "updated_at": at + timedelta(seconds=place)}
            name = "twilio.ledger" if key == "head" else f"twilio.{LEDGER}.{key}"
            self.session.execute(
                insert(TaskStateStoreModel).values(dag_run_id=run, **same, key=name, **written)
            )

    def _run(self, dag_id: str, run_id: str, at: datetime) -> int:
        same = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        if self.session.scalar(same) is None:
            about = {"run_type": "manual", "state": "success", "run_after": at, "start_date": at}
            self.session.execute(
                insert(DagRun).values(dag_id=dag_id, run_id=run_id, logical_date=None, queued_at=at, **about)
            )
        return int(self.session.scalar(same) or 0)

    def campaigns(self, dag_id: str, now: datetime, runs: int = 20, each: int = 50) -> None:
        """Runs over the last six days, each a send of ``each`` operations; some failed, one goes on.

        Every tenth failed with reasons; the newest is still waited for; of another a request is uncertain.
        """
        for run in range(runs):
            at = now - timedelta(days=6) * (runs - run) / runs
            ids = [operation(run * each + place) for place in range(each)]
            people = 1_000 * each
            sent = {"operation_ids": ids, "recipients": people, "rejected": 3}
            xcoms: dict[str, Any] = {"twilio_sent": sent, "twilio_messages_url": "https://example.com"}
            state, failed = "success", 20 * each + 7 * run
            if run == runs - 1:
                state = "deferred"
            elif run % 10 == 5:
                state, counts = "failed", stats(people, failed=9 * failed, unaddressable=10 * each)
                codes = {"30003": 31, "30005": 12, "21610": 7}
                xcoms["twilio_outcome"] = {"operation_ids": ids, "stats": counts, "codes": codes}
            else:
                counts = stats(people, failed=failed, unaddressable=each)
                xcoms["return_value"] = {**sent, "status": "COMPLETED", "stats": counts}
            parts = {str(place): entry("accepted", 1_000, run * each + place) for place in range(each)}
            notes = {"head": head(each, at), **parts}
            self.task(dag_id, f"manual__{run:03d}", "send", at, state, xcoms=xcoms, notes=notes)
        at = now - timedelta(hours=3)
        notes = {"head": head(3, at), "0": entry("accepted", 1_000, 990_001)}
        notes["1"] = entry("sending", 1_000)
        self.task(dag_id, "manual__uncertain", "send", at, "failed", notes=notes)


def now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
