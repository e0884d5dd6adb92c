"""Wait for WhatsApp's approval of content templates, and judge the result.

https://www.twilio.com/docs/content/approval-requests
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.waiting.base import Ending, Problem, Status, Waiting
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.content import Approval
from airflow_provider_twilio_comms.api.flows import Flow, fetched
from airflow_provider_twilio_comms.exceptions import TemplateRejected, TwilioError, WaitTimedOut, scrub

PENDING = frozenset({"received", "pending"})
SHOWN = 5  # templates that an error names
LONGEST = 300  # characters of a reason that an event carries


class Seen(msgspec.Struct, frozen=True):
    """An approval as a look shows it."""

    status: str
    reason: str | None = None

    @staticmethod
    def of(status: str | None, reason: str | None) -> Seen | None:
        """None for a template that was not submitted, yet: a list may lag behind the submission."""
        if status in (None, "", "unsubmitted"):
            return None
        return Seen(str(status), scrub(reason)[:LONGEST] if reason else None)


class ApprovalOutcome(Ending, frozen=True, omit_defaults=True):
    """End of a wait: ``done``, ``timeout``, ``gone`` (never submitted, or deleted) or ``error``.

    ``statuses`` are those last seen, by SID, and ``reasons`` WhatsApp's for the rejected ones.
    """

    statuses: dict[str, str] = msgspec.field(default_factory=dict)
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


@dataclass
class ApprovalWait(Waiting[Seen, ApprovalOutcome]):
    """A wait for templates, until each is approved, or one of them will not be."""

    sids: list[str]
    deadline: float = 0.0
    since: float = 0.0

    @property
    def names(self) -> list[str]:
        return self.sids

    def observed(self, name: str) -> Flow[Seen | None]:
        return seen(name)

    def moving(self, item: Seen) -> bool:
        return item.status in PENDING

    def settled(self, found: Sequence[Seen]) -> bool:
        """All of them, or one that was refused: the others cannot make up for it."""
        refused = any(item.status != "approved" and not self.moving(item) for item in found)
        return refused or not any(map(self.moving, found))

    def end(
        self, status: Status, found: dict[str, Seen], missing: tuple[str, ...] = (), error: Problem = None
    ) -> ApprovalOutcome:
        return ApprovalOutcome(
            status,
            {sid: item.status for sid, item in found.items()},
            {sid: item.reason for sid, item in found.items() if item.reason},
            missing,
            error,
        )


def seen(sid: str) -> Flow[Seen | None]:
    """Look at a template's approval; None where it was not submitted, or Twilio does not know it."""
    approval: Approval | None = yield from fetched(content.approval(sid))
    return None if approval is None else Seen.of(approval.status, approval.rejection_reason)


def judge(wait: ApprovalWait, outcome: ApprovalOutcome) -> dict[str, str]:
    """The status of each template, where all are approved.

    Raises :class:`TemplateRejected` with WhatsApp's reasons, :class:`WaitTimedOut`, or the error that ended
    the wait.
    """
    if outcome.status == "error":
        raise TwilioError.from_dict(outcome.error or {})
    if outcome.status == "gone":
        raise TemplateRejected(
            f"{_named(outcome.missing)}: never submitted to WhatsApp, or deleted. Submit with "
            "TwilioContentTemplateOperator and whatsapp_category, then run this task again",
            content_sids=list(outcome.missing),
        )
    refused = [
        sid for sid, status in outcome.statuses.items() if status != "approved" and status not in PENDING
    ]
    if refused:
        reasons = {sid: outcome.reasons[sid] for sid in refused if sid in outcome.reasons}
        told = "; ".join(
            f"{sid} is {outcome.statuses[sid]}: {_why(reasons.get(sid))}" for sid in refused[:SHOWN]
        )
        raise TemplateRejected(
            f"{len(refused)} of {len(wait.sids)} templates cannot be used on WhatsApp. {told}. Change the "
            "template, which makes it another one, and submit that",
            content_sids=refused,
            reasons=reasons,
        )
    waiting = [sid for sid in wait.sids if outcome.statuses.get(sid) != "approved"]
    if waiting:
        counts = ", ".join(f"{name} {count}" for name, count in Counter(outcome.statuses.values()).items())
        raise WaitTimedOut(
            f"time is up; WhatsApp has not decided about {_named(waiting)} ({counts or 'no status yet'}). It "
            "usually takes minutes, at times a day; running the task again waits on"
        )
    return dict(outcome.statuses)


def _why(reason: str | None) -> str:
    return reason or "WhatsApp gives no reason"


def _named(sids: Sequence[str]) -> str:
    return ", ".join(sids[:SHOWN]) + (f" and {len(sids) - SHOWN} more" if len(sids) > SHOWN else "")
