"""The sensor that waits for single messages that were sent elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.arguments import ids_of, wait_for_of
from airflow_provider_twilio_comms.sensors._base import TwilioSensor

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.waiting.messages import (
        MessageOutcome,
        MessageStatus,
    )
    from airflow_provider_twilio_comms._tasks.waiting import MessagesTaskWait

__all__ = ["TwilioMessageSensor"]


class TwilioMessageSensor(TwilioSensor):
    """Wait until messages are delivered, or have another status.

    Returns ``{"sids", "status", "statuses"}``, where ``statuses`` says how many messages have which status.
    Fails at once where a message has ended otherwise, since waiting longer does not help.

    .. code-block:: python

        TwilioMessageSensor(task_id="read", sids="{{ ti.xcom_pull('tell')['sids'] }}", wait_for="delivered")

    https://www.twilio.com/docs/messaging/api/message-resource#message-status-values

    :param sids: one SID, several, or a template or XComArg that gives them
    :param wait_for: ``delivered`` (or read), ``sent`` or ``queued`` (or better), or any
        other status, such as ``canceled``. Where a carrier gives no receipts, ``delivered`` never comes
    :param until: the old name of ``wait_for``
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "sids", "wait_for")

    def __init__(
        self,
        *,
        sids: str | Sequence[str],
        wait_for: MessageStatus = "delivered",
        until: MessageStatus | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", 15.0)
        super().__init__(**kwargs)
        self.sids = sids
        self.wait_for: str = wait_for_of(wait_for, until, "delivered")

    def judged(self, outcome: MessageOutcome | dict[str, Any]) -> dict[str, Any]:
        statuses = self.task_wait.verdict(outcome, self.hook)
        return {"sids": self.task_wait.sids, "status": "COMPLETED", "statuses": statuses}

    @cached_property
    def task_wait(self) -> MessagesTaskWait:
        from airflow_provider_twilio_comms._core.waiting.messages import checked_until
        from airflow_provider_twilio_comms._tasks.waiting import MessagesTaskWait

        now = time.time()
        return MessagesTaskWait(
            ids_of("sids", self.sids, "(SM|MM)[0-9a-fA-F]{32}", "SM or MM and 32 hexadecimal digits"),
            checked_until(self.wait_for),
            now + self.timeout,
            now,
            self.poke_interval,
            self.initial_delay,
        )
