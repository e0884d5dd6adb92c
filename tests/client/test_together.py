"""Groups: many calls and flows together, in both runners."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.flows import (
    Aside,
    Ended,
    Flow,
    Group,
    Pause,
    all_of,
    aside,
    gone_through,
    made,
    waited,
)
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError, TwilioError
from tests.client.conftest import Runner, Sync


class Gate:
    """Flows that wait for each other in threads: who is in, and how many at most were."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside, self.most = 0, 0
        self.opened = threading.Event()

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1

    def through(self, value: Any, wait: bool = False) -> Flow[Any]:
        yield Aside(self.enter)
        if wait:
            assert (yield from aside(lambda: self.opened.wait(30)))
        else:
            yield Pause(0.01)
        yield Aside(self.leave)
        return value


def test_all_are_carried_out_and_never_more_than_so_many_together(runner: Runner) -> None:
    gate = Gate()
    assert runner.run(all_of((gate.through(n) for n in range(20)), at_once=3)) == list(range(20))
    assert gate.most == 3


def test_a_slow_one_holds_up_nobody_but_itself(runner: Runner) -> None:
    gate = Gate()
    order: list[int] = []

    def take(key: int, value: Any) -> None:
        order.append(key)
        if len(order) == 9:
            gate.opened.set()

    work = ((n, gate.through(n, wait=n == 0)) for n in range(10))
    runner.run(gone_through(Group(work, 2), take))
    assert order == [*range(1, 10), 0]


def test_work_is_asked_for_as_places_become_free(runner: Runner) -> None:
    asked: list[int] = []

    def work() -> Iterator[tuple[int, Flow[float]]]:
        for n in range(100):
            asked.append(n)
            yield n, waited(0)

    def flow() -> Flow[list[int]]:
        group = Group(work(), 4)
        seen: list[int] = []
        while ended := (yield group):
            assert len(asked) - len(seen) <= 4 + len(ended)
            seen += [each.key for each in ended]
        return seen

    assert sorted(runner.run(flow())) == list(range(100))


def test_a_call_does_not_wait_for_the_one_after_it_whose_work_is_slow_to_come(
    server: Running, config: Config
) -> None:
    """A killed send leaves unknown what it has noted and not given to Twilio."""
    recipients, seen = server.twilio.ledger.recipients, []

    def work() -> Iterator[tuple[int, Any]]:
        for n in range(4):
            deadline = time.monotonic() + 5
            while sum(recipients.values()) < n and time.monotonic() < deadline:
                time.sleep(0.005)
            seen.append(sum(recipients.values()))
            yield n, messages.send("+12025550123", from_="+15005550006", body=f"{n}")

    client = Sync(config)
    client.run(gone_through(Group(work(), 4), lambda key, value: None))
    client.close()
    assert seen == [0, 1, 2, 3]


def test_an_error_is_a_value_and_the_group_goes_on(runner: Runner, server: Running) -> None:
    server.twilio.faults.add(Fault(kind="error_before", method="POST", path="/Messages.json$", skip=1))

    def flow() -> Flow[list[Ended]]:
        calls = [messages.send("+12025550123", from_="+15005550006", body=f"{n}") for n in range(4)]
        group, found = Group(enumerate(calls), 1), []
        while ended := (yield group):
            found += ended
        return found

    found = runner.run(flow())
    assert [each.key for each in found] == [0, 1, 2, 3]
    assert [type(each.error).__name__ for each in found if each.error] == ["SendUncertain"]
    assert dict(server.twilio.ledger.recipients) == {"+12025550123": 3}


