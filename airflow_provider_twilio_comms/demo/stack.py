"""Stack: a real Airflow, one process per component, with the emulator."""

from __future__ import annotations

import atexit
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import requests
from typing_extensions import Self

from airflow_provider_twilio_comms.demo.emulation import Emulation
from airflow_provider_twilio_comms.demo.processes import (
    Component,
    Guardian,
    StackFailed,
    end,
    members,
    send,
    tail,
    until,
)
from airflow_provider_twilio_comms.demo.rest import Airflow
from airflow_provider_twilio_comms.demo.settings import (
    airflow_env,
    copy_template_database,
    free_port,
    migrate,
    sqlite_url,
)

__all__ = ["AIRFLOW_COMPONENTS", "Stack", "StackFailed"]

AIRFLOW_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

# Their log servers are for other machines; here they would only be two more ports to find.
_FLAGS = {name: ["--skip-serve-logs"] for name in ("scheduler", "triggerer", "celery")}

# A task runs in a process of this title, under a supervisor of another (SDK, task_runner.py: setproctitle).
_TASK_TITLE = re.compile(r"airflow worker -- ([0-9a-f]{8}-[0-9a-f-]{27})")


class Stack:
    """Airflow on free loopback ports, run from one folder.

    ::

        with Stack(Path("example_dags")) as stack:
            run_id = stack.airflow.trigger("twilio_bulk_campaign")
            stack.kill("triggerer")
            stack.start_component("triggerer")
            assert stack.airflow.wait_for_run("twilio_bulk_campaign", run_id) == "success"

    Everything lives in ``stack.home``: configuration comes from the environment only, without the caller's
    own Airflow settings. ``stop`` leaves no process behind; if this process dies before it can call it, a
    guardian does (see ``processes``).

    :param dags: the folder with the DAG files.
    :param home: AIRFLOW_HOME; by default a temporary folder that ``stop`` removes.
    :param env: more environment variables for every Airflow component; they override the stack's own.
        ``{url}`` in a value is the address of the API server.
    :param sql_alchemy_conn: another metadata database than SQLite in ``home``; it is migrated on start.
    :param further: components beyond one of each, as names and arguments of ``airflow``, such as
        ``{"triggerer-2": ["triggerer"]}``; they run, but Airflow's health does not tell them apart.
    :param ports: the preferred ports of Airflow and the emulator; 0 and a taken one stand for any free one.
    :param emulator: start the emulator, with ``emulator_args``, and set ``twilio_default`` to it.
    """

    def __init__(
        self,
        dags: Path,
        *,
        home: Path | None = None,
        env: Mapping[str, str] | None = None,
        sql_alchemy_conn: str | None = None,
        further: Mapping[str, Sequence[str]] | None = None,
        emulator: bool = True,
        emulator_args: Sequence[str] = (),
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        self._owns_home = home is None
        self.home: Path = Path(tempfile.mkdtemp(prefix="twilio-airflow-")) if home is None else home.resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self.sql_alchemy_conn: str = sql_alchemy_conn or sqlite_url(self.home)
        self.port: int = free_port(ports[0])
        self.airflow: Airflow = Airflow(f"http://127.0.0.1:{self.port}")
        self.emulator: Emulation | None = Emulation(free_port(ports[1])) if emulator else None
        self.components: dict[str, Component] = {}
        self._commands = {name: [name] for name in AIRFLOW_COMPONENTS} | dict(further or {})
        self._emulator_args = list(emulator_args)
        self._env = airflow_env(self.home, dags.resolve(), self.port, self.sql_alchemy_conn)
        if self.emulator is not None:
            self._env["AIRFLOW_CONN_TWILIO_DEFAULT"] = self.emulator.connection()
            self._env["AIRFLOW_CONN_TWILIO_PREVIEW"] = self.emulator.connection(comms_version="preview")
        self._env.update({name: value.replace("{url}", self.url) for name, value in (env or {}).items()})
        self._guardian: Guardian | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment of the Airflow components, also for running ``airflow`` commands."""
        return dict(self._env)

    @property
    def url(self) -> str:
        return self.airflow.base_url

    @property
    def database(self) -> Path:
        """The file of the metadata database; only SQLite has one."""
        return self.home / "airflow.db"

    @property
    def task_logs(self) -> Path:
        return self.home / "logs"

    def component_log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    # Starting and stopping

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 300) -> None:
        """Start everything and wait until every component reports itself healthy."""
        atexit.register(self.stop)
        try:
            self._guardian = Guardian()
            self._prepare_database()
            if self.emulator is not None:
                self._add("emulator", [*self.emulator.command, *self._emulator_args])
            for name, words in self._commands.items():
                self._add(name, [sys.executable, "-m", "airflow", *words, *_FLAGS.get(words[0], [])])
            for component in self.components.values():
                component.start()
            self.wait_healthy(timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process, and remove the home unless the caller named it. May be called twice."""
        atexit.unregister(self.stop)
        end({session for component in self.components.values() for session in component.sessions})
        for component in self.components.values():
            component.settle()
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None
        self.airflow.close()
        if self.emulator is not None:
            self.emulator.close()
        if self._owns_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def _prepare_database(self) -> None:
        if self.sql_alchemy_conn != sqlite_url(self.home):
            migrate(self._env)
        elif not self.database.exists():
            copy_template_database(self.home)

    def _add(self, name: str, command: Sequence[str]) -> None:
        assert self._guardian is not None
        self.components[name] = Component(name, command, self.component_log(name), self._env, self._guardian)

    def wait_healthy(self, timeout: float = 300) -> None:
        """Wait until every running component has sent a heartbeat since it was started."""
        try:
            until(self.healthy, timeout=timeout, what="Airflow to be healthy", interval=0.2)
        except StackFailed as failure:
            ends = (f"--- {name}\n{tail(self.component_log(name), lines=12)}" for name in self.components)
            raise StackFailed("\n\n".join([str(failure), *ends])) from None

    def healthy(self) -> bool:
        running = [component for component in self.components.values() if component.pid is not None]
        for component in running:
            component.check()
        try:
            if self.emulator is not None and any(component.name == "emulator" for component in running):
                self.emulator.health()
            health = self.airflow.health()
        except requests.RequestException:
            return False
        return all(_reported(component, health) for component in running)

    # Breaking and restarting single components

    def start_component(self, name: str, *, wait: bool = True) -> None:
        self.components[name].start()
        if wait:
            self.wait_healthy()

    def stop_component(self, name: str) -> None:
        """Stop a component's tree in an orderly way, with SIGTERM first."""
        self.components[name].stop()

    def kill(self, name: str, *, tree: bool = True) -> None:
        """Kill (SIGKILL) a component with everything it started, or only its leader (``tree=False``)."""
        self.components[name].kill(tree=tree)

    def restart(self, name: str, *, wait: bool = True) -> None:
        self.stop_component(name)
        self.start_component(name, wait=wait)

    def pause(self, name: str) -> None:
        """Pause (SIGSTOP) a component, which is then neither alive nor gone, as on a frozen machine."""
        self.components[name].pause()

    def resume(self, name: str) -> None:
        self.components[name].resume()

    # Task processes

    def task_processes(self, task_instance_id: str | None = None) -> list[psutil.Process]:
        """List the processes that run task code now: all, or one try's (the ``id`` of its task instance)."""
        sessions = {session for component in self.components.values() for session in component.sessions}
        found = []
        for process in members(sessions):
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:
                continue
            match = _TASK_TITLE.match(title)
            if match and task_instance_id in (None, match[1]):
                found.append(process)
        return found

    def kill_task(
        self, dag_id: str, run_id: str, task_id: str, *, supervisor: bool = False, timeout: float = 300
    ) -> dict[str, Any]:
        """Kill (SIGKILL) a running task's process; return the task instance that was hit.

        With ``supervisor=True`` its supervisor goes first, as when a worker machine dies: nobody reports the
        end, and Airflow notices by the missing heartbeat or the executor's lost worker.
        """

        def running() -> tuple[dict[str, Any], psutil.Process] | None:
            task = self.airflow.task(dag_id, run_id, task_id)
            processes = self.task_processes(task["id"])
            return (task, processes[0]) if processes else None

        task, process = until(running, timeout=timeout, what=f"{task_id} to run", interval=0.02)
        parent = process.parent() if supervisor else None
        send(signal.SIGKILL, [*([parent] if parent else []), process])
        until(lambda: not self.task_processes(task["id"]), timeout=60, what=f"{task_id} to die")
        return task


def _reported(component: Component, health: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell if a component's heartbeat is newer than its start: a predecessor's last one proves nothing."""
    key = component.name.replace("-", "_")
    if key not in health:  # the API server itself, which has just answered, and the emulator
        return True
    beat = health[key].get(f"latest_{key}_heartbeat")
    if health[key]["status"] != "healthy" or not beat:
        return False
    seconds = datetime.fromisoformat(str(beat).replace("Z", "+00:00")).timestamp()
    return component.started <= seconds <= time.time() + 60
