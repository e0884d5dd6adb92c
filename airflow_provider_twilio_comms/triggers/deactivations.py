"""Waiting for a day's report of deactivated numbers without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_twilio_comms._core.resources.media import there
from airflow_provider_twilio_comms._core.waiting.base import FLAKY, HOPELESS
from airflow_provider_twilio_comms.api.messaging import deactivations
from airflow_provider_twilio_comms.exceptions import ApiError, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["TwilioDeactivationsTrigger"]


class TwilioDeactivationsTrigger(BaseTrigger):
    """Waits until a day's report is there, or time is up, and says so in one event.

    It is ``{"status"}``: ``done``, ``timeout``, or ``error`` with the ``error``.

    :param day: the day, as ``YYYY-MM-DD``
    :param twilio_conn_id: the connection
    :param deadline: when time is up, in seconds since 1970
    :param poll_interval: seconds between polls
    :param not_before: no event before this time, in seconds since 1970
    """

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
        place, failures = deactivations.fetch(date.fromisoformat(self.day)), 0
        while True:
            try:
                if await TwilioHook(self.twilio_conn_id).arun(there(place)):
                    return {"status": "done"}
                failures = 0
            except TwilioError as error:
                failures += 1
                self.log.warning("The poll failed, and is tried again: %s", error)
                hopeless = isinstance(error, ApiError) and error.verdict == "configuration"
                if failures >= (HOPELESS if hopeless else FLAKY):
                    return {"status": "error", "error": error.to_dict()}
            left = self.deadline - time.time()
            if left <= 0:
                return {"status": "timeout"}
            await asyncio.sleep(min(self.poll_interval, left))
