"""The end of a wait: the flows of polling, driven by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.base import (
    FIRST,
    FLAKY,
    GRACE,
    HOPELESS,
    LEAST,
    Failures,
    Row,
    Waiting,
    finished,
    pause_of,
    polled,
)
from airflow_provider_twilio_comms._core.waiting.operations import Outcome, Wait, observed
from airflow_provider_twilio_comms.api.comms.operations import Operation, Stats
from airflow_provider_twilio_comms.api.flows import Done, Flow, Pause, advance
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    InvalidInput,
    RateLimited,
    ServerFailed,
    TransportFailed,
)

ONE, TWO = "comms_operation_1", "comms_operation_2"
NOT_FOUND = ApiError("404", status=404, code=20404, verdict="configuration")
BROKEN = ServerFailed("500", status=500, verdict="unknown")
FORBIDDEN = AuthenticationFailed("401", status=401, verdict="configuration")
UNREAD = InvalidInput("region: is not valid", field="region")
LOST = TransportFailed("lost", sent=True)


def operation(
    name: str = ONE, status: str = "COMPLETED", made: float | None = None, **stats: int
) -> Operation:
    born = None if made is None else datetime.fromtimestamp(made, timezone.utc)
    return Operation(name, status, Stats(**(stats or {"total": 1, "recipients": 1, "delivered": 1})), born)


class World:
    """Answers a flow: calls from a script, pauses with a clock."""

    def __init__(self, *answers: Any, time: float = 1000.0) -> None:
        self.answers, self.time = list(answers), time
        self.asked: list[str] = []

    def run(self, flow: Flow[Any]) -> Any:
        step = advance(flow)
        while not isinstance(step, Done):
            if isinstance(step, Pause):
                self.time += step.seconds
                step = advance(flow, self.time)
                continue
            self.asked.append(step.path_values["operationId"])
            answer = self.answers.pop(0)
            error = answer if isinstance(answer, Exception) else None
            step = advance(flow, None if error else answer, error)
        return step.value

    def finish(self, wait: Waiting[Any, Any], every: float) -> Any:
        """Poll to the end, as a worker does, which reads its connection again after a failure."""
        while (outcome := self.run(finished(wait, every))) is None:
            pass
        return outcome


def look_times(began: float, every: float) -> Iterator[float]:
    """The moments of a wait's looks: soon at first, then at the interval."""
    time = began
    while True:
        yield time
        time += pause_of(every, time - began)


def test_an_operation_that_is_not_there_is_none() -> None:
    assert World(NOT_FOUND).run(observed(ONE)) is None
    with pytest.raises(ServerFailed):
        World(BROKEN).run(observed(ONE))


def test_what_is_settled_is_not_asked_again() -> None:
    wait = Wait([ONE, TWO], "processed", deadline=2000, since=1000)
    world = World(operation(ONE), operation(TWO, "PROCESSING"), operation(TWO))
    outcome = world.finish(wait, every=5)
    assert world.asked == [ONE, TWO, TWO]
    assert (outcome.status, sorted(outcome.operations), world.time) == ("done", [ONE, TWO], 1000.0 + FIRST)


def test_receipts_are_waited_for_where_delivery_is_asked_for() -> None:
    answers = [operation(sent=2, recipients=2), operation(delivered=1, sent=1), operation(delivered=2)]
    world = World(*answers)
    outcome = world.finish(Wait([ONE], "delivered", deadline=2000), every=5)
    assert (outcome.status, outcome.operations[ONE].stats.delivered, len(world.asked)) == ("done", 2, 3)
    assert World(*answers).finish(Wait([ONE], "processed", deadline=2000), 5).status == "done"


@pytest.mark.parametrize(("enough", "polls"), [(None, 3), (0.5, 2), (1, 2), (2, 3), (1.0, 3)])
def test_enough_ends_a_wait_for_delivery_early(enough: float | None, polls: int) -> None:
    world = World(operation(sent=2, total=2), operation(delivered=1, sent=1), operation(delivered=2))
    world.finish(Wait([ONE], "delivered", deadline=2000, enough=enough), every=5)
    assert len(world.asked) == polls


def test_a_fresh_operation_may_be_unknown_for_a_minute() -> None:
    world = World(*[NOT_FOUND] * 5, operation())
    assert world.finish(Wait([ONE], deadline=2000, since=1000), every=10).status == "done"
    gone = World(*[NOT_FOUND] * 99)
    outcome = gone.finish(Wait([ONE, TWO], deadline=2000, since=1000), every=30)
    looks = look_times(1000, every=30)
    assert (outcome.status, outcome.missing) == ("gone", (ONE, TWO))
    assert gone.time == next(time for time in looks if time >= 1060), "the first look after the minute"


def test_a_404_alone_is_never_believed() -> None:
    """Neither of what was seen before, nor of what was made long ago and is looked at for the first time."""
    under_way = operation(status="PROCESSING")
    world = World(under_way, NOT_FOUND, under_way, *[NOT_FOUND] * 9, operation(), time=5000)
    assert world.finish(Wait([ONE], deadline=9000, since=1000), every=5).status == "done"
    world = World(*[NOT_FOUND] * (LEAST - 1), operation(), time=5000)
    assert world.finish(Wait([ONE], deadline=9000, since=1000), every=5).status == "done"
    assert World(*[NOT_FOUND] * LEAST, time=5000).finish(Wait([ONE], deadline=9000), 5).status == "gone"


