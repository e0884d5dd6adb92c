"""Faults in which the world changes between two tries: the list, what is cleared, the worker's clock.

The first try is killed at one of several moments, and the change is there before the next one begins. Which
moment and which people is the run's random choice, so each of these has more than one turn.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.chaos.faults import BETWEEN_REPLY_AND_WRITE, BETWEEN_WRITE_AND_POST, Fault
from tests.chaos.field import hit
from tests.chaos.run import EACH, REFUSED, Run, Script

__all__ = ["EDITS"]

BETWEEN_PARTS = "after {part} accepted"
BEFORE_DONE = "before done"  # everything is sent, and that is not noted
IN_THE_POST = "in the POST"
IN_MIDST = (BETWEEN_WRITE_AND_POST, BETWEEN_REPLY_AND_WRITE, BETWEEN_PARTS)
DEATHS = (*IN_MIDST, BEFORE_DONE, IN_THE_POST)
WRONG_BY = 600  # seconds
Change = Callable[[Run], None]


def killed(change: Change, *moments: str) -> Script:
    """A first try that is killed, once the world has changed."""

    def script(run: Run) -> None:
        moment = run.rng.choice(moments or DEATHS)
        if moment == IN_THE_POST:
            run.posts("slow", seconds=3.0)
            run.start()
            pids = run.noted("began")
            run.taken(run.part * EACH[run.kind] + 1)
            change(run)
            hit(signal.SIGKILL, pids["task"])
            return
        run.arm(moment.format(part=run.part), "call and die")
        run.start()
        run.noted("moment")
        change(run)
        run.answer()

    return script


def in_front(run: Run) -> None:
    run.edit([run.fresh() for _ in range(run.rng.choice([1, 2]))] + run.now)


def removed(run: Run) -> None:
    gone = run.rng.choice(run.now)
    run.edit([person for person in run.now if person != gone])


def replaced(run: Run) -> None:
    place = run.rng.randrange(len(run.now))
    run.edit([*run.now[:place], run.fresh(), *run.now[place + 1 :]])


def all_replaced(run: Run) -> None:
    run.edit([run.fresh() for _ in run.now])


def reordered(run: Run) -> None:
    run.edit(run.rng.sample(run.now, len(run.now)))


def truncated(run: Run) -> None:
    run.edit(run.now[: run.rng.randrange(len(run.now))])


def another_task_cleared(run: Run) -> None:
    run.clear("other")


def run_cleared(run: Run) -> None:
    if run.rng.random() < 0.5:
        run.rng.choice([in_front, removed, replaced, reordered, truncated])(run)
    run.clear_run()


def another_task_is_cleared(run: Run) -> None:
    """A send that a clear of its own would repeat, but no other one may."""
    run.options["on_clear"] = "resend"
    killed(another_task_cleared)(run)


def refused_taken_out(run: Run) -> None:
    """A list with numbers that Twilio refuses, at any places, which are taken out after the kill."""
    people = [*run.now]
    for number in run.rng.sample(REFUSED, run.rng.choice([1, 2, 3])):
        people.insert(run.rng.randrange(len(people) + 1), number)
    run.begin_with(people)
    run.part = run.rng.choice([place for place, person in enumerate(people) if person not in REFUSED])
    killed(lambda run: run.edit([person for person in run.now if person not in REFUSED]), *IN_MIDST)(run)


def refused_after_the_end(run: Run) -> None:
    """The same, where the first try comes to its end, and is red: that is settled as for every red one."""
    run.begin_with([*run.now[:1], run.rng.choice(REFUSED), *run.now[1:]])
    run.start()


def refused_request(run: Run) -> None:
    """A request is refused until the try has failed, and some of its people are replaced."""
    run.posts("rate_limited", times=None)
    run.start()
    run.reached(("up_for_retry", "failed"))
    each = EACH[run.kind]
    place = run.part * each + run.rng.randrange(each)
    run.edit([*run.now[:place], run.fresh(), *run.now[place + 1 :]])
    run.twilio.control("DELETE", "faults")


def moved(run: Run) -> None:
    """The clock of the first or the second try is wrong."""
    run.conf |= {"clock": run.rng.choice([-WRONG_BY, WRONG_BY]), "clock_try": run.rng.choice([1, 2])}
    killed(lambda run: None)(run)


def complete(run: Run) -> None:
    """A complete send is cleared, and nobody of its list is left."""
    run.start()
    run.ended()
    all_replaced(run)
    run.clear_run()


EDITS = [
    Fault("edit: rows in front", killed(in_front), brief=True),
    Fault("edit: a row removed", killed(removed)),
    Fault("edit: a row replaced", killed(replaced)),
    Fault("edit: everybody replaced", killed(all_replaced)),
    Fault("edit: another order", killed(reordered)),
    Fault("edit: truncated", killed(truncated), brief=True),
    Fault("edit: refused numbers taken out", refused_taken_out, brief=True, kind="single"),
    Fault("edit: refused numbers, red", refused_after_the_end, kind="single"),
    Fault("edit: people of a refused request replaced", refused_request),
    Fault("edit: everybody replaced once all is sent", complete),
    Fault("cleared: another task", another_task_is_cleared, brief=True),
    Fault("cleared: the whole run", killed(run_cleared), brief=True),
    Fault("clock: ten minutes wrong", moved, brief=True),
]
