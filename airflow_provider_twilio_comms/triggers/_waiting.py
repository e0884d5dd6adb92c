"""Base of the triggers that wait on a shared poll, whatever they wait for."""

from __future__ import annotations

import asyncio
import inspect
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from sys import intern
from typing import Any, ClassVar, Generic, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_twilio_comms._core.waiting.base import Budget, Ending, Waiting
from airflow_provider_twilio_comms.triggers._poller import Look, Poller, Source

T = TypeVar("T")
KILLING = 25.0  # seconds that a trigger may take to do what a kill asks for; Airflow waits for 30
TOLD = 0.01  # seconds between two lines of progress, for each trigger that waits along


class WaitingTrigger(BaseTrigger, Generic[T]):
    """Waits for things of type ``T``, and says in one event how that ended.

    Its arguments are attributes of the same names, all of them plain data.

    :param twilio_conn_id: the connection
    :param deadline: when time is up, in seconds since 1970
    :param since: when the wait began, in seconds since 1970: the grace for a 404 counts from then
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    source: ClassVar[Source[Any]]
    budget: ClassVar[Budget] = Budget()

    _told: str = ""
    _silent_until: float = 0.0

    def __init__(
        self, twilio_conn_id: str, deadline: float, since: float, poll_interval: float, not_before: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.twilio_conn_id = twilio_conn_id
        self.deadline = deadline
        self.since = since
        self.poll_interval = poll_interval
        self.not_before = not_before

    @abstractmethod
    def waiting(self) -> Waiting[T, Ending]:
        """The wait as the domain knows it: for these, until then."""

    @abstractmethod
    def progress(self, known: Mapping[str, T]) -> str:
        """Describe how far it is, in counts."""

    def shown(self) -> str:
        """Name what is waited for, for the log."""
        return ", ".join(self.waiting().names)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        wait = self.waiting()
        wait.budget = self.budget
        await asyncio.sleep(max(0.0, min(wait.quiet_until, wait.deadline) - time.time()))
        outcome = None
        async with Poller.joined(
            self.source,
            self.twilio_conn_id,
            self.poll_interval,
            wait.names,
            wait.deadline,
            self.since,
            self.not_before,
        ) as watch:
            while outcome is None:
                outcome = _judge(wait, await watch.look())
                if outcome is None and time.time() >= self._silent_until:
                    self._tell(self.progress(wait.known), watch.crowd)
        await asyncio.sleep(max(0.0, self.not_before - time.time()))
        yield TriggerEvent(outcome.to_event())

    async def on_kill(self) -> None:
        """Log what goes on at Twilio.

        Airflow calls this when the task was failed, marked or cleared from outside, and also when it waits
        again or another triggerer has taken over.
        """
        self.logger().warning(
            "No longer waiting; what is under way at Twilio goes on: %s (%s)",
            self.shown(),
            self._told or "no counts yet",
        )

    def _tell(self, state: str, crowd: int) -> None:
        """Log how far it is, where that is news."""
        if state != self._told:
            self._told = intern(state)  # thousands that wait may all be as far
            self._silent_until = time.time() + TOLD * crowd
            self.logger().info("%s", state)  # the class's: one of its own would take 700 bytes of every wait


def _judge(wait: Waiting[T, Ending], look: Look[T]) -> Ending | None:
    """The outcome, if there is one. A failed poll is logged once, by the poller, not by all who wait."""
    wait.take(look.seen, look.absent)
    if look.error is not None:
        return wait.fail(look.error, time.time(), confirmed=look.confirmed)
    return wait.judge(time.time())


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Carry through what a kill asks for: Airflow 3.3 cancels a killed trigger anew every second, and with
    it an ``on_kill`` that is under way (``cancel_triggers`` in its triggerer_job_runner.py).
    """
    task = asyncio.create_task(asyncio.wait_for(work, KILLING))
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
