"""One session for those of a connection: opened by the first, closed by the last, never shared by a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations, senders
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client._sharing import Shared
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.server import Running


def test_equal_connections_share_a_client_until_the_last_has_left(config: Config) -> None:
    with sync.connected(config) as first:
        with sync.connected(replace(config)) as second:
            assert second is first
        with sync.connected(config) as third:
            assert third is first
        with sync.connected(replace(config, timeout=9.0)) as other:
            assert other is not first
    with sync.connected(config) as anew:
        assert anew is not first


async def test_equal_connections_share_a_client_on_a_loop(config: Config) -> None:
    async with aio.connected(config) as first:
        async with aio.connected(replace(config)) as second:
            assert second is first
        async with aio.connected(replace(config, secret="other")) as other:
            assert other is not first
        assert not first._session.closed
    assert first._session.closed


def test_every_loop_has_a_client_of_its_own(config: Config) -> None:
    async def client() -> aio.AsyncClient:
        async with aio.connected(config) as opened:
            await opened.run(senders.list())
            return opened

    assert asyncio.run(client()) is not asyncio.run(client())


async def test_a_client_is_closed_though_its_user_was_cancelled(config: Config) -> None:
    opened: asyncio.Future[aio.AsyncClient] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        async with aio.connected(config) as client:
            opened.set_result(client)
            await asyncio.sleep(60)

    user = asyncio.create_task(use())
    client = await opened
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert client._session.closed
    assert not aio._clients._users


def test_a_garbage_collection_in_the_middle_may_leave() -> None:
    """A hook that is collected while another client is made leaves from inside ``enter``."""
    shared: Shared[str] = Shared()
    shared.enter("old", lambda: "old")

    def make() -> str:
        shared.leave("old")
        return "new"

    done = threading.Event()
    threading.Thread(target=lambda: (shared.enter("new", make), done.set()), daemon=True).start()
    assert done.wait(2)


def test_connections_are_reused(server: Running, config: Config) -> None:
    with sync.connected(config) as client:
        for _ in range(5):
            client.run(senders.list())
        adapter = client._session.get_adapter(server.url)
        (pool,) = [adapter.poolmanager.pools[key] for key in adapter.poolmanager.pools.keys()]  # type: ignore[attr-defined] # noqa: SIM118
        assert (pool.num_connections, pool.num_requests) == (1, 5)


def test_many_threads_may_share_a_client(server: Running, config: Config) -> None:
    with sync.connected(config) as client, ThreadPoolExecutor(16) as pool:
        to = [f"+1202555{number:04}" for number in range(100)]
        sent = pool.map(lambda n: client.run(messages.send([{"address": n, "channel": "PHONE"}], "Hi")), to)
        ids = [accepted.operation_id for accepted in sent]
        found = list(pool.map(lambda name: client.run(operations.fetch(name)).id, map(str, ids)))
    assert found == ids
    assert set(server.twilio.ledger.recipients.values()) == {1}


def test_threads_open_one_client_between_them(config: Config) -> None:
    together, seen = threading.Barrier(8), set()

    def use() -> None:
        with sync.connected(config) as client:
            together.wait(5)
            seen.add(id(client))
            together.wait(5)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    assert not [key for key in sync._clients._users if config in key]  # type: ignore[operator]


async def test_many_tasks_may_share_a_client(server: Running, config: Config) -> None:
    async with aio.connected(replace(config, timeout=10)) as client:
        pages = await asyncio.gather(*(client.run(senders.list()) for _ in range(100)))
    assert {len(page.items) for page in pages} == {6}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_opens_connections_of_its_own(server: Running, config: Config) -> None:
    """Two processes that write on one socket read each other's replies."""
    with sync.connected(config) as client:
        client.run(senders.list())
        before = client._session
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                client.run(senders.list())
                with sync.connected(config) as again:
                    again.run(senders.list())
                    os.write(writer, b"own" if before not in (client._session, again._session) else b"shared")
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            assert answer.read() == b"own"
        os.waitpid(child, 0)
        client.run(senders.list())
        assert client._session is before


def test_a_collected_client_warns_of_nothing(config: Config) -> None:
    with sync.connected(config) as client:
        client.run(senders.list())
    del client
    gc.collect()
