"""What counts as the end of a wait: the flows of polling, driven by hand."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.base import finished, polled
from airflow_provider_twilio_comms._core.waiting.operations import Outcome, Wait, observed
from airflow_provider_twilio_comms.api.comms.operations import Operation, Stats
from airflow_provider_twilio_comms.api.flows import Done, Flow, Pause, advance
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    InvalidInput,
    ServerFailed,
    TransportFailed,
)

ONE, TWO = "comms_operation_1", "comms_operation_2"
NOT_FOUND = ApiError("404", status=404, code=20404, verdict="configuration")
BROKEN = ServerFailed("500", status=500, verdict="unknown")
FORBIDDEN = AuthenticationFailed("401", status=401, verdict="configuration")
UNREAD = InvalidInput("region: is not valid", field="region")
LOST = TransportFailed("lost", sent=True)


def operation(name: str = ONE, status: str = "COMPLETED", **stats: int) -> Operation:
    return Operation(name, status, Stats(**stats))


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


def test_an_operation_that_is_not_there_is_none() -> None:
    assert World(NOT_FOUND).run(observed(ONE)) is None
    with pytest.raises(ServerFailed):
        World(BROKEN).run(observed(ONE))


def test_what_is_settled_is_not_asked_again() -> None:
    wait = Wait([ONE, TWO], "processed", deadline=2000, since=1000)
    world = World(operation(ONE), operation(TWO, "PROCESSING"), operation(TWO))
    outcome = world.run(finished(wait, every=5))
    assert world.asked == [ONE, TWO, TWO]
    assert (outcome.status, sorted(outcome.operations), world.time) == ("done", [ONE, TWO], 1005.0)


def test_receipts_are_waited_for_where_delivery_is_asked_for() -> None:
    answers = [operation(sent=2, recipients=2), operation(delivered=1, sent=1), operation(delivered=2)]
    world = World(*answers)
    outcome = world.run(finished(Wait([ONE], "delivered", deadline=2000), every=5))
    assert (outcome.status, outcome.operations[ONE].stats.delivered, len(world.asked)) == ("done", 2, 3)
    assert World(*answers).run(finished(Wait([ONE], "processed", deadline=2000), 5)).status == "done"


@pytest.mark.parametrize(("enough", "polls"), [(None, 3), (0.5, 2), (1, 2), (2, 3), (1.0, 3)])
def test_enough_ends_a_wait_for_delivery_early(enough: float | None, polls: int) -> None:
    world = World(operation(sent=2, total=2), operation(delivered=1, sent=1), operation(delivered=2))
    world.run(finished(Wait([ONE], "delivered", deadline=2000, enough=enough), every=5))
    assert len(world.asked) == polls


def test_a_fresh_operation_may_be_unknown_for_a_minute() -> None:
    world = World(*[NOT_FOUND] * 5, operation())
    assert world.run(finished(Wait([ONE], deadline=2000, since=1000), every=10)).status == "done"
    gone = World(*[NOT_FOUND] * 9)
    outcome = gone.run(finished(Wait([ONE, TWO], deadline=2000, since=1000), every=30))
    assert (outcome.status, outcome.missing, gone.time) == ("gone", (ONE, TWO), 1060.0)


def test_an_operation_that_vanishes_is_gone() -> None:
    world = World(operation(status="PROCESSING"), NOT_FOUND, time=5000)
    assert world.run(finished(Wait([ONE], deadline=9000, since=1000), every=5)).status == "gone"


def test_the_deadline_is_kept_with_a_last_look() -> None:
    world = World(*[operation(status="PROCESSING", total=1)] * 3)
    outcome = world.run(finished(Wait([ONE], deadline=1012), every=10))
    assert (outcome.status, world.time, outcome.operations[ONE].stats.total) == ("timeout", 1012.0, 1)


def test_an_operation_that_is_named_twice_is_waited_for_once() -> None:
    world = World(operation(), operation())
    assert world.run(finished(Wait([ONE, ONE], deadline=2000), every=5)).status == "done"


def test_a_flaky_poll_is_no_failure_and_a_good_one_resets_the_count() -> None:
    under_way = operation(status="PROCESSING")
    world = World(*[LOST, BROKEN] * 9, under_way, *[BROKEN] * 19, operation())
    assert world.run(finished(Wait([ONE], deadline=9000), every=1)).status == "done"


@pytest.mark.parametrize(("error", "polls"), [(BROKEN, 20), (LOST, 20), (FORBIDDEN, 3), (UNREAD, 3)])
def test_beyond_its_budget_the_error_ends_the_wait(error: Exception, polls: int) -> None:
    world = World(operation(status="PROCESSING"), *[error] * 30)
    outcome = world.run(finished(Wait([ONE], deadline=9000), every=1))
    assert (outcome.status, len(world.asked)) == ("error", 1 + polls)
    assert outcome.error == error.to_dict()  # type: ignore[attr-defined]
    assert list(outcome.operations) == [ONE]


def test_time_may_be_up_during_an_outage() -> None:
    world = World(*[LOST] * 3)
    assert world.run(finished(Wait([ONE], deadline=1002), every=1)).status == "timeout"


def test_one_look_brings_what_is_known_up_to_date() -> None:
    known: dict[str, Operation | None] = {ONE: operation(status="PROCESSING")}
    world = World(operation(ONE), NOT_FOUND)
    assert world.run(polled(Wait([ONE, TWO], deadline=2000, since=1000), known)) is None
    assert known == {ONE: operation(ONE), TWO: None}


def test_an_outcome_travels_as_an_event() -> None:
    outcome = Outcome("gone", {ONE: operation(total=1)}, (TWO,), BROKEN.to_dict())
    assert Outcome.from_event(outcome.to_event()) == outcome
    assert Outcome("done").to_event() == {"status": "done"}


@pytest.mark.parametrize("event", [None, {}, {"status": "fine"}, [], "done"])
def test_an_event_of_nobodys_is_an_error(event: Any) -> None:
    with pytest.raises(Exception, match="cannot be read"):
        Outcome.from_event(event)
