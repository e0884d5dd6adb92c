"""Client of Airflow's REST API, for the demo and the tests."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

import requests

from airflow_provider_twilio_comms.demo.processes import StackFailed, until

__all__ = ["Airflow", "RestFailed"]

ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
COLLIDED = ("Database error", "Database is locked")  # what Airflow on SQLite answers then


class RestFailed(StackFailed):
    """An error of Airflow's API; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Airflow:
    """A client of one Airflow on which everybody is admin. Methods return the API's own JSON."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False  # the loopback needs no proxy and no .netrc

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Make a request to ``/api/v2``; the token is fetched at the first, and again when it is refused.

        Airflow on SQLite answers 500 or 503 if two writers collide, and has done nothing then: it is asked
        again.
        """
        url = f"{self.base_url}/api/v2{path}"
        if "Authorization" not in self._session.headers:
            self._log_in()
        for pause in (0.2, 1.0, 3.0, 0.0):
            reply = self._session.request(method, url, timeout=30, **options)
            if reply.status_code == 401:
                self._log_in()
            elif reply.status_code < 500 or not any(each in reply.text for each in COLLIDED):
                break
            time.sleep(pause)
        if not reply.ok:
            raise RestFailed(reply.status_code, f"{method} {path}: {reply.status_code} {reply.text[:2000]}")
        return reply.json() if reply.content else None

    def _log_in(self) -> None:
        reply = self._session.get(f"{self.base_url}/auth/token", timeout=30)
        reply.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def health(self) -> dict[str, Any]:
        reply = self._session.get(f"{self.base_url}/api/v2/monitor/health", timeout=10)
        reply.raise_for_status()
        health: dict[str, Any] = reply.json()
        return health

    # DAGs and runs

    def wait_for_dag(self, dag_id: str, timeout: float = 300) -> None:
        """Wait until the DAG can be triggered; an import error of any file ends the wait at once."""

        def parsed() -> bool:
            for error in self.call("GET", "/importErrors")["import_errors"]:
                raise StackFailed(f"{error['filename']} cannot be imported:\n{error['stack_trace']}")
            try:
                self.call("GET", f"/dags/{dag_id}")
            except RestFailed as failure:
                if failure.status != 404:
                    raise
                return False
            return True

        until(parsed, timeout=timeout, what=f"the DAG {dag_id} to be parsed", interval=0.3)

    def dags(self) -> list[str]:
        """List the ids of the DAGs that are parsed."""
        return [dag["dag_id"] for dag in self.call("GET", "/dags?limit=100")["dags"]]

    def import_errors(self) -> dict[str, str]:
        """Read the errors of DAG files: the last line of the traceback by the file's name."""
        found = self.call("GET", "/importErrors?limit=100")["import_errors"]
        return {each["filename"]: each["stack_trace"].strip().splitlines()[-1] for each in found}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run now; return its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), "dag_run_id": run_id}
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return str(run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return found

    def wait_for_run(
        self, dag_id: str, run_id: str, states: Collection[str] = ("success", "failed"), timeout: float = 300
    ) -> str:
        def reached() -> str | None:
            state = str(self.run(dag_id, run_id)["state"])
            return state if state in states else None

        return until(
            reached, timeout=timeout, what=f"{dag_id} {run_id} to be {_either(states)}", interval=0.3
        )

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def clear_run(self, dag_id: str, run_id: str) -> None:
        body = {"dry_run": False, "only_failed": False}
        self.call("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json=body)

    # Tasks

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=100")[
            "task_instances"
        ]
        return found

    def task(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        mapped = f"/{map_index}" if map_index >= 0 else ""
        found: dict[str, Any] = self.call("GET", f"{_task(dag_id, run_id, task_id)}{mapped}")
        return found

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[dict[str, Any]]:
        mapped = f"/{map_index}" if map_index >= 0 else ""
        found: list[dict[str, Any]] = self.call("GET", f"{_task(dag_id, run_id, task_id)}{mapped}/tries")[
            "task_instances"
        ]
        return found

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] = ENDED,
        *,
        map_index: int = -1,
        min_try: int = 1,
        timeout: float = 300,
    ) -> dict[str, Any]:
        """Wait for a task instance to be in one of ``states``, at try ``min_try`` or later."""

        def reached() -> dict[str, Any] | None:
            task = self.task(dag_id, run_id, task_id, map_index)
            return task if task["state"] in states and task["try_number"] >= min_try else None

        what = f"{dag_id}.{task_id} of {run_id} to be {_either(states)} (try {min_try} or later)"
        return until(reached, timeout=timeout, what=what, interval=0.3)

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Read an XCom as the task pushed it; None if there is none."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{key}?deserialize=false&map_index={map_index}"
        try:
            value = self.call("GET", path)["value"]
        except RestFailed as failure:
            if failure.status == 404:
                return None
            raise
        return value

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Read a try's log as lines of JSON, as the UI does."""
        path = f"{_task(dag_id, run_id, task_id)}/logs/{try_number}?full_content=true&map_index={map_index}"
        content = self.call("GET", path, headers={"Accept": "application/json"})["content"]
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in content)

    def state_store(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Read the task state store of a task (Airflow 3.3 and later)."""
        found = self.call(
            "GET", f"{_task(dag_id, run_id, task_id)}/state-store?map_index={map_index}&limit=100"
        )
        entries = next(value for value in found.values() if isinstance(value, list))
        return {entry["key"]: entry["value"] for entry in entries}

    def extra_links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        found = self.call("GET", f"{_task(dag_id, run_id, task_id)}/links")
        links: dict[str, str] = found["extra_links"]
        return links

    def clear(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = True) -> None:
        """Clear tasks of a run whatever their state, as the UI's button does."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids) or None,
            "only_failed": False,
            "include_downstream": downstream,
        }
        self.call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Set a task to ``success``, ``failed`` or ``skipped`` by hand."""
        mapped = f"/{map_index}" if map_index >= 0 else ""
        self.call("PATCH", f"{_task(dag_id, run_id, task_id)}{mapped}", json={"new_state": state})


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run_id}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}"


def _either(states: Collection[str]) -> str:
    return " or ".join(states)
