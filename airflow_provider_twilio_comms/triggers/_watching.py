"""Base of the triggers that watch: one poll for all of a connection and topic, an event for each new thing.

A round of the poll reaches back as far as the watcher that is furthest behind; each takes from it what it
has not told yet. What was told is noted in Airflow's asset state store, and only when Airflow has stored the
events of a round (shared streams in *ack mode*, Airflow 3.3). So a triggerer that dies loses nothing, and
tells something twice only when it dies between these two writes.

Where Airflow has no shared streams (3.2, ``dag.test()``), each trigger polls for itself and keeps no note.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_twilio_comms._core.waiting.base import retry_after
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.triggers._connection import PolledConnection

log: logging.Logger = logging.getLogger(__name__)

T = TypeVar("T")
GATHER = 0.5  # seconds between two looks for somebody to poll for


@dataclass(frozen=True, repr=False)
class Round(Generic[T]):
    """One look: all that there is ``since`` then for ``wants``; nothing where it failed."""

    number: int
    at: float
    since: float
    wants: frozenset[str]
    found: Sequence[T] = ()
    config: Config | None = None
    error: TwilioError | None = None


class WatchingTrigger(BaseEventTrigger, Generic[T]):
    """Base of the triggers that watch things of type ``T``. Arguments are attributes of the same names."""

    topic: ClassVar[str]
    twilio_conn_id: str
    poll_interval: float

    _watchers: ClassVar[dict[Hashable, list[WatchingTrigger[Any]]]] = {}

    @classmethod
    @abstractmethod
    async def look(
        cls, client: AsyncClient, since: float, wants: Collection[str], memory: dict[str, Any]
    ) -> Sequence[T]:
        """One look at Twilio. ``memory`` is the poll's own, kept between its rounds."""

    @property
    @abstractmethod
    def since(self) -> float:
        """The time back to which this watcher needs a look to reach, in seconds since 1970."""

    @property
    def wants(self) -> str:
        """The part of the topic that it is about, in the words of :meth:`look`."""
        return ""

    async def begin(self) -> None:
        """Read what was told before."""

    @abstractmethod
    async def events(self, look: Round[T]) -> Iterable[TriggerEvent]:
        """Events to tell of a round that reaches far enough, or of one that failed."""

    def noted(self, number: int) -> None:
        """A round's events are with Airflow: remember what is to be written once they are stored."""

    async def stored(self, number: int) -> None:
        """Airflow has stored the events up to this round."""

    @property
    def finished(self) -> bool:
        """True if there is nothing more to watch for."""
        return False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> Hashable | None:
        return ("twilio", self.topic, self.twilio_conn_id, self.poll_interval)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        from airflow_provider_twilio_comms.triggers._shared_stream import Producer

        return Producer(_Poll(cls, kwargs["twilio_conn_id"], kwargs["poll_interval"]))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        await self.begin()
        async with self._watching():
            failing = False
            async for look in shared_stream:
                if look.error is not None and not failing:  # later rounds of an outage are the poll's to log
                    self.log.warning("The poll failed, and is tried again: %s", look.error)
                failing = look.error is not None
                covers = look.since <= self.since and (self.wants in look.wants or "" in look.wants)
                if look.error is None and not covers:
                    continue
                for event in await self.events(look):
                    yield event
                self.noted(look.number)
                if self.finished:
                    return

    async def run(self) -> AsyncIterator[TriggerEvent]:
        poll = _Poll(type(self), self.twilio_conn_id, self.poll_interval, own=self)
        async with aclosing(poll.rounds()) as rounds:
            async for event in self.filter_shared_stream(rounds):
                yield event

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        key = self.shared_stream_key()
        self._watchers.setdefault(key, []).append(self)
        try:
            yield
        finally:
            self._watchers[key].remove(self)
            if not self._watchers[key]:
                del self._watchers[key]


@dataclass
class _Poll(Generic[T]):
    """The looks of one topic, connection and interval; ``own`` is the only one it is for, if there is one."""

    kind: type[WatchingTrigger[T]]
    conn_id: str
    interval: float
    own: WatchingTrigger[T] | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    refusal: TwilioError | None = None
    quiet_until: float = 0.0

    @property
    def watchers(self) -> list[WatchingTrigger[T]]:
        if self.own is not None:
            return [self.own]
        key = ("twilio", self.kind.topic, self.conn_id, self.interval)
        return list(WatchingTrigger._watchers.get(key, ()))

    async def rounds(self) -> AsyncGenerator[Round[T], None]:
        """Look for ever. The connection is read again after a look that failed, and every few minutes."""
        await asyncio.to_thread(_metrics.ready)
        async with PolledConnection(self.conn_id) as connection:
            while True:
                await asyncio.sleep(min(GATHER, self.interval))
                if not self.watchers:
                    continue
                look = await self._round(connection)
                if look.error is not None:
                    connection.doubt()
                    log.warning(
                        "The poll failed, and is tried again (%s of %s): %s",
                        self.kind.topic,
                        self.conn_id,
                        look.error,
                    )
                yield look
                await asyncio.sleep(self.interval)

    async def stored(self, number: int) -> None:
        for watcher in self.watchers:
            await watcher.stored(number)

    async def _round(self, connection: PolledConnection) -> Round[T]:
        """One look; no request, and the last error again, while Twilio has asked to be left alone."""
        look = self._next()
        try:
            client = await connection.client()
            look = replace(look, config=connection.config)
            if self.refusal is not None and not connection.changed and time.time() < self.quiet_until:
                return replace(look, error=self.refusal)
            look = replace(look, found=await self.kind.look(client, look.since, look.wants, self.memory))
        except TwilioError as error:  # an exception would end every watcher of the connection
            look = replace(look, error=error)
            self.refusal, self.quiet_until = error, time.time() + retry_after(error)
        self._count(look)
        return look

    def _count(self, look: Round[T]) -> None:
        tags = {"conn_id": self.conn_id, "resource": f"{self.kind.topic}-watch"}
        _metrics.polled(time.time() - look.at, failed=look.error is not None, **tags)

    def _next(self, **values: Any) -> Round[T]:
        self.number += 1
        watchers = self.watchers
        since = min((watcher.since for watcher in watchers), default=0.0)
        wants = frozenset(watcher.wants for watcher in watchers)
        return Round(self.number, time.time(), since, wants, **values)
