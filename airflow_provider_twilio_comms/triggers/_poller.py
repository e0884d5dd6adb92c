"""One poll for all who wait: the triggers of a connection on one event loop share a session and a rhythm.

The first waiter starts the poll, the last one ends it and closes the session. Each round asks for everything
that is waited for: page by page from the list where many wait, one by one where few do or where the list
does not show it yet. Only those are woken for whom something changed, failed, or whose time is up, and a few
at a time, so that ten thousand of them do not hold up the loop. A round that fails ends nobody's wait; only
a bug does. Between rounds, waits that have just begun are looked at early, within a budget of requests.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from typing_extensions import Self

from airflow_provider_twilio_comms._core.waiting.base import Row, is_configuration, retry_after
from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.exceptions import (
    AuthenticationFailed,
    RateLimited,
    TransportFailed,
    TwilioError,
)
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.triggers._connection import REREAD, PolledConnection
from airflow_provider_twilio_comms.triggers._early import EarlyLooks

log: logging.Logger = logging.getLogger(__name__)

FEW = 5  # so many are asked for one by one, as a rule; beyond that a page of the list is cheaper
AT_ONCE = 8  # requests under way at a time
AT_A_TIME = 25  # waiters that are woken before the loop may do something else
SORTED_AT_A_TIME = 500  # answers that are sorted before the loop may do something else
LATE = 60.0  # seconds for which a round may still take when somebody's time is up
GATHER = 0.5  # seconds for which a poll that starts waits for others to join
SLOWEST = 2.0  # how much the interval may stretch while nothing moves

T = TypeVar("T")
Answers: TypeAlias = "dict[str, T | TwilioError | None]"  # None: Twilio says 404


class Source(Protocol[T]):
    """A resource to poll, which can be listed and fetched. Keep one of each: identity counts."""

    name: str
    few: int = FEW  # so many are asked for one by one
    page: int = 0  # rows of a page of the list; 0 where nothing is looked at early

    def listed(self, known: Mapping[str, T | None]) -> Flow[Mapping[str, T | None]]:
        """Those of the wanted that the list shows, as far as that takes fewer requests than asking singly.

        ``known`` holds how each of them was when last seen, or None. None in the answer counts as 404.
        """

    def observed(self, name: str) -> Flow[T | None]:
        """One of them; None where Twilio says 404."""


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """Knowledge of a waiter's names: how each was when last seen, and the 404s in a row since then.

    ``error`` is one of the last round, if it failed for any of them and was not told yet; ``confirmed`` is
    that of :class:`PolledConnection`.
    """

    seen: Mapping[str, T]
    absent: Mapping[str, Row]
    error: TwilioError | None = None
    confirmed: bool = False


@dataclass(eq=False, slots=True)
class Watch(Generic[T]):
    """One waiter, as long as the block lasts: what it waits for, and until when (seconds since 1970).

    ``began`` is when the wait began, ``not_before`` when a look is of use first.
    """

    names: tuple[str, ...]
    deadline: float
    _poller: Poller[T]
    _told: int
    began: float = 0.0
    not_before: float = 0.0
    _news: bool = False
    _bell: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._poller._join(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._poller._leave(self)

    async def look(self) -> Look[T]:
        """Get what the poll saw, once there is news or time is up. Raises what a bug in the poll raised."""
        if not self._news:
            self._bell = asyncio.get_running_loop().create_future()
            await self._bell
        self._news, self._bell = False, None
        told, self._told = self._told, self._poller.round
        return self._poller.look_of(self.names, told)

    @property
    def crowd(self) -> int:
        """The number of those that wait along."""
        return self._poller.crowd

    def wake(self) -> None:
        self._news = True
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)


@dataclass(eq=False, slots=True)
class _Wanted(Generic[T]):
    """One thing that is waited for: by whom, how it was when last seen, and what went wrong since."""

    watches: list[Watch[T]] = field(default_factory=list)
    value: T | None = None
    absent: Row | None = None
    error: TwilioError | None = None

    def take(self, answer: T | TwilioError | None, time: float) -> tuple[bool, bool]:
        """Take an answer in; tells whether that is news, and whether the thing has moved.

        A failed look and a 404 are news each time, since they are counted; so is the first look after them.
        """
        if isinstance(answer, TwilioError):
            self.error = answer
            return True, False
        news = self.error is not None or self.absent is not None
        self.error = None
        if answer is None:
            self.absent = self.absent or Row()
            self.absent.add(time)
            return True, False
        self.absent = None
        moved = answer != self.value
        if moved:  # else the one that the waits hold too is kept, and not a second one beside it
            self.value = answer
        return news or moved, moved


@dataclass(eq=False)
class Poller(Generic[T]):
    """The poll of one connection's resource at one interval (seconds), on one event loop."""

    source: Source[T]
    conn_id: str
    interval: float
    round: int = 0
    _watches: set[Watch[T]] = field(default_factory=set)
    _wanted: dict[str, _Wanted[T]] = field(default_factory=dict)
    _confirmed: bool = False
    _quiet_until: float = 0.0
    _bug: Exception | None = None
    _task: asyncio.Task[None] | None = None
    _sooner: asyncio.Event = field(default_factory=asyncio.Event)
    _calm: float = 1.0

    _running: ClassVar[dict[tuple[Any, ...], Any]] = {}

    def __post_init__(self) -> None:
        self._early = EarlyLooks(self.source.few, self.source.page, self.interval)

    @classmethod
    def joined(
        cls,
        source: Source[T],
        conn_id: str,
        interval: float,
        names: Collection[str],
        deadline: float,
        began: float = 0.0,
        not_before: float = 0.0,
    ) -> Watch[T]:
        """Wait for these along with everyone else, for as long as the block lasts that it is given to.

        ``deadline`` is in seconds since 1970, and so are ``began``, from which on a wait is new for a while
        and looked at early, and ``not_before``, until which no early look is of use.
        """
        poller = cls(source, conn_id, interval)
        poller = cls._running.get(poller._key, poller)
        # Whose time was up before it joined has one look too, however long that takes.
        names, deadline = tuple(dict.fromkeys(names)), max(deadline, time.time())
        return Watch(names, deadline, poller, poller.round, began, not_before)

    @property
    def crowd(self) -> int:
        """The number of those that wait."""
        return len(self._watches)

    def look_of(self, names: Iterable[str], told: int) -> Look[T]:
        """Look up what is known of these. Errors only of a round after the one that was ``told``.

        Raises what a bug in the poll raised.
        """
        if self._bug is not None:
            raise self._bug
        seen: dict[str, T] = {}
        absent: dict[str, Row] = {}
        error = None
        for name in names:
            wanted = self._wanted[name]
            if wanted.value is not None:
                seen[name] = wanted.value
            if wanted.absent is not None:
                absent[name] = wanted.absent
            error = wanted.error or error
        return Look(seen, absent, error if self.round > told else None, self._confirmed)

    @property
    def _key(self) -> tuple[Any, ...]:
        return (asyncio.get_running_loop(), self.source, self.conn_id, self.interval)

    def _join(self, watch: Watch[T]) -> None:
        self._running[self._key] = self
        self._watches.add(watch)
        self._early.add(watch, watch.names, watch.began, watch.not_before, time.time())
        wanted = [self._wanted.setdefault(name, _Wanted()) for name in watch.names]
        for each in wanted:
            each.watches.append(watch)
        self._sooner.set()
        if self._bug is not None or any(each.value is not None for each in wanted):
            watch.wake()  # what is known already is no news to the poll, but is to whoever joins late
        if self._task is None:
            # In a context of its own: in the triggerer the context tells whose log a line belongs to, and the
            # poll's lines are no single task's.
            self._task = contextvars.Context().run(
                asyncio.create_task, self._poll(), name=f"twilio {self.source.name} of {self.conn_id}"
            )

    async def _leave(self, watch: Watch[T]) -> None:
        self._watches.discard(watch)
        self._early.discard(watch)
        for name in watch.names:
            watches = self._wanted[name].watches
            watches.remove(watch)
            if not watches:
                del self._wanted[name]
        if not self._watches:
            self._tell_crowd()
            del self._running[self._key]
            assert self._task is not None
            await _stop([self._task])

    async def _poll(self) -> None:
        try:
            await asyncio.to_thread(_metrics.ready)
            await asyncio.sleep(GATHER)
            async with PolledConnection(self.conn_id) as connection:
                while True:
                    began = time.time()
                    if not await self._go_round(connection):
                        await self._wake(self._due(time.time()))
                    await self._early.renew(time.time())
                    await self._rest(began, connection)
        except Exception as bug:
            self._bug = bug
            await self._wake(set(self._watches))

    async def _go_round(self, connection: PolledConnection, early: Collection[str] | None = None) -> bool:
        """Ask for all, or for these, and tell who waits; False while Twilio has asked to be left alone."""
        began = time.time()
        answers = await self._wait_for_round(connection, early)
        if answers is None:
            return False
        self._count(time.time() - began, answers.values())
        await self._tell(answers)
        return True

    async def _look_early(self, connection: PolledConnection) -> None:
        """Look at those whose early look is due. Only the rounds slow the poll down."""
        calm = self._calm
        if names := self._early.take(time.time()):
            await self._go_round(connection, names)
        self._calm = min(calm, self._calm)

    async def _wait_for_round(
        self, connection: PolledConnection, early: Collection[str] | None
    ) -> Answers[T] | None:
        """A round; whoever's time is long up while it lasts, as in an outage, is told what is known.

        Each has the time for one look: a deadline may have passed while no triggerer ran.
        """
        round_ = asyncio.create_task(self._look(connection, early))
        began = time.time()
        try:
            while not round_.done():
                first = min((watch.deadline for watch in self._watches), default=began)
                left = max(first, began) + LATE - time.time()
                await asyncio.wait({round_}, timeout=max(left, GATHER))
                if not round_.done() and time.time() >= began + LATE:
                    await self._wake(self._due(time.time() - LATE))
            return round_.result()
        finally:
            await _stop([round_])

    async def _look(self, connection: PolledConnection, early: Collection[str] | None) -> Answers[T] | None:
        """Ask for everything that is waited for, or for these; None while Twilio has asked to be left alone.

        After a failure the connection is read again for the next round: it may have been the reason, and
        may have been put right.
        """
        answers: Answers[T]
        try:
            client = await connection.client()
        except TwilioError as error:
            answers = dict.fromkeys(self._wanted if early is None else early, error)
        else:
            if connection.changed:
                self._quiet_until = 0.0
            if time.time() < self._quiet_until:
                return None
            answers = await self._ask(client, early)
        self._confirmed = connection.confirmed
        errors = [answer for answer in answers.values() if isinstance(answer, TwilioError)]
        if errors:
            log.warning(
                "The poll failed, and is tried again (%s of %s, %d of %d waited for): %s",
                self.source.name,
                self.conn_id,
                len(errors),
                len(answers),
                errors[0],
            )
            self._quiet_until = max(self._quiet_until, time.time() + max(map(retry_after, errors)))
            if len(errors) == len(answers) or any(map(is_configuration, errors)):
                connection.doubt()
        return answers

    async def _ask(self, client: AsyncClient, early: Collection[str] | None) -> Answers[T]:
        """Ask by pages of the list, and singly for what that does not show; early, for a few of it."""
        answers: Answers[T] = {}
        known = {
            name: wanted.value for name, wanted in self._wanted.items() if early is None or name in early
        }
        if len(known) > self.source.few:
            try:
                answers.update(await client.run(self.source.listed(known)))
            except TwilioError as error:  # the list only saves requests; but an outage is not met with more
                if _is_outage(error):
                    return dict.fromkeys(known, error)
        missing = [name for name in known if name not in answers]
        queue = iter(missing if early is None else missing[: self.source.few])
        failed: list[TwilioError] = []  # in a row

        async def ask() -> None:
            for name in queue:
                if failed and (_is_for_all(failed[-1]) or len(failed) >= AT_ONCE):
                    answers[name] = failed[-1]
                    continue
                try:
                    answers[name] = await client.run(self.source.observed(name))
                    failed.clear()
                except TwilioError as error:
                    answers[name] = error
                    if _is_outage(error) or isinstance(error, AuthenticationFailed):
                        failed.append(error)

        await run_together([ask() for _ in range(min(AT_ONCE, len(known) - len(answers)))])
        return answers

    async def _tell(self, answers: Answers[T]) -> None:
        """Take in what was seen, wake those for whom there is news, and slow down while nothing moves."""
        self.round += 1
        told: set[Watch[T]] = set()
        any_moved, now = False, time.time()
        for number, (name, answer) in enumerate(answers.items(), 1):
            if (wanted := self._wanted.get(name)) is not None:
                news, moved = wanted.take(answer, now)
                any_moved = any_moved or moved
                if news:
                    told.update(wanted.watches)
            if number % SORTED_AT_A_TIME == 0:
                await asyncio.sleep(0)
        self._calm = 1.0 if any_moved else min(SLOWEST, self._calm * 1.25)
        await self._wake(told | self._due(time.time()))

    @property
    def _tags(self) -> dict[str, str]:
        return {"conn_id": self.conn_id, "resource": self.source.name}

    def _count(self, seconds: float, answers: Iterable[Any]) -> None:
        failed = any(isinstance(each, TwilioError) for each in answers)
        _metrics.polled(seconds, failed=failed, **self._tags)
        self._tell_crowd()

    def _tell_crowd(self) -> None:
        """Report how many wait on this event loop, whatever their interval."""
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

    async def _rest(self, began: float, connection: PolledConnection) -> None:
        """Until the next round is due, counted from the last one's beginning, or somebody's time is up.

        Meanwhile, those whose wait has just begun are looked at early.

        Where Twilio has said when to come back, not before, however long that is; but with a look at the
        connection now and then.
        """
        pause = self.interval * self._calm * random.uniform(0.85, 1.0)
        due = max(began + pause, time.time() + pause / 4)
        if self._quiet_until > due:
            due = min(self._quiet_until, time.time() + REREAD)
        while True:
            self._sooner.clear()
            first = min((watch.deadline for watch in self._watches), default=due)
            early = self._early.first
            left = min(due, first + GATHER) - time.time()
            if left > 0 and early <= time.time():
                await self._look_early(connection)
                continue
            with suppress(asyncio.TimeoutError):
                if left <= 0:
                    _metrics.timing("twilio.polls.lag", -left, **self._tags)
                    break
                await asyncio.wait_for(self._sooner.wait(), min(left, max(0.0, early - time.time())))
                await asyncio.sleep(min(GATHER, self.interval))  # those who join together are looked at once
        await asyncio.sleep(0)


def _is_for_all(error: TwilioError) -> bool:
    """Tell if every other request would be answered alike, and is better not made."""
    return isinstance(error, RateLimited) or retry_after(error) > 0 or getattr(error, "status", 0) == 401


def _is_outage(error: TwilioError) -> bool:
    """Tell if Twilio, or the way to it, is down or overloaded."""
    return isinstance(error, TransportFailed | RateLimited) or getattr(error, "status", 0) >= 429


async def run_together(work: Collection[Coroutine[Any, Any, None]]) -> None:
    """Run all of it to the end; where a part raises, stop the others first. (TaskGroup needs Python 3.11.)"""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _stop(tasks)


async def _stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what still runs, and wait until it has ended: nothing is left behind."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
