"""Faults that many runs share: a component of Airflow breaks for all of them."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from airflow_provider_twilio_comms.demo.processes import StackFailed, members, send, until
from tests.chaos.field import Field
from tests.chaos.run import Run

__all__ = ["ROUNDS", "Round"]


class Round(NamedTuple):
    """``prepare`` is done to each run before it starts, then ``deed`` while all of them are under way.

    ``brief`` ones are in the short form too.
    """

    name: str
    prepare: Callable[[Run], None]
    deed: Callable[[Field, Sequence[Run], random.Random], None]
    brief: bool = False


def long_wait(run: Run) -> None:
    run.twilio.change(pace=20.0)


def slow_posts(run: Run) -> None:
    run.twilio.fault(kind="slow", method="POST", path="/Messages", seconds=1.0, times=None)


def calling(run: Run) -> None:
    """Each run calls at one of the worst moments, and goes on when the API server is gone."""
    moments = ("before {} sending", "after {} sending", "before {} accepted", "after {} accepted")
    run.arm(run.rng.choice(moments).format(run.part), "call")


def most(runs: Sequence[Run], there: Callable[[Run], bool], what: str) -> None:
    """Wait until most of the runs are there, or half a minute more is over."""
    until(lambda: any(map(there, runs)), timeout=300, what=what, interval=0.2)
    deadline = time.monotonic() + 30
    while sum(map(there, runs)) < 0.8 * len(runs) and time.monotonic() < deadline:
        time.sleep(0.2)


def noted(what: str) -> Callable[[Run], bool]:
    return lambda run: (run.battle.notes / f"{run.name}.1.{what}").exists()


def deferred(run: Run) -> bool:
    return bool(run.airflow.task(run.dag_id, run.name, "send")["state"] == "deferred")


def ended(run: Run) -> bool:
    return run.state() in ("success", "failed")


def triggerer_killed(field: Field, runs: Sequence[Run], rng: random.Random) -> None:
    most(runs, deferred, "waiting runs")
    time.sleep(rng.uniform(0, 4))
    field.stack.kill("triggerer")
    time.sleep(rng.uniform(0, 4))
    field.stack.start_component("triggerer")


def triggerer_frozen(field: Field, runs: Sequence[Run], rng: random.Random) -> None:
    most(runs, deferred, "waiting runs")
    field.stack.pause("triggerer")
    time.sleep(rng.uniform(16, 22))  # until Airflow takes it for dead
    field.stack.resume("triggerer")


def scheduler_killed(field: Field, runs: Sequence[Run], rng: random.Random) -> None:
    most(runs, noted("began"), "sending runs")
    time.sleep(rng.uniform(0, 3))
    field.stack.kill("scheduler")
    field.stack.start_component("scheduler")


def scheduler_alone_killed(field: Field, runs: Sequence[Run], rng: random.Random) -> None:
    """Its workers live on, beside those of the next one."""
    most(runs, noted("began"), "sending runs")
    time.sleep(rng.uniform(0, 3))
    before = field.stack.components["scheduler"].sessions
    field.stack.kill("scheduler", tree=False)
    field.stack.start_component("scheduler")
    # As long as they live, so may its session at the database, with rows locked: then nobody goes on.
    with suppress(StackFailed):
        until(lambda: all(map(ended, runs)), timeout=60, what="the runs to end", interval=1.0)
    send(signal.SIGKILL, members(before))


def api_server_killed(field: Field, runs: Sequence[Run], rng: random.Random) -> None:
    most(runs, noted("moment"), "runs at their moment")
    field.stack.kill("api-server")
    for run in runs:
        run.answer()
    time.sleep(rng.uniform(0, 8))
    try:
        field.stack.start_component("api-server")
    except StackFailed:  # it was too busy to say so in time
        field.stack.wait_healthy()


ROUNDS = [
    Round("triggerer killed while waiting", long_wait, triggerer_killed),
    Round("triggerer frozen while waiting", long_wait, triggerer_frozen),
    Round("scheduler killed with its workers", slow_posts, scheduler_killed),
    Round("scheduler killed, workers live on", slow_posts, scheduler_alone_killed, brief=True),
    Round("API server killed around a ledger write", calling, api_server_killed, brief=True),
]
