"""The sensor that waits for WhatsApp's approval of content templates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.arguments import ids_of
from airflow_provider_twilio_comms.sensors._base import TwilioSensor

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.waiting.template_approvals import ApprovalOutcome
    from airflow_provider_twilio_comms.sensors._template_approvals import ApprovalTaskWait

__all__ = ["TwilioTemplateApprovalSensor"]


class TwilioTemplateApprovalSensor(TwilioSensor):
    """Wait until WhatsApp has approved content templates.

    Returns ``{"content_sids", "status", "approvals"}``, where ``approvals`` is the status of each. Fails at
    once, with WhatsApp's reason, where a template is rejected, paused or disabled, or was never submitted.

    .. code-block:: python

        TwilioTemplateApprovalSensor(
            task_id="approved", content_sids="{{ ti.xcom_pull('template')['content_sid'] }}", timeout=86_400
        )

    https://www.twilio.com/docs/content/approval-requests

    :param content_sids: one SID (``HX...``), several, or a template or XComArg that gives them
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "content_sids")

    def __init__(self, *, content_sids: str | Sequence[str], **kwargs: Any) -> None:
        kwargs.setdefault("poke_interval", 60.0)
        super().__init__(**kwargs)
        self.content_sids = content_sids

    def judged(self, outcome: ApprovalOutcome | dict[str, Any]) -> dict[str, Any]:
        approvals = self.task_wait.verdict(outcome)
        return {"content_sids": self.task_wait.sids, "status": "COMPLETED", "approvals": approvals}

    @cached_property
    def task_wait(self) -> ApprovalTaskWait:
        from airflow_provider_twilio_comms.sensors._template_approvals import ApprovalTaskWait

        now = time.time()
        return ApprovalTaskWait(
            ids_of("content_sids", self.content_sids, "HX[0-9a-zA-Z]{26,34}", "HX and 26 to 34 characters"),
            now + self.timeout,
            now,
            self.poke_interval,
            self.initial_delay,
        )
