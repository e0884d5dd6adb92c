"""One poll for all who wait: the triggers of a connection on one event loop share a session and a rhythm.

The first waiter starts the poll, the last one ends it and closes the session. Each round asks for everything
that is waited for: page by page from the list where many wait, one by one where few do or where the list
does not show an operation yet. A round that fails is told to all and ends none of them; only a bug does.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, TypeAlias

from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.sending.waiting import observed

__all__ = ["Poller", "Seen", "Snapshot"]

log = logging.getLogger(__name__)

FEW = 5  # so many are asked for one by one; beyond that a page of the list is cheaper
AT_ONCE = 8  # requests under way at a time
GATHER = 0.5  # seconds for which a poll that starts waits for others to join
SLOWEST = 2.0  # how much the interval may stretch while nothing moves
SKEW = 300.0  # seconds by which two clocks may differ

Seen: TypeAlias = "Operation | TwilioError | None"  # None: Twilio says 404
Snapshot: TypeAlias = "Mapping[str, Seen]"


@dataclass(eq=False)
class Poller:
    """The poll of one connection at one interval (seconds), on one event loop."""

    conn_id: str
    interval: float
    _wanted: Counter[str] = field(default_factory=Counter)
    _since: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _next: asyncio.Future[Snapshot] | None = None
    _task: asyncio.Task[None] | None = None
    _calm: float = 1.0

    _running: ClassVar[dict[tuple[Any, str, float], Poller]] = {}

    @classmethod
    @asynccontextmanager
    async def joined(
        cls, conn_id: str, interval: float, operation_ids: Collection[str], since: float
    ) -> AsyncIterator[Poller]:
        """Wait for these operations along with everyone else, for as long as the block lasts."""
        key = (asyncio.get_running_loop(), conn_id, interval)
        poller = cls._running.setdefault(key, cls(conn_id, interval))
        poller._join(operation_ids, since)
        try:
            yield poller
        finally:
            if poller._leave(operation_ids):
                del cls._running[key]
                await poller._end()

    async def snapshot(self) -> Snapshot:
        """What the next round sees. Raises what a bug in the poll raised."""
        assert self._next is not None
        return await asyncio.shield(self._next)

    def _join(self, operation_ids: Collection[str], since: float) -> None:
        self._wanted.update(operation_ids)
        self._since.update(dict.fromkeys(operation_ids, since))
        if self._task is None:
            self._next = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._poll(), name=f"twilio poll of {self.conn_id}")

    def _leave(self, operation_ids: Collection[str]) -> bool:
        """Returns whether nobody is left."""
        self._wanted.subtract(operation_ids)
        for name in operation_ids:
            if self._wanted[name] <= 0:
                del self._wanted[name]
                self._since.pop(name, None)
                self._seen.pop(name, None)
        return not self._wanted

    async def _end(self) -> None:
        assert self._task is not None
        assert self._next is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._next.cancel()

    async def _poll(self) -> None:
        await asyncio.sleep(GATHER)
        try:
            while True:
                try:
                    async with TwilioHook(self.conn_id).connected() as client:
                        while True:
                            self._told(await self._round(client))
                            await self._rest()
                except TwilioError as error:  # the connection cannot be read
                    self._told(dict.fromkeys(self._wanted, error))
                    await self._rest()
        except Exception as bug:
            assert self._next is not None
            self._next.set_exception(bug)
            self._next.exception()  # whoever waits gets it; with nobody waiting there is nothing to report

    async def _round(self, client: AsyncClient) -> Snapshot:
        wanted = list(self._wanted)
        seen: dict[str, Seen] = {}
        if len(wanted) > FEW:
            with suppress(TwilioError):  # the list only saves requests
                seen.update(await client.run(_listed(set(wanted), self._oldest())))
        limit = asyncio.Semaphore(AT_ONCE)

        async def ask(name: str) -> None:
            async with limit:
                try:
                    seen[name] = await client.run(observed(name))
                except TwilioError as error:
                    seen[name] = error

        await asyncio.gather(*(ask(name) for name in wanted if name not in seen))
        return seen

    def _oldest(self) -> datetime | None:
        oldest = min(self._since.values(), default=0.0)
        return datetime.fromtimestamp(oldest - SKEW, timezone.utc) if oldest else None

    def _told(self, seen: Snapshot) -> None:
        """Wake everyone with what was seen, and slow down while nothing moves."""
        assert self._next is not None
        moved = any(self._seen.get(name) != now for name, now in seen.items())
        self._calm = 1.0 if moved else min(SLOWEST, self._calm * 1.25)
        self._seen = dict(seen)
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        told.set_result(seen)

    async def _rest(self) -> None:
        await asyncio.sleep(self.interval * self._calm * random.uniform(0.85, 1.0))


def _listed(wanted: set[str], start: datetime | None) -> Flow[dict[str, Operation]]:
    """Those of the wanted operations that the list shows, reading no page more than needed."""
    found: dict[str, Operation] = {}
    call = operations.list(start_date=start, page_size=1000)
    while True:
        page = yield from made(call)
        found.update({row.id: row for row in page.items if row.id in wanted})
        if page.next is None or len(found) == len(wanted):
            return found
        call = page.next
