"""Triggers on an event loop, without Airflow's triggerer: quick polls, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_twilio_comms.client import aio
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.triggers import _poller
from airflow_provider_twilio_comms.triggers._poller import Poller
from tests.conftest import environment

__all__ = ["asked", "fired", "until"]

OPERATIONS = "GET /comms/v1/Messages/Operations"


def asked(twilio: Running) -> int:
    """How many requests for operations have come, single ones and pages of the list."""
    return sum(count for route, count in twilio.twilio.journal.counts.items() if route.startswith(OPERATIONS))


async def until(true: Callable[[], Any], within: float = 30.0) -> None:
    """Go on with the event loop until this is so."""
    end = asyncio.get_running_loop().time() + within
    while not true():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.01)


async def fired(trigger: BaseTrigger, within: float = 30.0) -> Any:
    """The payload of the one event of a trigger."""

    async def events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = await asyncio.wait_for(events(), within)
    return event


@pytest.fixture(autouse=True)
async def _tidy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(_poller, "GATHER", 0.02)
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
    assert not Poller._running
    assert not aio._clients._users


@pytest.fixture
def twilio(emulator: Running) -> Iterator[Running]:
    """The emulator, behind a connection that gives up at once: the trigger's own budget is what counts."""
    emulator.twilio.change(pace=0)
    quick = emulator.connection_json(max_attempts=1, timeout=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=quick):
        yield emulator
