"""Rate limit for webhooks, and a bounded queue that stores them in batches.

Twilio repeats a refused request only where its address asks for that (connection overrides), so a burst is
not refused: it waits for its turn. A batch is one transaction: the database bears many more a second so.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from airflow_provider_twilio_comms.plugins.webhooks.payloads import Incoming

__all__ = ["Intake", "Pace"]

BATCH = 200  # things that are stored in one transaction


class Pace:
    """Turns at a rate per second; ``burst`` of them are free at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1 / rate
        self._ahead = (max(1.0, burst) - 1) * self._interval
        self._next = float("-inf")

    def reserve(self, most: float = 0.0) -> tuple[bool, float]:
        """Take the next turn if it comes within ``most`` seconds; returns if so, and in how many it comes."""
        now = time.monotonic()
        at = max(self._next, now - self._ahead)
        wait = max(0.0, at - now)
        if wait > most:
            return False, wait
        self._next = at + self._interval
        return True, wait


class Intake:
    """Store things by ``take``, which blocks and stores all that it is given, or nothing."""

    def __init__(self, take: Callable[[Sequence[Incoming]], object]) -> None:
        self._take = take
        self._waiting: deque[tuple[Sequence[Incoming], asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def store(self, things: Sequence[Incoming]) -> None:
        """Return when they are stored; raise what ``take`` raises. A request that gave up is passed over."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((things, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        while self._waiting:
            batch: list[tuple[Sequence[Incoming], asyncio.Future[None]]] = []
            size = 0
            while self._waiting and size < BATCH:
                things, stored = self._waiting.popleft()
                if not stored.done():
                    batch.append((things, stored))
                    size += len(things)
            await self._store(batch)

    async def _store(self, batch: Sequence[tuple[Sequence[Incoming], asyncio.Future[None]]]) -> None:
        """Store a batch; where that fails, one by one, so that what cannot be stored fails alone."""
        try:
            await asyncio.to_thread(self._take, [thing for things, _ in batch for thing in things])
        except Exception as error:
            if len(batch) > 1:
                for each in batch:
                    if not each[1].done():
                        await self._store([each])
            elif batch and not batch[0][1].done():
                batch[0][1].set_exception(error)
        else:
            for _, stored in batch:
                if not stored.done():
                    stored.set_result(None)