def test_an_operation_that_vanishes_is_gone_after_a_row_of_404s_with_its_last_counts() -> None:
    world = World(operation(status="PROCESSING", queued=3), *[NOT_FOUND] * 30, time=5000)
    outcome = world.finish(Wait([ONE], deadline=9000, since=1000), every=5)
    assert (outcome.status, outcome.missing, world.time) == ("gone", (ONE,), 5005 + GRACE)
    assert outcome.operations[ONE].stats.queued == 3


def test_a_404_after_seven_days_is_the_end_sooner() -> None:
    week = 7 * 24 * 3600.0
    world = World(operation(status="PROCESSING", made=1000), *[NOT_FOUND] * 30, time=1000 + week)
    assert world.finish(Wait([ONE], deadline=2e9), every=5).status == "gone"
    assert world.time == 1000 + week + FIRST * LEAST


def test_what_expired_is_judged_by_its_last_counts_and_the_others_are_waited_for() -> None:
    wait = Wait([ONE, TWO], "delivered", deadline=2e9, since=1000)
    answers: list[Any] = [operation(ONE, delivered=2, sent=1), operation(TWO, "PROCESSING")]
    for _ in range(20):
        answers += [NOT_FOUND, operation(TWO, "PROCESSING")]
    world = World(*answers, NOT_FOUND, operation(TWO, delivered=1), time=5000)
    outcome = world.finish(wait, every=10)
    assert (outcome.status, outcome.missing, world.answers) == ("done", (ONE,), [])
    assert outcome.operations[ONE].stats.delivered == 2


def test_a_404_on_what_has_settled_does_not_matter() -> None:
    wait = Wait([ONE, TWO], "processed", deadline=9000, since=1000)
    wait.take({ONE: operation(ONE)}, {ONE: Row(99, 1000.0), TWO: Row(1, 1000.0)})
    assert list(wait.absent) == [TWO]


def test_the_deadline_is_kept_with_a_last_look() -> None:
    world = World(*[operation(status="PROCESSING", total=1)] * 6)
    outcome = world.finish(Wait([ONE], deadline=1012), every=10)
    assert (outcome.status, world.time, outcome.operations[ONE].stats.total) == ("timeout", 1012.0, 1)


def test_an_operation_that_is_named_twice_is_waited_for_once() -> None:
    world = World(operation(), operation())
    assert world.finish(Wait([ONE, ONE], deadline=2000), every=5).status == "done"
    assert world.asked == [ONE]


def test_a_flaky_poll_is_no_failure_and_a_good_one_resets_the_count() -> None:
    under_way = operation(status="PROCESSING")
    world = World(*[LOST, BROKEN] * 10, under_way, *[BROKEN] * 20, operation())
    assert world.finish(Wait([ONE], deadline=9000), every=30).status == "done"


@pytest.mark.parametrize("every", [1.0, 15.0, 3600.0])
@pytest.mark.parametrize(
    ("error", "seconds"), [(BROKEN, FLAKY), (LOST, FLAKY), (FORBIDDEN, HOPELESS), (UNREAD, HOPELESS)]
)
def test_beyond_its_budget_in_seconds_the_error_ends_the_wait(
    error: Exception, seconds: float, every: float
) -> None:
    world = World(operation(status="PROCESSING"), *[error] * 999)
    outcome = world.finish(Wait([ONE], deadline=90000, since=1000), every)
    first, *others = islice(look_times(1000, every), 1, 999)
    end = next(time for time in others[LEAST - 2 :] if time >= first + seconds)
    assert (outcome.status, world.time) == ("error", end)
    assert outcome.error == error.to_dict()  # type: ignore[attr-defined]
    assert list(outcome.operations) == [ONE]


def test_a_failure_that_is_not_confirmed_is_a_flaky_one() -> None:
    failures = Failures()
    for time in (0, 100, 200, 300):
        failures.add(FORBIDDEN, time, confirmed=False)
    assert not failures.exceed(Wait([ONE]).budget, 300)
    for time in (300, 330, 360):
        failures.add(FORBIDDEN, time)
    assert failures.exceed(Wait([ONE]).budget, 360)


def test_the_time_that_twilio_asks_for_is_kept_to_and_not_held_against_the_wait() -> None:
    busy = RateLimited("429", status=429, code=20429, retry_after=3600.0, verdict="retry")
    world = World(*[busy] * 10, operation())
    assert world.finish(Wait([ONE], deadline=90000), every=30).status == "done"
    assert (world.time, len(world.asked)) == (1000 + 10 * 3600, 11)
    world = World(busy)
    assert world.finish(Wait([ONE], deadline=1500), every=30).status == "timeout"
    assert (world.time, len(world.asked)) == (1500, 1)


def test_time_may_be_up_during_an_outage() -> None:
    world = World(*[LOST] * 3)
    assert world.finish(Wait([ONE], deadline=1002), every=1).status == "timeout"


def test_one_look_brings_what_is_known_up_to_date() -> None:
    wait = Wait([ONE, TWO], deadline=2000, since=1000)
    wait.take({ONE: operation(status="PROCESSING")}, {})
    world = World(operation(ONE), NOT_FOUND)
    assert world.run(polled(wait)) is None
    assert (wait.known, wait.absent) == ({ONE: operation(ONE)}, {TWO: Row(1, 1000.0)})


def test_an_outcome_travels_as_an_event() -> None:
    outcome = Outcome("gone", {ONE: operation(total=1)}, (TWO,), BROKEN.to_dict())
    assert Outcome.from_event(outcome.to_event()) == outcome
    assert Outcome("done").to_event() == {"status": "done"}


@pytest.mark.parametrize("event", [None, {}, {"status": "fine"}, [], "done"])
def test_an_event_of_nobodys_is_an_error(event: Any) -> None:
    with pytest.raises(Exception, match="cannot be read"):
        Outcome.from_event(event)
