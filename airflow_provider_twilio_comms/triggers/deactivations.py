"""The trigger that waits for a day's report of deactivated numbers without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_twilio_comms._core.resources.media import there
from airflow_provider_twilio_comms._core.waiting.base import Budget, Failures, retry_after
from airflow_provider_twilio_comms.api.messaging import deactivations
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["TwilioDeactivationsTrigger"]


class TwilioDeactivationsTrigger(BaseTrigger):
    """Wait until a day's report is there, or time is up, and tell how that ended in one event.

    The event is ``{"status"}``: ``done``, ``timeout``, or ``error`` with the ``error``.

    :param day: the day, as ``YYYY-MM-DD``
    :param twilio_conn_id: the connection
    :param deadline: when time is up, in seconds since 1970
    :param poll_interval: seconds between polls
    :param not_before: no event before this time, in seconds since 1970
    """

    budget: ClassVar[Budget] = Budget()

    def __init__(
        self,
        day: str,
        twilio_conn_id: str,
        deadline: float = 0.0,
        poll_interval: float = 900.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.day = day
        self.twilio_conn_id = twilio_conn_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "day": self.day,
                "twilio_conn_id": self.twilio_conn_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "not_before": self.not_before,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        event = await self._event()
        await asyncio.sleep(max(0.0, self.not_before - time.time()))
        yield TriggerEvent(event)

    async def _event(self) -> dict[str, Any]:
        """Poll with a connection that is read for each poll, and no sooner than Twilio asks for."""
        place, failures = deactivations.fetch(date.fromisoformat(self.day)), Failures()
        quiet_until = 0.0
        while True:
            try:
                if time.time() >= quiet_until:
                    if await TwilioHook(self.twilio_conn_id).arun(there(place)):
                        return {"status": "done"}
                    failures = Failures()
            except TwilioError as error:
                self.log.warning("The poll failed, and is tried again: %s", error)
                failures.add(error, time.time())
                if failures.exceed(self.budget, time.time()):
                    return {"status": "error", "error": error.to_dict()}
                quiet_until = time.time() + retry_after(error)
            left = self.deadline - time.time()
            if left <= 0:
                return {"status": "timeout"}
            await asyncio.sleep(min(max(self.poll_interval, quiet_until - time.time()), left))
