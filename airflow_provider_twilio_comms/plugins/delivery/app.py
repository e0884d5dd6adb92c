"""Pages of the delivery view: ``/`` for all that was sent, ``/task`` for one task instance.

Airflow knows the viewer by the same cookie or token as for its own API, and its auth manager answers, for
each DAG shown, if this user may read its task instances and XComs. Pages are made here and read without a
script; the script adds Airflow's theme, links that leave the frame, and a refresh while something goes on.

FastAPI reads annotations when it is told of a function, so here they are no texts.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.plugins.delivery import charts, pages
from airflow_provider_twilio_comms.plugins.delivery.overview import (
    accepted_over_time,
    over_time,
    overview,
    round_down,
)
from airflow_provider_twilio_comms.plugins.delivery.sends import PHASES, Key

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["application"]

FOLDER = Path(__file__).parent
# How far back one may look, and the period of a column.
DAYS = {1: timedelta(hours=1), 7: timedelta(hours=6), 30: timedelta(days=1)}
HEADERS = {
    # Nothing but what this plugin brings may run, load or be asked; only Airflow's own pages may frame it.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def application(prefix: str) -> "FastAPI":
    """The app that Airflow mounts at ``prefix``."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from fastapi import Depends, FastAPI
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response
    from starlette.staticfiles import StaticFiles

    from airflow_provider_twilio_comms.plugins.delivery import store

    app = FastAPI(title="Twilio delivery", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    templates = pages.environment(FOLDER / "templates")
    # Both are read; these dependencies ask for the DAG that the query names, or for any.
    entities = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
    allowed = [Depends(requires_access_dag(method="GET", access_entity=entity)) for entity in entities]

    def readable(user: Any, session: Any, since: datetime) -> set[str]:
        """List the DAGs with sends since then whose task instances and XComs this user may read.

        That is asked of each, since an auth manager may let somebody see a DAG and not these.
        """
        manager = get_auth_manager()
        visible = manager.get_authorized_dag_ids(user=user, method="GET", session=session)
        return {
            dag_id
            for dag_id in store.sending(session, visible, since)
            if all(
                manager.is_authorized_dag(
                    method="GET",
                    access_entity=entity,
                    details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id, session=session)),
                    user=user,
                )
                for entity in entities
            )
        }

    def page(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        root = request.scope.get("root_path", "").removesuffix(prefix)
        html = templates.get_template(template).render(root=root, here=f"{root}{prefix}", **values)
        return HTMLResponse(html, status, HEADERS)

    def everything(request: Request, user: Any = Depends(get_user)) -> Response:  # noqa: B008
        asked, now = request.query_params, datetime.now(timezone.utc)
        days = _number(asked.get("days"), 7)
        days = days if days in DAYS else 7
        since = round_down(now - timedelta(days=days), DAYS[days])
        with create_session(scoped=False) as session:
            dags = readable(user, session, since)
            sends, more = store.recent(session, dags, since)
        names = sorted({send.key.dag_id for send in sends})
        if asked.get("dag_id"):
            sends = [send for send in sends if send.key.dag_id == asked["dag_id"]]
        found = overview(sends)
        buckets = over_time(found, since, now, DAYS[days])
        phase = asked.get("state") if asked.get("state") in PHASES else None
        listed = [send for send in found.sends if phase in (None, send.phase)]
        values = {
            "overview": found,
            "buckets": buckets,
            "picture": charts.columns(buckets, f"Messages over time: {charts.told(found.counters)}"),
            "names": names,
            "days": days,
            "dag_id": asked.get("dag_id", ""),
            "phase": phase,
            "most": store.MOST if more else None,
            "rows": pages.Slice.of(listed, _number(asked.get("page"), 1)),
            "now": now,
        }
        return page(request, "overview.html", values)

    def task(request: Request, user: Any = Depends(get_user)) -> Response:  # noqa: B008
        asked = request.query_params
        dag_id, run_id, task_id = (asked.get(name, "") for name in ("dag_id", "run_id", "task_id"))
        key = Key(dag_id, run_id, task_id, _number(asked.get("map_index"), -1))
        if not all(key[:3]):
            raise HTTPException(404, "The address names no task instance")
        with create_session(scoped=False) as session:
            dags = readable(user, session, datetime.now(timezone.utc) - timedelta(days=max(DAYS)))
            # The dependencies have asked for the task's own DAG, however long ago it sent.
            sends = store.one(session, key, dags)
        send = sends[0] if sends else None
        points = accepted_over_time(send.began, send.parts) if send else []
        taken = points[-1].accepted if points else 0
        values = {
            "key": key,
            "send": send,
            "overview": overview(sends),
            "points": points,
            "picture": charts.steps(points, f"Accepted by Twilio over time: {taken:,} recipients"),
            "rows": pages.Slice.of(send.parts if send else (), _number(asked.get("page"), 1)),
            "now": datetime.now(timezone.utc),
        }
        return page(request, "task.html", values)

    def refused(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        return page(request, "refused.html", {"status": status, "why": pages.WHY.get(status)}, status)

    app.add_api_route("/", everything, dependencies=allowed, response_model=None)
    app.add_api_route("/task", task, dependencies=allowed, response_model=None)
    app.add_exception_handler(HTTPException, refused)
    return app


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else default
