"""Wake tasks that wait in the triggerer, by what webhooks tell: push instead of poll.

A webhook is a hint. A final status of a message is taken as told, since Twilio signed it; an operation is
looked at, since its event holds no counts. The wait itself, the one that its trigger has, then judges if it
has ended, and only an end wakes a task: with the event that the trigger would have sent. What is not woken
here, for whatever reason, is found by the trigger's poll.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from airflow.sdk.exceptions import AirflowException

from airflow_provider_twilio_comms._core.waiting.base import Waiting
from airflow_provider_twilio_comms._core.waiting.messages import MessageWait, Seen
from airflow_provider_twilio_comms.client import aio
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.plugins.webhooks.payloads import Incoming
from airflow_provider_twilio_comms.triggers._poller import AT_ONCE, FEW, Source, run_together
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger

__all__ = ["Hint", "Waker", "read_hints"]

log: logging.Logger = logging.getLogger(__name__)

GATHER = 0.2  # seconds between two rounds, in which hints are gathered
LOOKS = 3  # looks that a hint without a status is worth: Twilio's API may lag behind its webhooks
PAUSE = 5.0  # seconds between two looks at the same wait
WITHIN = 10.0  # seconds that looks of one connection may take, its pauses for Retry-After included

_ENDS = ("delivered", "undelivered", "failed", "read", "sent")


class Hint(NamedTuple):
    """The id of an operation or a message that has moved; ``seen`` is the status of a message, if told."""

    name: str
    seen: Seen | None = None


class _Tasks(Protocol):
    """Airflow's tables: see :mod:`~airflow_provider_twilio_comms.plugins.webhooks.parked`."""

    def list_parked(self, known: Collection[int]) -> Any: ...

    def resume(self, events: Mapping[int, Mapping[str, Any]]) -> int: ...


def read_hints(things: Iterable[Incoming]) -> Iterator[Hint]:
    """Say which operations and messages have moved, by status callbacks and events."""
    for thing in things:
        extra = thing.extra
        if "status" in extra:
            yield Hint(extra["sid"], Seen(extra["status"], _code(extra.get("error_code"))))
        subject, _, moved = str(extra.get("type", "")).removeprefix("com.twilio.").rpartition(".")
        if subject == "comms-api.operation" and moved == "completed" and "operation_id" in extra:
            yield Hint(str(extra["operation_id"]))
        if subject == "comms-api.message" and moved in _ENDS:
            if moved != "sent" and "operation_id" in extra:
                yield Hint(str(extra["operation_id"]))
            if "downstream_id" in extra:
                yield Hint(str(extra["downstream_id"]), Seen(moved, _code(extra.get("error_code"))))


