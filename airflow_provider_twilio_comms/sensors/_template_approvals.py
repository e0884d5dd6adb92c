"""The wait of a task for WhatsApp's approval."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.waiting.results import describe_statuses
from airflow_provider_twilio_comms._core.waiting.template_approvals import (
    ApprovalOutcome,
    ApprovalWait,
    judge,
)
from airflow_provider_twilio_comms._tasks.waiting import TaskWait, tell_ends

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.triggers.template_approvals import TwilioTemplateApprovalTrigger


@dataclass(frozen=True)
class ApprovalTaskWait(TaskWait[ApprovalOutcome]):
    """The wait of a task for templates; ``deadline`` and ``since`` are seconds since 1970."""

    sids: list[str]
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float

    def wait(self) -> ApprovalWait:
        return ApprovalWait(self.sids, self.deadline, self.since)

    def seen(self, wait: ApprovalWait) -> str:
        return describe_statuses(each.status for each in wait.known.values())

    def trigger(self, conn_id: str) -> TwilioTemplateApprovalTrigger:
        from airflow_provider_twilio_comms.triggers.template_approvals import TwilioTemplateApprovalTrigger

        return TwilioTemplateApprovalTrigger(
            content_sids=self.sids,
            twilio_conn_id=conn_id,
            deadline=self.deadline,
            since=self.since,
            poll_interval=self.poll_interval,
            not_before=time.time() + self.initial_delay,
        )

    def verdict(self, outcome: ApprovalOutcome | Mapping[str, Any] | None) -> dict[str, str]:
        """The status of each template, if all are approved."""
        if not isinstance(outcome, ApprovalOutcome):
            outcome = ApprovalOutcome.from_event(outcome)
        tell_ends(list(outcome.statuses.values()), "approved", len(self.sids))
        return judge(self.wait(), outcome)
