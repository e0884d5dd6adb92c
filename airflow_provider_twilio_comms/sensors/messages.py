"""Waiting for single messages that were sent elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import PokeReturnValue

from airflow_provider_twilio_comms.operators.base import (
    FIRST_EVENT,
    ending_plainly,
    ids_of,
    or_default,
)
from airflow_provider_twilio_comms.sensors.base import TwilioSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.operators.message_waits import MessagePatience
    from airflow_provider_twilio_comms.sending.message_waiting import (
        MessageOutcome,
        MessageStatus,
        MessageWait,
    )

__all__ = ["TwilioMessageSensor"]


class TwilioMessageSensor(TwilioSensor):
    """Wait until messages are delivered, or have another status.

    Returns ``{"sids", "status", "statuses"}``, where ``statuses`` says how many messages have which status.
    Fails at once where a message has ended otherwise, since waiting longer does not help.

    .. code-block:: python

        TwilioMessageSensor(task_id="read", sids="{{ ti.xcom_pull('tell')['sids'] }}", until="delivered")

    https://www.twilio.com/docs/messaging/api/message-resource#message-status-values

    :param sids: one SID, several, or a template or XComArg that gives them
    :param until: ``delivered`` (or read), ``sent`` (or better), or any other status, such as ``canceled``.
        Where a carrier gives no receipts, ``delivered`` never comes
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "sids", "until")

    def __init__(
        self,
        *,
        sids: str | Sequence[str],
        until: MessageStatus = "delivered",
        twilio_conn_id: str = "twilio_default",
        deferrable: bool | None = None,
        initial_delay: float = FIRST_EVENT,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", 15.0)
        super().__init__(**kwargs)
        self.sids = sids
        self.until = until
        self.twilio_conn_id = twilio_conn_id
        self.deferrable = or_default(deferrable)
        self.initial_delay = initial_delay

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        with ending_plainly():
            outcome = self._patience.waited(self.hook, to_the_end=False)
            if outcome is None:
                self.defer(
                    trigger=self._patience.trigger(self.twilio_conn_id),
                    method_name="execute_complete",
                    timeout=self._patience.backstop,
                )
        return self.execute_complete(context, outcome)

    def poke(self, context: Context) -> PokeReturnValue:
        from airflow_provider_twilio_comms.sending.waiting import polled

        with ending_plainly():
            self.resumed(self._wait, context)
            outcome = self.hook.run(polled(self._wait, {}))
            if outcome is None or outcome.status == "timeout":  # its time is Airflow's to tell
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._judged(outcome))

    def execute_complete(self, context: Context, event: dict[str, Any] | MessageOutcome) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with self.ending():
            return self._judged(event)

    def _judged(self, outcome: MessageOutcome | dict[str, Any]) -> dict[str, Any]:
        statuses = self._patience.verdict(outcome)
        return {"sids": self._patience.sids, "status": "COMPLETED", "statuses": statuses}

    @cached_property
    def _patience(self) -> MessagePatience:
        from airflow_provider_twilio_comms.operators.message_waits import MessagePatience
        from airflow_provider_twilio_comms.sending.message_waiting import checked_until

        now = time.time()
        return MessagePatience(
            ids_of("sids", self.sids, "(SM|MM)[0-9a-fA-F]{32}", "SM or MM and 32 hexadecimal digits"),
            checked_until(self.until),
            now + self.timeout,
            now,
            self.poke_interval,
            self.initial_delay,
        )

    @cached_property
    def _wait(self) -> MessageWait:
        return self._patience.wait()  # kept, since it counts the polls that fail