def test_after_an_error_none_is_begun_and_those_under_way_are_finished(runner: Runner) -> None:
    gate, begun, taken = Gate(), [], []

    def failing() -> Flow[None]:
        yield Pause(0.01)
        raise ApiError("no", status=400)

    def work() -> Iterator[tuple[int, Flow[Any]]]:
        for n in range(50):
            begun.append(n)
            yield n, failing() if n == 0 else gate.through(n, wait=True)

    timer = threading.Timer(0.2, gate.opened.set)
    timer.start()
    with pytest.raises(ApiError, match="no"):
        runner.run(gone_through(Group(work(), 5), lambda key, value: taken.append(key)))
    assert begun == [0, 1, 2, 3, 4]
    assert sorted(taken) == [1, 2, 3, 4]


@pytest.mark.parametrize("error", [TwilioError("fence"), ZeroDivisionError()])
def test_work_that_raises_ends_the_group_once_the_others_have_ended(runner: Runner, error: Exception) -> None:
    taken: list[int] = []

    def work() -> Iterator[tuple[int, Flow[float]]]:
        yield from ((n, waited(0.02)) for n in range(3))
        raise error

    with pytest.raises(type(error)):
        runner.run(gone_through(Group(work(), 8), lambda key, value: taken.append(key)))
    assert sorted(taken) == [0, 1, 2]


def test_a_bug_in_one_ends_the_group(runner: Runner) -> None:
    def buggy() -> Flow[None]:
        yield Pause(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runner.run(all_of((buggy() if n == 1 else waited(0.02) for n in range(3)), 3))


def test_a_flow_that_ends_first_leaves_nothing_behind(runner: Runner) -> None:
    gate = Gate()

    def flow() -> Flow[str]:
        yield Group(((n, gate.through(n)) for n in range(3)), 3)
        return "early"

    assert runner.run(flow()) == "early"
    assert gate.inside == 0


def test_groups_may_hold_groups(runner: Runner) -> None:
    inner = (all_of((waited(0) for _ in range(3)), 2) for _ in range(4))
    assert [len(each) for each in runner.run(all_of(inner, 2))] == [3, 3, 3, 3]


def test_429_slows_the_others_down(runner: Runner, server: Running) -> None:
    server.twilio.faults.add(
        Fault(kind="rate_limited", method="POST", path="/Messages.json$", times=1, retry_after=0)
    )
    pace = Pace(1_000.0)
    calls = (made(messages.send(f"+1202555{n:04d}", from_="+15005550006", body="Hi")) for n in range(10))
    runner.run(gone_through(Group(enumerate(calls), 2, pace), lambda key, value: None))
    assert pace.per_second < 1_000.0
    assert len(server.twilio.ledger.recipients) == 10


def clock(pace: Pace, weights: list[float], tell: Callable[[float], None] = lambda time: None) -> list[float]:
    """The times at which they begin, where the pace is kept."""
    at, begun = 0.0, []
    for weight in weights:
        at += pace.delay(at)
        begun.append(at)
        pace.begin(weight, at)
        tell(at)
    return begun


def test_pace_is_kept_by_weight() -> None:
    assert clock(Pace(2.0), [1.0] * 4) == pytest.approx([0.0, 0.4, 0.9, 1.4])
    assert clock(Pace(2.0), [3.0] * 3) == pytest.approx([0.0, 1.4, 2.9])
    assert clock(Pace(), [1.0] * 4) == [0.0] * 4


def test_pace_halves_once_for_a_burst_of_429_keeps_to_retry_after_and_recovers() -> None:
    pace = Pace(100.0)
    pace.begin(1, 0.0)
    for _ in range(5):
        pace.throttled(7.0, 0.5)
    assert pace.per_second == 50.0
    assert pace.delay(0.5) == pytest.approx(7.0)
    at = 7.5
    while pace.per_second < 100.0:
        at += max(0.5, pace.delay(at))
        pace.begin(1, at)
    assert 12.0 < at < 20.0


def test_a_pace_without_limit_learns_one_from_429() -> None:
    pace = Pace()
    for n in range(100):
        pace.begin(1.0, n * 0.02)
    pace.throttled(None, 2.0)
    assert 20.0 < pace.per_second < 30.0
