"""One poll for all who wait: the triggers of a connection on one event loop share a session and a rhythm.

The first waiter starts the poll, the last one ends it and closes the session. Each round asks for everything
that is waited for: page by page from the list where many wait, one by one where few do or where the list
does not show it yet. Only those are woken for whom something changed, failed, or whose time is up, and a few
at a time, so that ten thousand of them do not hold up the loop. A round that fails ends nobody's wait; only
a bug does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.exceptions import RateLimited, TransportFailed, TwilioError
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["Poller", "Source", "Watch"]

FEW = 5  # so many are asked for one by one; beyond that a page of the list is cheaper
AT_ONCE = 8  # requests under way at a time
AT_A_TIME = 50  # waiters that are woken before the loop may do something else
LATE = 60.0  # seconds for which a round may still take when somebody's time is up
GATHER = 0.5  # seconds for which a poll that starts waits for others to join
SLOWEST = 2.0  # how much the interval may stretch while nothing moves
SKEW = 300.0  # seconds by which two clocks may differ

T = TypeVar("T")
Look: TypeAlias = "Mapping[str, T | TwilioError | None]"  # None: Twilio says 404


class Source(Protocol[T]):
    """What is polled: a resource that can be listed and fetched. Keep one of each: identity counts."""

    name: str

    def listed(self, wanted: Collection[str], start: datetime | None) -> Flow[dict[str, T]]:
        """Those of the wanted that the list shows, among what was made since ``start``."""

    def observed(self, name: str) -> Flow[T | None]:
        """One of them; None where Twilio says 404."""


@dataclass(eq=False, slots=True)
class Watch(Generic[T]):
    """One waiter: what it waits for, and until when (seconds since 1970)."""

    names: tuple[str, ...]
    deadline: float
    _poller: Poller[T]
    _news: bool = False
    _bell: asyncio.Future[None] | None = None

    async def looked(self) -> Look[T]:
        """What the poll saw, once there is news, or when time is up. Raises what a bug in the poll raised."""
        if not self._news:
            self._bell = asyncio.get_running_loop().create_future()
            await self._bell
        self._news, self._bell = False, None
        return self._poller.seen_by(self)

    @property
    def crowd(self) -> int:
        """How many wait along."""
        return self._poller.crowd

    def wake(self) -> None:
        self._news = True
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)


@dataclass(eq=False)
class Poller(Generic[T]):
    """The poll of one connection's resource at one interval (seconds), on one event loop."""

    source: Source[T]
    conn_id: str
    interval: float
    _watches: set[Watch[T]] = field(default_factory=set)
    _wanted: Counter[str] = field(default_factory=Counter)
    _since: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, T | TwilioError | None] = field(default_factory=dict)
    _bug: Exception | None = None
    _task: asyncio.Task[None] | None = None
    _sooner: asyncio.Event = field(default_factory=asyncio.Event)
    _calm: float = 1.0

    _running: ClassVar[dict[tuple[Any, ...], Any]] = {}

    @classmethod
    @asynccontextmanager
    async def joined(
        cls,
        source: Source[T],
        conn_id: str,
        interval: float,
        names: Collection[str],
        since: float,
        deadline: float,
    ) -> AsyncIterator[Watch[T]]:
        """Wait for these along with everyone else, for as long as the block lasts.

        ``since`` is when the oldest was made, or 0 where nobody knows; both are seconds since 1970.
        """
        key = (asyncio.get_running_loop(), source, conn_id, interval)
        poller: Poller[T] = cls._running.get(key) or cls._running.setdefault(
            key, cls(source, conn_id, interval)
        )
        watch = Watch(tuple(names), deadline, poller)
        poller._join(watch, since)
        try:
            yield watch
        finally:
            poller._leave(watch)
            if not poller._watches:
                poller._tell_crowd()
                del cls._running[key]
                await poller._end()

    @property
    def crowd(self) -> int:
        """How many wait."""
        return len(self._watches)

    def seen_by(self, watch: Watch[T]) -> Look[T]:
        """What is known of a watch's names. Raises what a bug in the poll raised."""
        if self._bug is not None:
            raise self._bug
        return {name: self._seen[name] for name in watch.names if name in self._seen}

    def _join(self, watch: Watch[T], since: float) -> None:
        self._watches.add(watch)
        self._wanted.update(watch.names)
        self._since.update(dict.fromkeys(watch.names, since))
        self._sooner.set()
        if self._bug is not None:
            watch.wake()
        if self._task is None:
            self._task = asyncio.create_task(
                self._poll(), name=f"twilio {self.source.name} of {self.conn_id}"
            )

    def _leave(self, watch: Watch[T]) -> None:
        self._watches.discard(watch)
        self._wanted.subtract(watch.names)
        for name in watch.names:
            if self._wanted[name] <= 0:
                del self._wanted[name]
                self._since.pop(name, None)
                self._seen.pop(name, None)

    async def _end(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _poll(self) -> None:
        await asyncio.to_thread(_metrics.ready)
        await asyncio.sleep(GATHER)
        try:
            while True:
                try:
                    async with TwilioHook(self.conn_id).connected() as client:
                        while True:
                            began = time.time()
                            look = await self._patiently(client)
                            self._counted(time.time() - began, look.values())
                            await self._tell(look)
                            await self._rest(began)
                except TwilioError as error:  # the connection cannot be read
                    self._counted(0.0, [error])
                    await self._tell(dict.fromkeys(self._wanted, error))
                    await self._rest(time.time())
        except Exception as bug:
            self._bug = bug
            await self._wake(set(self._watches))

    async def _patiently(self, client: AsyncClient) -> Look[T]:
        """A round; whoever's time is long up while it lasts, as in an outage, is told what is known."""
        round_ = asyncio.create_task(self._round(client))
        try:
            while not round_.done():
                left = min((watch.deadline for watch in self._watches), default=0.0) + LATE - time.time()
                await asyncio.wait({round_}, timeout=max(left, GATHER))
                if not round_.done():
                    await self._wake(self._due(time.time() - LATE))
            return round_.result()
        finally:
            round_.cancel()

    async def _round(self, client: AsyncClient) -> Look[T]:
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

    async def _tell(self, seen: Look[T]) -> None:
        """Wake those for whom there is news, and slow down while nothing moves.

        A failed look and a 404 are news each time: they are counted.
        """
        moved = {name for name, now in seen.items() if now != self._seen.get(name)}
        news = moved | {name for name, now in seen.items() if now is None or isinstance(now, TwilioError)}
        self._calm = 1.0 if moved else min(SLOWEST, self._calm * 1.25)
        self._seen.update((name, now) for name, now in seen.items() if name in self._wanted)
        told = {watch for watch in self._watches if not news.isdisjoint(watch.names)}
        await self._wake(told | self._due(time.time()))

    @property
    def _tags(self) -> dict[str, str]:
        return {"conn_id": self.conn_id, "resource": self.source.name}

    def _counted(self, seconds: float, found: Iterable[Any]) -> None:
        failed = any(isinstance(each, TwilioError) for each in found)
        _metrics.polled(seconds, failed=failed, **self._tags)
        self._tell_crowd()

    def _tell_crowd(self) -> None:
        """How many wait on this event loop, whatever their interval."""
        loop = asyncio.get_running_loop()
        alike = [
            poller.crowd
            for key, poller in self._running.items()
            if key[0] is loop and poller._tags == self._tags
        ]
        _metrics.gauge("twilio.waits.running", sum(alike), **self._tags)

    def _due(self, moment: float) -> set[Watch[T]]:
        return {watch for watch in self._watches if watch.deadline <= moment}

    async def _wake(self, watches: Collection[Watch[T]]) -> None:
        for number, watch in enumerate(watches, 1):
            watch.wake()
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)

    async def _rest(self, began: float) -> None:
        """Until the next round is due, counted from the last one's beginning, or somebody's time is up."""
        pause = self.interval * self._calm * random.uniform(0.85, 1.0)
        due = max(began + pause, time.time() + pause / 4)
        while True:
            self._sooner.clear()
            first = min((watch.deadline for watch in self._watches), default=due)
            left = min(due, first + GATHER) - time.time()
            with suppress(asyncio.TimeoutError):
                if left <= 0:
                    _metrics.timing("twilio.polls.lag", -left, **self._tags)
                    break
                await asyncio.wait_for(self._sooner.wait(), left)
                await asyncio.sleep(min(GATHER, self.interval))  # those who join together are looked at once
        await asyncio.sleep(0)
