"""Faults of a single run: each prepares the run, starts it, and breaks it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.chaos.field import hit
from tests.chaos.run import EACH, Kind, Run, Script

__all__ = ["BETWEEN_REPLY_AND_WRITE", "BETWEEN_WRITE_AND_POST", "FAULTS", "Fault"]

TASK, BOTH = ("task",), ("task", "supervisor")


class Fault(NamedTuple):
    """``brief`` ones are in the short form too; ``kind`` is that of the send, where only one will do."""

    name: str
    script: Script
    brief: bool = False
    kind: Kind | None = None


def at(moment: str, act: str) -> Script:
    """Something that a try does to itself; ``{part}`` is where the run breaks."""

    def script(run: Run) -> None:
        run.arm(moment.format(part=run.part), act)
        run.start()
        run.noted("moment")

    return script


def frozen(moment: str) -> Script:
    """A try that stands still until the next one has begun."""

    def script(run: Run) -> None:
        run.arm(moment.format(part=run.part), "freeze")
        run.start()
        run.thaw(run.noted("moment"))

    return script


def in_the_post(deed: Callable[[Run, dict[str, int]], None]) -> Script:
    """Something that is done to a try while Twilio has its request and has not replied."""

    def script(run: Run) -> None:
        run.posts("slow", seconds=2.0)
        run.start()
        pids = run.noted("began")
        run.taken((run.part + 1) * EACH[run.kind])
        deed(run, pids)

    return script


def at_random(deed: Callable[[Run, dict[str, int]], None]) -> Script:
    """The same at any time while it sends, which takes its time."""

    def script(run: Run) -> None:
        run.twilio.fault(kind="slow", method="POST", path="/Messages", seconds=0.5, times=None)
        run.start()
        pids = run.noted("began")
        run.nap(2.5)
        deed(run, pids)

    return script


def kill(*whom: str) -> Callable[[Run, dict[str, int]], None]:
    return lambda run, pids: hit(signal.SIGKILL, *(pids[who] for who in whom[::-1]))


def freeze(run: Run, pids: dict[str, int]) -> None:
    hit(signal.SIGSTOP, pids["supervisor"], pids["task"])
    if run.given_up():
        run.thaw(pids)
    else:  # it was through with it
        hit(signal.SIGCONT, pids["task"], pids["supervisor"])


def killed_when_it_resumes(run: Run) -> None:
    run.start()
    pids = run.noted("resumed")
    run.nap(0.3)
    hit(signal.SIGKILL, pids["task"])


def post(kind: str, **fault: object) -> Script:
    """The request of a part goes wrong at Twilio."""

    def script(run: Run) -> None:
        run.posts(kind, **fault)
        run.start()

    return script


def storm(run: Run) -> None:
    """Nothing but 429s for a while, with and without Retry-After."""
    run.posts("rate_limited", times=run.rng.randrange(2, 9), retry_after=run.rng.choice([None, 0.5, 2.0]))
    run.start()


def lagging_list(run: Run) -> None:
    """A lost reply, and a list that shows the message only a minute later, in short a few seconds."""
    lag = 4.0 if run.brief else run.rng.uniform(20.0, 60.0)
    run.options["unknown_after"] = 10.0 if run.brief else 90.0
    run.twilio.change(list_lag=lag)
    run.posts(run.rng.choice(["drop_after", "error_after", "cut"]))
    run.start()


def unreachable(run: Run) -> None:
    """Twilio is away while the task waits."""
    run.twilio.change(pace=12.0 if run.brief else 35.0)
    run.start()
    run.reached(("deferred",))
    run.nap(2.0)
    run.battle.twilios.down(run.lane)
    time.sleep(8.0 if run.brief else 30.0)
    run.battle.twilios.up(run.lane)


def poll_errors(run: Run) -> None:
    """Whatever can go wrong with a GET goes wrong while the task waits."""
    run.twilio.change(pace=12.0)
    run.start()
    run.reached(("deferred",))
    kinds = ["rate_limited", "proxy_429", "unavailable", "error_before", "bad_gateway", "drop_before", "cut"]
    for kind in run.rng.sample(kinds, 5):
        run.twilio.fault(kind=kind, method="GET", times=run.rng.randrange(1, 5))


def cleared_while_deferred(run: Run) -> None:
    run.start()
    run.reached(("deferred",))
    run.nap(3.0)
    run.clear()


def marked_while_deferred(state: str) -> Script:
    def script(run: Run) -> None:
        run.start()
        run.reached(("deferred",))
        run.nap(3.0)
        run.mark(state)

    return script


def clear(run: Run, pids: dict[str, int]) -> None:
    run.clear()


def fail(run: Run, pids: dict[str, int]) -> None:
    run.mark("failed")


BETWEEN_WRITE_AND_POST = "after {part} sending"
BETWEEN_REPLY_AND_WRITE = "before {part} accepted"

FAULTS = [
    Fault("task killed: before the ledger is begun", at("before begun", "die")),
    Fault("task killed: between ledger and POST", at(BETWEEN_WRITE_AND_POST, "die"), brief=True),
    Fault("task killed: in the POST", in_the_post(kill("task"))),
    Fault("task killed: between reply and ledger", at(BETWEEN_REPLY_AND_WRITE, "die"), brief=True),
    Fault("task killed: between requests", at("after {part} accepted", "die")),
    Fault("task killed: at random", at_random(kill("task"))),
    Fault("task killed: when it resumes", killed_when_it_resumes),
    Fault("worker killed: in the POST", in_the_post(kill(*BOTH))),
    Fault("worker killed: at random", at_random(kill(*BOTH)), brief=True),
    Fault("supervisor killed: before the ledger", at("before {part} sending", "lose supervisor")),
    Fault("supervisor killed: in the POST", in_the_post(kill("supervisor"))),
    Fault("frozen: before the first read", frozen("before the first read")),
    Fault("frozen: before the ledger", frozen("before {part} sending")),
    Fault("frozen: between ledger and POST", frozen(BETWEEN_WRITE_AND_POST), brief=True),
    Fault("frozen: in the POST", in_the_post(freeze)),
    Fault("frozen: between reply and ledger", frozen(BETWEEN_REPLY_AND_WRITE)),
    Fault("frozen: at random", at_random(freeze)),
    Fault("Twilio: dropped before reading", post("drop_before")),
    Fault("Twilio: dropped after accepting", post("drop_after"), brief=True),
    Fault("Twilio: cut in mid-reply", post("cut")),
    Fault("Twilio: reply slower than the timeout", post("slow", seconds=6.0)),
    Fault("Twilio: a storm of 429s", storm, brief=True),
    Fault("Twilio: 429 of a proxy", post("proxy_429")),
    Fault("Twilio: 500 before accepting", post("error_before")),
    Fault("Twilio: 500 after accepting", post("error_after")),
    Fault("Twilio: 502 HTML, not taken", post("bad_gateway")),
    Fault("Twilio: 502 HTML, taken", post("bad_gateway", processed=True)),
    Fault("Twilio: lists lag after a lost reply", lagging_list, brief=True),
    Fault("Twilio: unreachable while waiting", unreachable),
    Fault("Twilio: every error while waiting", poll_errors),
    Fault("user: clears while deferred", cleared_while_deferred, brief=True),
    Fault("user: marks success while deferred", marked_while_deferred("success")),
    Fault("user: marks failed while deferred", marked_while_deferred("failed")),
    Fault("user: clears while sending", at_random(clear)),
    Fault("user: marks failed while sending", at_random(fail)),
]
