"""Waiting for operations without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.sending.waiting import Outcome, Wait, total
from airflow_provider_twilio_comms.triggers.poller import OPERATIONS, Poller

__all__ = ["TwilioOperationsTrigger"]


class TwilioOperationsTrigger(BaseTrigger):
    """Waits until operations have ended, or time is up, and says so in one event.

    Survives what Twilio and its network do for a while, a restarted triggerer, and a 404 on an operation that
    has just been made. The event is an :class:`~airflow_provider_twilio_comms.sending.waiting.Outcome`.

    :param operation_ids: the operations
    :param twilio_conn_id: the connection
    :param until: ``processed``, or ``delivered`` to wait for the receipts too
    :param deadline: when time is up, in seconds since 1970
    :param since: when the last of the operations was made, in seconds since 1970
    :param enough: the share or number of delivered messages that ends a wait for delivery early
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    def __init__(
        self,
        operation_ids: list[str],
        twilio_conn_id: str,
        until: Literal["processed", "delivered"] = "processed",
        deadline: float = 0.0,
        since: float = 0.0,
        enough: int | float | None = None,
        poll_interval: float = 30.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operation_ids = operation_ids
        self.twilio_conn_id = twilio_conn_id
        self.until = until
        self.deadline = deadline
        self.since = since
        self.enough = enough
        self.poll_interval = poll_interval
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "operation_ids": self.operation_ids,
                "twilio_conn_id": self.twilio_conn_id,
                "until": self.until,
                "deadline": self.deadline,
                "since": self.since,
                "enough": self.enough,
                "poll_interval": self.poll_interval,
                "not_before": self.not_before,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        outcome = await self._outcome()
        await asyncio.sleep(max(0.0, self.not_before - time.time()))
        yield TriggerEvent(outcome.to_event())

    async def on_kill(self) -> None:
        """Say what goes on at Twilio: an operation cannot be canceled there."""
        self.log.info(
            "No longer waiting; what is under way at Twilio goes on: %s", ", ".join(self.operation_ids)
        )

    async def _outcome(self) -> Outcome:
        wait = Wait(self.operation_ids, self.until, self.deadline, self.since, self.enough)
        known: dict[str, Operation | None] = {}
        told = None
        async with Poller.joined(
            OPERATIONS, self.twilio_conn_id, self.poll_interval, self.operation_ids, self.since
        ) as poller:
            while True:
                outcome = self._judged(wait, known, await poller.snapshot(self.deadline))
                if outcome is not None:
                    return outcome
                if (state := _summary(known)) != told:
                    told = state
                    self.log.info("%s", state)

    def _judged(
        self,
        wait: Wait,
        known: dict[str, Operation | None],
        seen: Mapping[str, Operation | TwilioError | None],
    ) -> Outcome | None:
        error = None
        for name in self.operation_ids:
            found = seen.get(name)
            if isinstance(found, TwilioError):
                error = found
            elif name in seen:
                known[name] = found
        if error is not None:
            self.log.warning("The poll failed, and is tried again: %s", error)
            return wait.failed(error, known, time.time())
        return wait.judged(known, time.time())


def _summary(known: Mapping[str, Operation | None]) -> str:
    found = [operation for operation in known.values() if operation is not None]
    stats = total(found)
    done = sum(operation.done for operation in found)
    return (
        f"{done} of {len(known)} operations processed: {stats.arrived:,} of {stats.asked:,} messages "
        f"delivered, {stats.under_way:,} under way, {stats.lost:,} failed"
    )
