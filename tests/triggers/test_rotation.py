"""A connection that changes during a wait: rotated, repaired or moved, it is taken up by the running poll."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.base import LEAST, Budget
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running, running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers import _connection
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.triggers.conftest import asked, fired, until

NAME = "AIRFLOW_CONN_TWILIO_DEFAULT"


class Hasty(TwilioOperationsTrigger):
    """Counts polls alone, no seconds, of those that a person has to put right."""

    budget = Budget(hopeless=0.0)


def sent() -> str:
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    return str(TwilioHook().run(messages.send(to, "Hello")).operation_id)


def trigger(name: str, kind: type[TwilioOperationsTrigger] = TwilioOperationsTrigger) -> Any:
    now = time.time()
    return kind([name], "twilio_default", deadline=now + 60, since=now, poll_interval=0.1)


async def asked_for(twilio: Running, times: int) -> None:
    """Wait until there were so many requests for operations."""
    await until(lambda: asked(twilio) >= times)


async def test_a_rotated_credential_is_taken_up_by_those_who_wait_and_those_who_come(twilio: Running) -> None:
    operation = await asyncio.to_thread(sent)
    with environment(**{NAME: twilio.connection_json(password="revoked", max_attempts=1)}):
        first = asyncio.create_task(fired(trigger(operation)))
        await asked_for(twilio, 2)
        second = asyncio.create_task(fired(trigger(operation)))
        os.environ[NAME] = twilio.connection
        assert [end["status"] for end in await asyncio.gather(first, second)] == ["done", "done"]


async def test_a_failure_of_a_connection_that_may_be_out_of_date_is_not_counted(twilio: Running) -> None:
    operation = await asyncio.to_thread(sent)
    with environment(**{NAME: twilio.connection_json(password="wrong", max_attempts=1)}):
        end = await fired(trigger(operation, Hasty))
    assert (end["status"], end["error"]["type"]) == ("error", "AuthenticationFailed")
    assert asked(twilio) == 1 + LEAST  # the first one was made with a connection that nobody had doubted


async def test_a_connection_that_changes_between_failures_is_not_held_responsible_for_the_former(
    twilio: Running,
) -> None:
    operation = await asyncio.to_thread(sent)
    with environment(**{NAME: twilio.connection_json(password="wrong 0", max_attempts=1)}):
        waiting = asyncio.create_task(fired(trigger(operation, Hasty)))
        for turn in range(1, 3 * LEAST):
            await asked_for(twilio, asked(twilio) + 1)
            os.environ[NAME] = twilio.connection_json(password=f"wrong {turn}", max_attempts=1)
        await asyncio.sleep(0)
        assert not waiting.done()
        os.environ[NAME] = twilio.connection
        assert (await waiting)["status"] == "done"


async def test_a_connection_that_changes_while_all_goes_well_is_taken_up(
    twilio: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "REREAD", 0.0)
    twilio.twilio.change(pace=3600)
    operation = await asyncio.to_thread(sent)
    with running() as elsewhere:
        waiting = asyncio.create_task(fired(trigger(operation)))
        await asked_for(twilio, 1)
        with environment(**{NAME: elsewhere.connection}):
            await until(lambda: elsewhere.twilio.journal.counts)
        assert not waiting.done()
        twilio.twilio.clock.advance(3600)
        assert (await waiting)["status"] == "done"


async def test_a_connection_that_cannot_be_read_again_is_used_as_it_was_while_it_works(
    twilio: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "REREAD", 0.0)
    twilio.twilio.change(pace=3600)
    operation = await asyncio.to_thread(sent)
    waiting = asyncio.create_task(fired(trigger(operation, Hasty)))
    await asked_for(twilio, 1)
    with environment(**{NAME: twilio.connection_json(timeout="never")}):
        await asked_for(twilio, asked(twilio) + 2 * LEAST)
    twilio.twilio.clock.advance(3600)
    assert (await waiting)["status"] == "done"


async def test_a_failure_passes_though_the_connection_cannot_be_read_meanwhile(twilio: Running) -> None:
    """A secrets backend that is away has nothing to do with an error of Twilio's."""
    twilio.twilio.change(pace=3600)
    operation = await asyncio.to_thread(sent)
    with environment(**{NAME: twilio.connection_json(max_attempts=1)}):
        waiting = asyncio.create_task(fired(trigger(operation)))
        await asked_for(twilio, 1)
        os.environ[NAME] = twilio.connection_json(timeout="never")
        twilio.twilio.faults.add(
            Fault(kind="error_before", method="GET", path="/Messages/Operations", times=1)
        )
        before = asked(twilio)
        await asked_for(twilio, before + 3)
        twilio.twilio.clock.advance(3600)
        assert (await waiting)["status"] == "done"
        assert "never" in os.environ[NAME]
