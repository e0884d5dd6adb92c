"""The hook: a connection read when it is needed, and work run over it, in a worker and on an event loop."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations, senders
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, Refused, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment

TO = [{"address": "+12025550100", "channel": "PHONE"}]


def sent_and_read() -> Flow[str]:
    accepted = yield from made(messages.send(TO, "Hello"))
    operation = yield from made(operations.fetch(accepted.operation_id or ""))
    return operation.id


def test_making_a_hook_reads_nothing() -> None:
    hook = TwilioHook("no_such_connection")
    assert hook.twilio_conn_id == "no_such_connection"
    with pytest.raises(TwilioError, match="'no_such_connection' cannot be read"):
        hook.run(senders.list())


class Counting(TwilioHook):
    """Counts how often the connection is read."""

    reads = 0

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        cls.reads += 1
        return super().get_connection(conn_id)


@pytest.mark.parametrize("first", ["in a worker", "on a loop"])
def test_a_connection_is_read_once(emulator: Running, first: str) -> None:
    Counting.reads = 0
    hook = Counting()
    if first == "on a loop":
        asyncio.run(hook.arun(senders.list()))
    for _ in range(3):
        hook.run(senders.list())
        asyncio.run(hook.arun(senders.list()))
    assert Counting.reads == 1


def test_calls_and_flows_run_in_a_worker(emulator: Running) -> None:
    hook = TwilioHook()
    assert len(hook.run(every_item(senders.list(page_size=2)))) == 6
    assert hook.run(sent_and_read()).startswith("comms_operation_")
    assert hook.get_conn() is hook.get_conn()


async def test_calls_and_flows_run_inside_a_running_loop(emulator: Running) -> None:
    hook = TwilioHook()
    assert len(await hook.arun(every_item(senders.list(page_size=2)))) == 6
    assert (await hook.arun(sent_and_read())).startswith("comms_operation_")
    assert not aio._clients._users


async def test_many_run_at_once_over_one_session(emulator: Running) -> None:
    hook = TwilioHook()
    async with hook.connected() as client, TwilioHook().connected() as same:
        assert same is client
        found = await asyncio.gather(*(hook.arun(senders.list()) for _ in range(20)))
    assert {len(page.items) for page in found} == {6}
    assert client._session.closed


async def test_an_error_is_the_same_on_both_sides(emulator: Running) -> None:
    work = operations.fetch("comms_operation_0" + "0" * 25)
    with pytest.raises(ApiError) as on_the_loop:
        await TwilioHook().arun(work)
    with pytest.raises(ApiError) as in_the_worker:
        TwilioHook().run(work)
    for error in (on_the_loop.value, in_the_worker.value):
        assert (error.status, error.code) == (404, 20404)


def test_hooks_of_equal_connections_share_a_session_until_the_last_is_gone(emulator: Running) -> None:
    text = emulator.connection
    with environment(AIRFLOW_CONN_OTHER=text, AIRFLOW_CONN_PATIENT=emulator.connection_json(timeout=60)):
        gc.collect()  # hooks of other tests may still wait for it
        before = len(sync._clients._users)
        first, other, patient = TwilioHook(), TwilioHook("other"), TwilioHook("patient")
        assert first.get_conn() is other.get_conn()
        assert first.get_conn() is not patient.get_conn()
        assert len(sync._clients._users) == before + 2
        del first, patient
        gc.collect()
        assert len(sync._clients._users) == before + 1
        del other
        gc.collect()
        assert len(sync._clients._users) == before


@pytest.mark.parametrize("extra", [{"region": "eu1"}, {"timeout": "soon"}])
async def test_a_bad_connection_is_bad_input(emulator: Running, extra: dict[str, str]) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(**extra)):
        (field,) = extra
        with pytest.raises(InvalidInput, match=field):
            TwilioHook().run(senders.list())
        with pytest.raises(InvalidInput, match=field):
            await TwilioHook().arun(senders.list())


async def test_what_the_connection_forbids_is_refused_on_both_sides(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(allowed_recipients="+1500*")):
        with pytest.raises(Refused):
            TwilioHook().run(messages.send(TO, "Hello"))
        with pytest.raises(Refused):
            await TwilioHook().arun(messages.send(TO, "Hello"))
    assert emulator.twilio.journal.counts == {}


def test_a_hook_shows_no_secret(emulator: Running) -> None:
    hook = TwilioHook()
    hook.run(senders.list())
    assert AUTH_TOKEN not in f"{hook!r} {hook.config!r} {vars(hook)!r}"