def _code(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() and int(value) else None


@dataclass(eq=False)
class _Waiter:
    """A task that waits: how many looks its hints are worth still, and when the next one is due."""

    trigger: WaitingTrigger[Any]
    wait: Waiting[Any, Any]
    due: float  # seconds since 1970
    looks: int = 0

    def take(self, hint: Hint) -> None:
        """Note a hint. A status is believed; one that is no end of this wait is no reason to look."""
        seen = hint.seen
        if seen is None or not isinstance(self.wait, MessageWait):
            self.looks = LOOKS
        elif not self.wait.moving(seen):
            self.wait.take({hint.name: seen}, {})
            self.looks = max(self.looks, 1)

    @property
    def may_cancel(self) -> bool:
        """If the trigger could still cancel something: Airflow kills it when its task is woken, and it cannot
        tell a task that then fails by itself from one that was failed from outside.
        """
        known = self.wait.known.values()
        return getattr(self.trigger, "cancel_on_kill", False) and any(
            isinstance(each, Seen) and each.status == "scheduled" for each in known
        )

    @property
    def unsettled(self) -> list[str]:
        """The names of what may still move, as far as is known."""
        known = self.wait.known
        return [name for name in self.wait.names if name not in known or self.wait.moving(known[name])]


async def _find(config: Config, source: Source[Any], known: Mapping[str, Any], found: dict[str, Any]) -> None:
    """Ask Twilio about these, and add the answers to ``found`` as they come."""
    async with aio.connected(config) as client:
        if len(known) > FEW:
            found.update(await client.run(source.listed(known)))
        left = iter([name for name in known if name not in found])

        async def ask() -> None:
            for name in left:
                if (item := await client.run(source.observed(name))) is not None:
                    found[name] = item

        await run_together([ask() for _ in range(AT_ONCE)])


class Waker:
    """Wake waiting tasks by hints. One of it lives in each process of the API server, on its event loop.

    ``config_of`` reads a connection, and blocks.
    """

    def __init__(self, tasks: _Tasks, config_of: Callable[[str], Config]) -> None:
        self._tasks, self._config_of = tasks, config_of
        self._hints: dict[str, Hint] = {}
        self._waiters: dict[int, _Waiter] = {}
        self._by_name: defaultdict[str, set[int]] = defaultdict(set)
        self._work: asyncio.Task[None] | None = None

    def wake(self, things: Sequence[Incoming]) -> None:
        """Have the tasks that wait for these looked at, soon and beside the request that told."""
        self._hints.update((hint.name, hint) for hint in read_hints(things))
        if self._hints and (self._work is None or self._work.done()):
            self._work = asyncio.create_task(self._run())

    async def settle(self) -> None:
        """Return when no hint is left to work on."""
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        """Work off the first hint at once; those that come meanwhile, and ``GATHER`` later, together."""
        while self._hints or any(waiter.looks for waiter in self._waiters.values()):
            try:
                if self._hints:
                    await self._match()
                await self._look(time.time())
            except Exception:  # a webhook is answered all the same, and the triggers poll on
                log.exception("Waiting tasks could not be woken by webhooks; their triggers go on polling")
                self._hints.clear()
                for waiter in self._waiters.values():
                    waiter.looks = 0
            await asyncio.sleep(GATHER)

    async def _match(self) -> None:
        """Find who waits for what the hints name; what nobody waits for is forgotten."""
        hints, self._hints = self._hints, {}
        parked = await asyncio.to_thread(self._tasks.list_parked, frozenset(self._waiters))
        for gone in self._waiters.keys() - parked.ids:
            self._forget(gone)
        for number, trigger in parked.new.items():
            waiter = _Waiter(trigger, trigger.waiting(), trigger.not_before)
            self._waiters[number] = waiter
            for name in waiter.wait.names:
                self._by_name[name].add(number)
        for hint in hints.values():
            for number in self._by_name.get(hint.name, ()):
                self._waiters[number].take(hint)

    def _forget(self, number: int) -> None:
        for name in set(self._waiters.pop(number).wait.names):
            self._by_name[name].discard(number)
            if not self._by_name[name]:
                del self._by_name[name]

    async def _look(self, now: float) -> None:
        """Look at the waits whose time has come, and resume the tasks whose wait has ended."""
        due = {no: each for no, each in self._waiters.items() if each.looks and each.due <= now}
        groups: dict[tuple[str, type[WaitingTrigger[Any]]], list[_Waiter]] = {}
        for waiter in due.values():
            waiter.looks, waiter.due = waiter.looks - 1, now + PAUSE
            if waiter.unsettled:
                key = (waiter.trigger.twilio_conn_id, type(waiter.trigger))
                groups.setdefault(key, []).append(waiter)
        await asyncio.gather(*(self._ask(*key, group) for key, group in groups.items()))
        ended = {}
        for number, waiter in due.items():
            outcome = waiter.wait.judge(now) if waiter.wait.known else None
            if outcome is not None and outcome.status == "done" and not waiter.may_cancel:
                ended[number] = outcome.to_event()
        if ended:
            woken = await asyncio.to_thread(self._tasks.resume, ended)
            log.info("Webhooks woke %d waiting tasks", woken)
            for number in ended:
                self._forget(number)

    async def _ask(self, conn_id: str, kind: type[WaitingTrigger[Any]], waiters: Sequence[_Waiter]) -> None:
        """Ask Twilio about these waits of one connection: page by page for many, one by one for few."""
        known = {name: waiter.wait.known.get(name) for waiter in waiters for name in waiter.unsettled}
        found: dict[str, Any] = {}
        try:
            config = await asyncio.to_thread(self._config_of, conn_id)
            await asyncio.wait_for(_find(config, kind.source, known, found), WITHIN)
        except (TwilioError, AirflowException, asyncio.TimeoutError) as error:
            log.warning(
                "%d operations or messages of %r that webhooks named could not be looked at; the triggers of "
                "the tasks that wait for them poll on: %s",
                len(known) - len(found),
                conn_id,
                error or type(error).__name__,
            )
        for waiter in waiters:
            waiter.wait.take({name: found[name] for name in waiter.wait.names if name in found}, {})
