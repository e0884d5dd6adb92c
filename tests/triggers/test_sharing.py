"""One poll for all: many waits cost no more than one, and none delays or takes down another."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.client import aio
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running, running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._poller import AT_ONCE, FEW, SLOWEST, Poller, Source
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.triggers.conftest import fired, until

LIST, FETCH = "GET /comms/v1/Messages/Operations", "GET /comms/v1/Messages/Operations/{operationId}"


def sent(count: int) -> list[str]:
    hook = TwilioHook()
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    return [str(hook.run(messages.send(to, "Hello")).operation_id) for _ in range(count)]


def trigger(name: str, conn_id: str = "twilio_default", **changes: Any) -> TwilioOperationsTrigger:
    now = time.time()
    values: dict[str, Any] = {"deadline": now + 30, "since": now, "poll_interval": 0.3}
    return TwilioOperationsTrigger([name], conn_id, **{**values, **changes})


def joined() -> int:
    """How many wait at a poll, of any kind."""
    return sum(poller.crowd for poller in Poller._running.values())


async def test_two_hundred_waits_share_one_poll(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    names = sent(200)
    counts = twilio.twilio.journal.counts
    counts.clear()
    began = time.monotonic()
    waits = asyncio.gather(*(fired(trigger(name)) for name in names))
    await until(lambda: counts[LIST])
    twilio.twilio.clock.advance(60)
    ends = await waits
    rounds = (time.monotonic() - began) / (0.3 * 0.85) + 2
    assert {end["status"] for end in ends} == {"done"}
    assert 2 <= counts[LIST] <= rounds
    assert set(counts) <= {LIST, FETCH}
    assert counts.get(FETCH, 0) <= FEW * rounds  # where a few end last, they are asked for singly


@pytest.mark.parametrize(("count", "route"), [(FEW, FETCH), (FEW + 1, LIST)])
async def test_a_few_are_asked_for_singly_and_many_by_the_list(
    twilio: Running, count: int, route: str
) -> None:
    names = sent(count)
    twilio.twilio.journal.counts.clear()
    await asyncio.gather(*(fired(trigger(name)) for name in names))
    assert twilio.twilio.journal.counts == {route: count if route == FETCH else 1}


async def test_what_the_list_does_not_show_is_asked_for_singly(twilio: Running) -> None:
    twilio.twilio.change(list_lag=3600)
    names = sent(FEW + 1)
    twilio.twilio.journal.counts.clear()
    await asyncio.gather(*(fired(trigger(name)) for name in names))
    assert twilio.twilio.journal.counts == {LIST: 1, FETCH: FEW + 1}


async def test_a_list_that_may_not_be_read_is_no_outage(twilio: Running) -> None:
    """A Restricted key may have the right to fetch and not to list."""
    names = sent(FEW + 1)

    class Forbidden(Source[Any]):  # type: ignore[misc]
        name = "operations"

        def listed(self, known: Any) -> Flow[dict[str, Any]]:
            yield messages.fetch("comms_message_0" + "0" * 25)  # a 404
            return {}

        def observed(self, name: str) -> Flow[Any]:
            return (yield operations.fetch(name))

    async with Poller.joined(Forbidden(), "twilio_default", 0.1, names, time.time() + 5) as watch:
        look = await watch.look()
    assert sorted(look.seen) == sorted(names)


async def test_an_outage_is_not_met_with_more_requests(twilio: Running) -> None:
    names = sent(50)
    twilio.twilio.journal.counts.clear()
    twilio.twilio.faults.add(Fault(kind="rate_limited", times=3))
    ends = await asyncio.gather(*(fired(trigger(name, poll_interval=0.02)) for name in names))
    assert {end["status"] for end in ends} == {"done"}
    assert twilio.twilio.journal.counts == {LIST: 4}


async def test_requests_are_bounded(twilio: Running) -> None:
    """However many have to be asked for singly, so many are under way at a time."""
    names = sent(AT_ONCE * 3)
    twilio.twilio.change(list_lag=3600, reply_delay=0.1)
    began = time.monotonic()
    await asyncio.gather(*(fired(trigger(name)) for name in names))
    assert time.monotonic() - began >= 0.1 + 3 * 0.1


async def test_a_late_comer_joins_the_poll(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    first, second = sent(2)
    task = asyncio.create_task(fired(trigger(first)))
    await until(lambda: joined() == 1)
    late = asyncio.create_task(fired(trigger(second)))
    await until(lambda: joined() == 2)
    assert len(Poller._running) == 1
    twilio.twilio.clock.advance(60)
    assert (await late)["status"] == "done"
    assert (await task)["status"] == "done"


async def test_who_joins_late_is_told_what_the_poll_knows(twilio: Running) -> None:
    """One waits for a receipt that never comes; the other for what has long been so."""
    to = [{"address": "+12025559000", "channel": "PHONE"}]
    name = str(TwilioHook().run(messages.send(to, "Hello")).operation_id)
    first = asyncio.create_task(fired(trigger(name, until="delivered", poll_interval=3600)))
    await until(lambda: Poller._running)
    (poller,) = Poller._running.values()
    await until(lambda: poller.round)
    assert (await fired(trigger(name, poll_interval=3600)))["status"] == "done"
    assert (twilio.twilio.journal.counts[FETCH], first.done()) == (1, False)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_old_operations_are_found_in_the_list_too() -> None:
    """Sensors wait for what was made long before they began."""
    with (
        running(clock=Clock(time.time() - 3 * 24 * 3600), pace=0) as twilio,
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(max_attempts=1)),
    ):
        to = [{"address": "+12025559000", "channel": "PHONE"}]  # without a receipt
        hook = TwilioHook()
        names = [str(hook.run(messages.send(to, "Hello")).operation_id) for _ in range(40)]
        end = time.time() + 1.5
        waits = (fired(trigger(name, until="delivered", deadline=end)) for name in names)
        assert {each["status"] for each in await asyncio.gather(*waits)} == {"timeout"}
        counts = twilio.twilio.journal.counts
        assert (counts[FETCH], counts[LIST] > 2) == (0, True)


async def test_a_failing_connection_does_not_delay_another(twilio: Running) -> None:
    (name,) = sent(1)
    mute = socket.create_server(("127.0.0.1", 0))  # takes connections and never says a word
    address = f"http://127.0.0.1:{mute.getsockname()[1]}"
    slow = twilio.connection_json(max_attempts=5, timeout=60).replace(twilio.url, address)
    with mute, environment(AIRFLOW_CONN_SLOW=slow):
        stuck = asyncio.create_task(fired(trigger(name, "slow")))
        assert (await fired(trigger(name)))["status"] == "done"
        assert not stuck.done()
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck


async def test_intervals_are_kept_apart(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    (name,) = sent(1)
    waits = [
        asyncio.create_task(fired(trigger(name, poll_interval=interval))) for interval in (0.1, 0.1, 0.2)
    ]
    await until(lambda: joined() == 3)
    assert len(Poller._running) == 2
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_a_cancelled_wait_leaves_the_others_waiting(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    first, second = sent(2)
    doomed, other = (asyncio.create_task(fired(trigger(name))) for name in (first, second))
    await until(lambda: joined() == 2)
    doomed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert (len(Poller._running), joined()) == (1, 1)
    twilio.twilio.clock.advance(60)
    assert (await other)["status"] == "done"


@pytest.mark.parametrize("when", [0.0, 0.01, 0.1, 0.4])
async def test_cancellation_leaves_neither_task_nor_session(twilio: Running, when: float) -> None:
    twilio.twilio.change(pace=60, reply_delay=0.05)
    (name,) = sent(1)
    task = asyncio.create_task(fired(trigger(name)))
    await asyncio.sleep(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not Poller._running
    assert not aio._clients._users


async def test_a_bug_in_the_poll_fails_all_who_wait_loudly(twilio: Running) -> None:
    class Buggy(Source[Any]):  # type: ignore[misc]
        name = "bugs"

        def listed(self, known: Any) -> Flow[dict[str, Any]]:
            raise AssertionError

        def observed(self, name: str) -> Flow[Any]:
            yield messages.list(page_size=1)
            raise KeyError("a bug")

    source = Buggy()

    async def wait() -> None:
        async with Poller.joined(source, "twilio_default", 0.05, ["a"], time.time() + 5) as watch:
            while True:
                await watch.look()

    found = await asyncio.gather(wait(), wait(), return_exceptions=True)
    assert [type(error) for error in found] == [KeyError, KeyError]


def scheduled() -> str:
    """An operation in which nothing moves before tomorrow."""
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    return str(TwilioHook().run(messages.send(to, "Hello", send_at=tomorrow)).operation_id)


async def test_polls_slow_down_while_nothing_moves(twilio: Running) -> None:
    name, source, end = scheduled(), TwilioOperationsTrigger.source, time.time() + 3600
    async with Poller.joined(source, "twilio_default", 0.02, [name], end) as watch:
        await watch.look()
        (poller,) = Poller._running.values()
        await until(lambda: poller._calm == SLOWEST)
        twilio.twilio.clock.advance(2 * 24 * 3600)
        await watch.look()
        assert poller._calm == 1.0


async def test_those_for_whom_nothing_changed_are_left_asleep(twilio: Running) -> None:
    name, source, end = scheduled(), TwilioOperationsTrigger.source, time.time() + 3600
    async with Poller.joined(source, "twilio_default", 0.02, [name], end) as watch:
        await watch.look()
        twilio.twilio.journal.counts.clear()
        woken = asyncio.create_task(watch.look())
        await until(lambda: twilio.twilio.journal.counts[FETCH] > 10)
        assert not woken.done()
        woken.cancel()
