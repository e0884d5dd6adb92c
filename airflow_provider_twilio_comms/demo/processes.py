"""Process control: start, find, pause and kill long-running processes, with everything that they started.

Airflow's components fork workers, supervisors and tasks, some of which outlive a killed parent and move to
process groups of their own. None of them leaves the *session*: each component leads one, so its whole tree is
"every process of that session", orphans included. A guardian ends those sessions if this process dies before
it has done so (SIGKILL, a crashed test runner).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

__all__ = ["Component", "StackFailed", "end", "members", "tail", "until"]

T = TypeVar("T")


class StackFailed(Exception):
    """A component did not start, died, or something that was waited for did not happen in time."""


def until(condition: Callable[[], T | None], *, timeout: float, what: str, interval: float = 0.1) -> T:
    """Poll until ``condition()`` is neither None nor False; return its value or raise ``StackFailed``."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value is not None and value is not False:
            return value
        if time.monotonic() > deadline:
            raise StackFailed(f"gave up after waiting {timeout:g} s for {what}")
        time.sleep(interval)


def members(sessions: Iterable[int]) -> list[psutil.Process]:
    """List every living process of the given sessions, zombies excluded."""
    wanted = set(sessions)
    found = []
    for pid in psutil.pids() if wanted else ():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(pid) in wanted:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def send(signum: int, processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signum)


def end(sessions: Iterable[int], *, patience: float = 4.0) -> None:
    """Send SIGTERM to every process of the sessions, and SIGKILL to the rest after ``patience`` seconds."""
    wanted = set(sessions)
    living = members(wanted)
    send(signal.SIGTERM, living)
    send(signal.SIGCONT, living)  # a paused process sees SIGTERM only once it continues
    deadline = time.monotonic() + patience
    while members(wanted):
        if time.monotonic() > deadline:
            kill(wanted)
            return
        time.sleep(0.05)


def kill(sessions: Iterable[int]) -> None:
    """Send SIGKILL until no process is left: one may fork between being listed and being killed."""
    wanted = set(sessions)
    deadline = time.monotonic() + 5
    while (living := members(wanted)) and time.monotonic() < deadline:
        send(signal.SIGKILL, living)
        time.sleep(0.02)


def tail(log: Path, lines: int = 40) -> str:
    """Read the end of a log file, for an error message."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return "(no log)"


class Guardian:
    """A child process that ends our sessions, which it reads from a pipe, when the pipe closes with us."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def watch(self, session: int) -> None:
        self._tell(f"+{session}")

    def forget(self, session: int) -> None:
        self._tell(f"-{session}")

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # a dead guardian is no reason to stop
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def dismiss(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)


class Component:
    """A process of the stack: a command, its log file, and the sessions that it has led so far."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str], guardian: Guardian
    ) -> None:
        self.name = name
        self.command: list[str] = list(command)
        self.log = log
        self.env: dict[str, str] = dict(env)
        self.started: float = 0.0
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: set[int] = set()

    def start(self) -> None:
        if self.alive:
            return
        self.started = time.time()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.log.parent,
                start_new_session=True,
            )
        self._sessions.add(self._process.pid)
        self._guardian.watch(self._process.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise, with the end of the log, if the process has exited although nobody stopped it."""
        if self._process is not None and self._process.poll() is not None:
            raise StackFailed(
                f"{self.name} exited with {self._process.returncode}; the end of its log:\n{tail(self.log)}"
            )

    def processes(self) -> list[psutil.Process]:
        """List the living processes of its tree, orphans of earlier starts included."""
        return members(self._sessions)

    @property
    def sessions(self) -> frozenset[int]:
        return frozenset(self._sessions)

    def stop(self, *, patience: float = 4.0) -> None:
        end(self._sessions, patience=patience)
        self.settle()

    def kill(self, *, tree: bool = True) -> None:
        """Send SIGKILL to the whole tree or (like the kernel's OOM killer) to the leading process alone."""
        if tree:
            kill(self._sessions)
        elif self._process is not None:
            self._process.kill()
        self.settle()

    def pause(self) -> None:
        send(signal.SIGSTOP, self.processes())

    def resume(self) -> None:
        send(signal.SIGCONT, self.processes())

    def settle(self) -> None:
        """Reap the leader, and forget sessions without processes: their numbers may be used again."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
            self._process = None
        for session in list(self._sessions):
            if not members([session]):
                self._sessions.discard(session)
                self._guardian.forget(session)


def _guard() -> None:
    sessions: set[int] = set()
    for line in sys.stdin:
        (sessions.add if line[0] == "+" else sessions.discard)(int(line[1:]))
    end(sessions)


if __name__ == "__main__":
    _guard()
