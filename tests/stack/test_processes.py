"""Processes that are started are ended, whoever dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.processes import Component, Guardian, StackFailed, members, until

# A child that ignores SIGTERM and moves to a process group of its own, as Airflow's supervisors do.
FAMILY = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    started = Guardian()
    yield started
    started.dismiss()
    assert started.process.returncode == 0


@pytest.fixture
def family(tmp_path: Path, guardian: Guardian) -> Iterator[Component]:
    component = Component("family", [sys.executable, "-c", FAMILY], tmp_path / "log", os.environ, guardian)
    component.start()
    until(lambda: component.log.read_text().count("ready") == 2, timeout=300, what="two processes")
    yield component
    component.kill()


def test_stop_ends_the_whole_tree(family: Component) -> None:
    sessions = family.sessions
    assert len(family.processes()) == 2
    family.stop(patience=0.5)
    assert members(sessions) == []
    assert not family.alive
    assert not family.sessions


def test_a_killed_leaders_orphan_is_still_found(family: Component) -> None:
    family.kill(tree=False)
    assert not family.alive
    assert len(family.processes()) == 1
    family.start()
    until(lambda: len(family.processes()) == 3, timeout=300, what="a second generation")
    family.kill()
    assert family.processes() == []


def test_paused_processes_stand_still_and_can_be_stopped(family: Component) -> None:
    def states() -> set[str]:
        return {process.status() for process in family.processes()}

    family.pause()
    until(lambda: states() == {"stopped"}, timeout=300, what="both to stop")
    family.resume()
    until(lambda: "stopped" not in states(), timeout=300, what="both to go on")
    family.pause()
    family.stop(patience=0.5)
    assert family.processes() == []


def test_an_exit_nobody_asked_for_is_told_with_the_log(tmp_path: Path, guardian: Guardian) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such database')"]
    component = Component("scheduler", command, tmp_path / "log", os.environ, guardian)
    component.start()
    until(lambda: not component.alive, timeout=300, what="its end")
    with pytest.raises(StackFailed, match=r"scheduler exited with 1(.|\n)*no such database"):
        component.check()


def test_the_guardian_ends_what_a_killed_parent_started() -> None:
    parent = f"""
import os, sys, time
from pathlib import Path
from airflow_provider_twilio_comms.demo.processes import Component, Guardian
component = Component("family", [sys.executable, "-c", {FAMILY!r}], Path(os.devnull), os.environ, Guardian())
component.start()
print(component.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        session = int(process.stdout.readline())
        until(lambda: len(members([session])) == 2, timeout=300, what="two processes")
        process.send_signal(signal.SIGKILL)
    until(lambda: not members([session]), timeout=300, what="the guardian to act")
