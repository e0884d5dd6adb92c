"""Read an alert from whatever context Airflow gives; nothing in it is sure to be there.

A task's callback knows everything; one that the DAG processor runs for it has no ``dag_run`` and no
``exception``; a DAG's has a ``reason``, and a task instance that is only the last one; a deadline's holds
``dag_run`` and ``deadline`` as dicts, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow_provider_twilio_comms._core.alerts.alert import Alert, clean_error
from airflow_provider_twilio_comms.notifications._failed_tasks import FailedTask, failed_tasks


def alert_of(context: Mapping[str, Any], severity: str | None = None) -> Alert:
    """Read what an alert is about. Raises nothing."""
    run, deadline = context.get("dag_run"), context.get("deadline")
    ti = context.get("ti") or context.get("task_instance")
    if "reason" in context or deadline:
        ti = None  # it is about the run; the task instance is only its last one
    dag_id = str(_of(ti, "dag_id") or _of(run, "dag_id") or _of(context.get("dag"), "dag_id") or "")
    run_id = _of(ti, "run_id") or _of(run, "run_id", "dag_run_id") or context.get("run_id")
    most, index = _of(ti, "max_tries"), _of(ti, "map_index")
    state = _state(context, ti, run, deadline)
    error = "" if deadline else _error(context)
    failed: list[FailedTask] = []
    if "reason" in context and state == "failed" and run_id:
        failed, first = failed_tasks(context.get("dag"), dag_id, str(run_id))
        error = clean_error(_masked(first)) if failed else error
    return Alert(
        dag_id=dag_id,
        task_id=_of(ti, "task_id"),
        map_index=index if isinstance(index, int) else -1,
        run_id=run_id,
        run_type=_word(_of(run, "run_type")),
        state=state,
        try_number=_of(ti, "try_number") or None,
        tries=most + 1 if isinstance(most, int) and ti is not None else None,
        error=error,
        failed_tasks=tuple(str(each) for each in failed),
        links=_links(ti, dag_id, run_id),
        severity=severity,
        instance=_setting("instance_name"),
        deadline_id=str(_of(deadline, "id")) if _of(deadline, "id") else None,
        deadline_time=_moment(_of(deadline, "deadline_time")),
    )


def _of(thing: Any, *names: str) -> Any:
    """The first of these attributes, or items, that there is."""
    for name in names:
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def _word(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "value", value))


def _state(context: Mapping[str, Any], ti: Any, run: Any, deadline: Any) -> str:
    if deadline:
        return "deadline"
    if ti is None:
        failed = str(context.get("reason", "")) != "success"
        state = _word(_of(run, "state"))
        return state if state in ("failed", "success") else "failed" if failed else "success"
    state = _word(_of(ti, "state"))
    if state in (None, "running", "queued") and context.get("exception") is not None:
        state = "failed"
    if state is not None:
        return state
    tried, most = _of(ti, "try_number"), _of(ti, "max_tries")  # from the DAG processor
    return "up_for_retry" if tried and most and tried <= most else "failed"


def _error(context: Mapping[str, Any]) -> str:
    """The first line of the exception, with its type; else why Airflow says that the run ended."""
    found = context.get("exception")
    if isinstance(found, BaseException):
        text = str(found).strip()
        return clean_error(_masked(f"{type(found).__name__}: {text}" if text else type(found).__name__))
    return clean_error(_masked(str(found or context.get("reason") or "")))


def _masked(text: str) -> str:
    """The text without the secrets that Airflow knows of."""
    with contextlib.suppress(Exception):
        from airflow.sdk.log import redact  # type: ignore[attr-defined]

        return str(redact(text))
    return text


def _links(ti: Any, dag_id: str, run_id: Any) -> tuple[str, ...]:
    """The task's log, the run and the DAG, in Airflow's UI."""
    links = []
    with contextlib.suppress(Exception):
        links.append(str(ti.log_url))
    base = _setting("base_url").rstrip("/")
    if base and dag_id:
        if run_id:
            links.append(f"{base}/dags/{dag_id}/runs/{quote(str(run_id))}")
        links.append(f"{base}/dags/{dag_id}")
    return tuple(links)


def _setting(name: str) -> str:
    with contextlib.suppress(Exception):
        from airflow.sdk.configuration import conf

        return str(conf.get("api", name, fallback="") or "")
    return ""


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    with contextlib.suppress(TypeError, ValueError):
        return datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else None
    return None
