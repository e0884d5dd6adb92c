"""One poll for all who wait: the triggers of a connection on one event loop share a session and a rhythm.

The first waiter starts the poll, the last one ends it and closes the session. Each round asks for everything
that is waited for: page by page from the list where many wait, one by one where few do or where the list
does not show an operation yet. A round that fails is told to all and ends none of them; only a bug does.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.exceptions import RateLimited, TransportFailed, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.sending.waiting import observed

__all__ = ["OPERATIONS", "Poller", "Source"]

log = logging.getLogger(__name__)

FEW = 5  # so many are asked for one by one; beyond that a page of the list is cheaper
AT_ONCE = 8  # requests under way at a time
LATE = 60.0  # seconds for which the last round may take longer than its waiter has time
GATHER = 0.5  # seconds for which a poll that starts waits for others to join
SLOWEST = 2.0  # how much the interval may stretch while nothing moves
SKEW = 300.0  # seconds by which two clocks may differ

T = TypeVar("T")


class Source(Protocol[T]):
    """What is polled: a resource that can be listed and fetched. Keep one of each: identity counts."""

    name: str

    def listed(self, wanted: Collection[str], start: datetime | None) -> Flow[dict[str, T]]:
        """Those of the wanted that the list shows, among what was made since ``start``."""

    def observed(self, name: str) -> Flow[T | None]:
        """One of them; None where Twilio says 404."""


class _Operations:
    """Operations of the Communications API."""

    name = "operations"

    def listed(self, wanted: Collection[str], start: datetime | None) -> Flow[dict[str, Operation]]:
        found: dict[str, Operation] = {}
        call = operations.list(start_date=start, page_size=1000)
        while True:
            page = yield from made(call)
            found.update({row.id: row for row in page.items if row.id in wanted})
            if page.next is None or len(found) == len(wanted):
                return found
            call = page.next

    def observed(self, name: str) -> Flow[Operation | None]:
        return observed(name)


OPERATIONS: Source[Operation] = _Operations()


@dataclass(eq=False)
class Poller(Generic[T]):
    """The poll of one connection's resource at one interval (seconds), on one event loop."""

    source: Source[T]
    conn_id: str
    interval: float
    _wanted: Counter[str] = field(default_factory=Counter)
    _since: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, T | TwilioError | None] = field(default_factory=dict)
    _next: asyncio.Future[Mapping[str, T | TwilioError | None]] | None = None
    _task: asyncio.Task[None] | None = None
    _calm: float = 1.0
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)

    _running: ClassVar[dict[tuple[Any, ...], Any]] = {}

    @classmethod
    @asynccontextmanager
    async def joined(
        cls, source: Source[T], conn_id: str, interval: float, names: Collection[str], since: float
    ) -> AsyncIterator[Poller[T]]:
        """Wait for these along with everyone else, for as long as the block lasts.

        ``since`` is when the oldest was made, in seconds since 1970, or 0 where nobody knows.
        """
        key = (asyncio.get_running_loop(), source, conn_id, interval)
        poller = cls._running.get(key) or cls._running.setdefault(key, cls(source, conn_id, interval))
        poller._join(names, since)
        try:
            yield poller
        finally:
            if poller._leave(names):
                del cls._running[key]
                await poller._end()

    async def snapshot(self, until: float) -> Mapping[str, T | TwilioError | None]:
        """What the next round sees; None where Twilio says 404. Raises what a bug in the poll raised.

        A round that has not begun by ``until`` (seconds since 1970) begins then. It is nothing that is seen
        where that one takes forever, as in an outage.
        """
        assert self._next is not None
        following, left = self._next, max(0.0, until - time.time())
        told, _ = await asyncio.wait({following}, timeout=left)
        if not told:
            self._hurry.set()
            told, _ = await asyncio.wait({following}, timeout=LATE)
        return following.result() if told else {}

    def _join(self, names: Collection[str], since: float) -> None:
        self._wanted.update(names)
        self._since.update(dict.fromkeys(names, since))
        if self._task is None:
            self._next = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(
                self._poll(), name=f"twilio {self.source.name} of {self.conn_id}"
            )

    def _leave(self, names: Collection[str]) -> bool:
        """Returns whether nobody is left."""
        self._wanted.subtract(names)
        for name in names:
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

    async def _round(self, client: AsyncClient) -> Mapping[str, T | TwilioError | None]:
        wanted = list(self._wanted)
        seen: dict[str, T | TwilioError | None] = {}
        if len(wanted) > FEW:
            try:
                seen.update(await client.run(self.source.listed(set(wanted), self._oldest())))
            except TwilioError as error:  # the list only saves requests; but an outage is not met with more
                if isinstance(error, TransportFailed | RateLimited) or getattr(error, "status", 0) >= 429:
                    return dict.fromkeys(wanted, error)
        limit = asyncio.Semaphore(AT_ONCE)

        async def ask(name: str) -> None:
            async with limit:
                try:
                    seen[name] = await client.run(self.source.observed(name))
                except TwilioError as error:
                    seen[name] = error

        await asyncio.gather(*(ask(name) for name in wanted if name not in seen))
        return seen

    def _oldest(self) -> datetime | None:
        oldest = min(self._since.values(), default=0.0)
        return datetime.fromtimestamp(oldest - SKEW, timezone.utc) if oldest else None

    def _told(self, seen: Mapping[str, T | TwilioError | None]) -> None:
        """Wake everyone with what was seen, and slow down while nothing moves."""
        assert self._next is not None
        moved = any(self._seen.get(name) != now for name, now in seen.items())
        self._calm = 1.0 if moved else min(SLOWEST, self._calm * 1.25)
        self._seen = dict(seen)
        self._hurry.clear()
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        told.set_result(seen)

    async def _rest(self) -> None:
        """Until the next round is due, or somebody's time is up."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self.interval * self._calm * random.uniform(0.85, 1.0))
            await asyncio.sleep(GATHER)
