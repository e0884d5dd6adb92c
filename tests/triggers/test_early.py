"""Early looks of waits that have just begun: soon, ever rarer, and within a budget that all share."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.triggers._early import BUDGET, MOST, EarlyLooks
from airflow_provider_twilio_comms.triggers._poller import FEW, Poller, Source
from tests.triggers.conftest import asked, fired, until
from tests.triggers.test_sharing import sent, trigger

INTERVAL = 30.0


def planned(*names: str, began: float = 0.0, not_before: float = 0.0, now: float = 0.0) -> EarlyLooks:
    """A wait for these that joins ``now``."""
    early = EarlyLooks(FEW, 1000, INTERVAL)
    early.add("wait", names, began, not_before, now)
    return early


async def rounds(early: EarlyLooks, until: float) -> list[float]:
    """When looks are made, with a round at each interval, which no wait needs."""
    looks, round_ = [], INTERVAL
    while (moment := min(early.first, round_)) < until:
        if moment == round_:
            await early.renew(moment)
            round_ += INTERVAL
        elif early.take(moment):
            looks.append(moment)
    return looks


async def test_looks_come_soon_and_ever_rarer_up_to_the_interval() -> None:
    early = planned("a")
    assert await rounds(early, 300.0) == [2.0, 4.0, 6.0, 9.0, 13.5, 20.25, 45.0]
    assert early.first == math.inf


async def test_nothing_is_looked_at_before_it_can_be_told() -> None:
    assert await rounds(planned("a", not_before=10.0), 29.0) == [10.0, 15.0, 22.5]


@pytest.mark.parametrize("began", [0.0, 10_000.0 - 2 * INTERVAL])
def test_what_began_long_ago_is_not_looked_at_early(began: float) -> None:
    assert planned("a", began=began, now=10_000.0).first == math.inf


def test_a_clock_that_is_ahead_makes_no_difference() -> None:
    assert planned("a", began=20_000.0, now=10_000.0).first == 10_002.0


@pytest.mark.parametrize(("page", "interval"), [(0, INTERVAL), (1000, 300.0)])
def test_dear_looks_and_safety_nets_have_none(page: int, interval: float) -> None:
    early = EarlyLooks(FEW, page, interval)
    early.add("wait", ["a"], 0.0, 0.0, 0.0)
    assert early.first == math.inf


async def test_a_crowd_has_the_rounds_only() -> None:
    assert len(planned(*map(str, range(MOST))).take(2.0)) == MOST
    crowd = planned(*map(str, range(MOST + 1)))
    assert crowd.first == 2.0
    assert await rounds(crowd, 300.0) == []


def test_those_asked_for_singly_share_the_budget() -> None:
    early = EarlyLooks(FEW, 1000, INTERVAL)
    for name in "abc":
        early.add(name, [name], 0.0, 0.0, 0.0)
    looks = [early.take(early.first) for _ in range(BUDGET // 3)]
    assert looks == [{"a", "b", "c"}] * 3
    assert early.take(early.first) == set()
    assert early.first == math.inf


def test_who_has_left_is_forgotten() -> None:
    early = planned("a")
    early.discard("wait")
    early.discard("wait")
    assert early.first == math.inf


async def test_a_wait_that_has_just_begun_ends_before_the_interval(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    (name,) = sent(1)
    before = asked(twilio)
    wait = asyncio.create_task(fired(trigger(name, poll_interval=60, deadline=time.time() + 3600), 45))
    await until(lambda: asked(twilio) == before + 1)
    twilio.twilio.clock.advance(60)
    assert (await wait)["status"] == "done"  # the next round is 51 s away at least


async def test_only_fresh_waits_are_asked_for_early(twilio: Running) -> None:
    looks: list[str] = []

    class Noting(Source[Any]):  # type: ignore[misc]
        name = "noted"
        page = 1000

        def observed(self, name: str) -> Flow[Any]:
            looks.append(name)
            return 1
            yield

    source, end = Noting(), time.time() + 3600
    async with (
        Poller.joined(source, "twilio_default", 60.0, ["old"], end, time.time() - 3600),
        Poller.joined(source, "twilio_default", 60.0, ["new"], end, time.time()),
    ):
        await until(lambda: looks.count("new") == 3)
    assert looks == ["old", "new", "new", "new"]
