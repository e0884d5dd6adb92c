"""Polls that fail: what is asked then, what is logged, what is left behind."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.base import Budget
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.flows import Flow, waited
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._poller import AT_ONCE, FEW, Poller, Source
from airflow_provider_twilio_comms.triggers.deactivations import TwilioDeactivationsTrigger
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.triggers.conftest import asked, fired, until


class Hasty(TwilioOperationsTrigger):
    """Counts polls alone, no seconds."""

    budget = Budget(flaky=0.0, hopeless=0.0, grace=0.0)


def sent(count: int) -> list[str]:
    hook = TwilioHook()
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    return [str(hook.run(messages.send(to, "Hello")).operation_id) for _ in range(count)]


def trigger(name: str, **changes: Any) -> Hasty:
    now = time.time()
    values: dict[str, Any] = {"deadline": now + 30, "since": now, "poll_interval": 0.02}
    return Hasty([name], "twilio_default", **{**values, **changes})


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 40])
async def test_a_retry_after_of_any_length_is_kept_to_and_not_held_against_the_wait(
    twilio: Running, count: int
) -> None:
    names = await asyncio.to_thread(sent, count)
    twilio.twilio.faults.add(Fault(kind="rate_limited", retry_after=3600.0, times=None))
    end = time.time() + 1.0
    ends = await asyncio.gather(*(fired(trigger(name, deadline=end)) for name in names))
    assert {each["status"] for each in ends} == {"timeout"}
    assert 1 <= asked(twilio) <= min(count, AT_ONCE)  # those under way at the time, and none after


async def test_a_retry_after_holds_for_the_account_that_it_was_said_to(twilio: Running) -> None:
    (name,) = await asyncio.to_thread(sent, 1)
    twilio.twilio.faults.add(Fault(kind="unavailable", retry_after=3600.0))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(max_attempts=1, timeout=2)):
        waiting = asyncio.create_task(fired(trigger(name), 30.0))
        await until(lambda: asked(twilio))
        (poller,) = Poller._running.values()
        await until(lambda: poller.round)
    assert poller._quiet_until > time.time() + 3000
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_one_that_fails_for_ever_ends_nobody_else(twilio: Running) -> None:
    names = await asyncio.to_thread(sent, 3)
    twilio.twilio.faults.add(Fault(kind="error_before", path=names[0], times=None))
    ends = await asyncio.gather(*(fired(trigger(name)) for name in names))
    assert [end["status"] for end in ends] == ["error", "done", "done"]


async def test_an_outage_is_not_asked_about_once_for_each_who_waits(twilio: Running) -> None:
    """The list may still answer where the single resource does not."""
    names = await asyncio.to_thread(sent, 10 * AT_ONCE)
    twilio.twilio.change(list_lag=3600)
    twilio.twilio.faults.add(Fault(kind="bad_gateway", path="/Operations/", times=None))
    ends = await asyncio.gather(
        *(fired(trigger(name, deadline=time.time() + 0.5, poll_interval=60)) for name in names)
    )
    assert {each["status"] for each in ends} <= {"timeout", "error"}
    rounds = twilio.twilio.journal.counts["GET /comms/v1/Messages/Operations"]
    assert asked(twilio) - rounds <= 2 * AT_ONCE * rounds


async def test_a_failed_round_is_logged_once_however_many_wait(
    twilio: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    names = await asyncio.to_thread(sent, 30)
    twilio.twilio.faults.add(Fault(kind="bad_gateway", times=2))
    ends = await asyncio.gather(*(fired(trigger(name)) for name in names))
    assert {end["status"] for end in ends} == {"done"}
    told = [each.getMessage() for each in caplog.records if "poll failed" in each.getMessage()]
    assert len(told) == 2
    assert all("operations of twilio_default, 30 of 30 waited for" in line for line in told)
    by_waits = [line for line in capsys.readouterr().out.splitlines() if Hasty.__name__ in line]
    assert not any("failed, and" in line for line in by_waits)


class Buggy(Source[Any]):  # type: ignore[misc]
    """One of those that are looked at has a bug, while the others take their time."""

    name = "bugs"

    def listed(self, known: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        raise AssertionError

    def observed(self, name: str) -> Flow[Any]:
        yield from waited(0.05 if name == "bug" else 30.0)
        raise KeyError("a bug")


async def test_a_bug_in_one_look_leaves_none_of_the_others_running(twilio: Running) -> None:
    before = asyncio.all_tasks()
    async with Poller.joined(Buggy(), "twilio_default", 60, ["bug", "a", "b"], time.time() + 60) as watch:
        with pytest.raises(KeyError):
            await watch.look()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("when", [0.0, 0.1])
async def test_whoever_leaves_in_the_middle_of_a_round_leaves_no_task(twilio: Running, when: float) -> None:
    before = asyncio.all_tasks()
    async with Poller.joined(Buggy(), "twilio_default", 60, ["a", "b"], time.time() + 60):
        await asyncio.sleep(when)
    assert asyncio.all_tasks() == before


mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="nobody's")


class Curious(Source[str]):  # type: ignore[misc]
    name = "contexts"

    def listed(self, known: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        raise AssertionError

    def observed(self, name: str) -> Flow[str]:
        yield operations.list(page_size=1)
        return mine.get()


async def test_the_poll_runs_in_nobodys_context(twilio: Running) -> None:
    """In the triggerer the context tells which task's log a line belongs to."""
    mine.set("the first one's")
    async with Poller.joined(Curious(), "twilio_default", 60, ["a"], time.time() + 60) as watch:
        assert (await watch.look()).seen == {"a": "nobody's"}


async def test_the_report_of_deactivated_numbers_is_not_asked_for_before_its_time(twilio: Running) -> None:
    twilio.twilio.faults.add(Fault(kind="rate_limited", retry_after=3600.0, times=None))
    waiter = TwilioDeactivationsTrigger(
        date.today().isoformat(), "twilio_default", time.time() + 0.5, poll_interval=0.01
    )
    assert await fired(waiter) == {"status": "timeout"}
    assert sum(twilio.twilio.journal.counts.values()) == 1
