"""An event loop in a thread of its own, on which the synchronous runner carries out groups.

With a thread and a ``requests`` session for each call, many at once would take some four times the processor
time of the asynchronous client, and most of that in waiting for each other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from airflow_provider_twilio_comms.api.flows import Ended, Group
from airflow_provider_twilio_comms.client._exchange import RequestBuilder
from airflow_provider_twilio_comms.client._groups import Progress
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config

TOGETHER = 0.002  # seconds within which what ends is handed back together
ASIDES = 32  # blocking calls of a group's flows that may run together


class Waiting(Progress):
    """A group that a thread waits for."""

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.woken = threading.Event()
        self.waking = False  # whether the thread is about to be woken
        self.handed: deque[tuple[Any, Any]] = deque()  # what the loop is to begin
        self.handing = False  # whether the loop is about to begin it


class LoopThread:
    """The asynchronous client on its loop. It is opened by the first group, and closed with its owner.

    ``builder`` is the owner's, so that both have one access token.
    """

    def __init__(self, config: Config, builder: RequestBuilder) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(ASIDES, thread_name_prefix="twilio-aside"))
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="twilio-loop", daemon=True)
        self._thread.start()
        self._client: AsyncClient = self._call(_opened(config, builder))

    def ended(self, group: Waiting) -> list[Ended]:
        """Begin what may begin, and wait until something has ended; nothing says that all has."""
        while True:
            group.woken.clear()
            self._begin_due(group)
            if found := group.taken():
                return found
            delay = group.delay(time.monotonic())
            if not group.under_way and delay is None:
                return []
            group.woken.wait(delay)

    def close(self) -> None:
        """Close the client and end the thread. No group is under way then."""
        if self._loop.is_closed():
            return
        if threading.current_thread() is self._thread:  # collecting a hook may close it from anywhere
            self._loop.stop()
            return
        self._call(self._client.close())
        self._call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _begin_due(self, group: Waiting) -> None:
        """Begin what may begin, none of it waiting for another whose work is slow to come.

        A send notes what it is about to give to Twilio in a store that may take its time. The outcome of what
        is noted and not yet given would be unknown if the process died meanwhile.
        """
        for item in group.due(time.monotonic()):
            group.handed.append(item)
            if not group.handing:
                group.handing = True
                self._loop.call_soon_threadsafe(self._begin, group)

    def _begin(self, group: Waiting) -> None:
        group.handing = False  # what is handed over from now on needs another call
        while group.handed:
            key, work = group.handed.popleft()
            task = self._loop.create_task(
                self._client.carry_out(group, key, work, partial(self._wake, group))
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _wake(self, group: Waiting) -> None:
        """Wake the thread, once for those that end together: each time takes both threads long."""
        if not group.waking:
            group.waking = True
            self._loop.call_later(TOGETHER, self._woken, group)

    def _woken(self, group: Waiting) -> None:
        group.waking = False
        group.woken.set()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _opened(config: Config, builder: RequestBuilder) -> AsyncClient:
    return AsyncClient(config, connections=0, builder=builder)  # the groups bound the connections
