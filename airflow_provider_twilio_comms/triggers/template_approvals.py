"""The trigger that waits for WhatsApp's approval of content templates without a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_twilio_comms._core.waiting.template_approvals import ApprovalWait, Seen, seen
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.triggers._poller import FEW, Source
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger

__all__ = ["TwilioTemplateApprovalTrigger"]

PAGE = 1000  # rows of the list that are asked for at a time
WORTH = 10  # single requests that one page of the list may replace


class _Approvals:
    """Approvals of content templates."""

    name = "template approvals"
    few = FEW
    page = 0  # they take hours

    def listed(self, known: Mapping[str, Seen | None]) -> Flow[dict[str, Seen]]:
        """Page by page, no further than asking singly is dearer."""
        found: dict[str, Seen] = {}
        call = content.list_with_approvals(page_size=PAGE)
        for _ in range(1 + len(known) // WORTH):
            page = yield from made(call)
            for row in page.items:
                asked = row.approval_requests or {}
                item = Seen.of(asked.get("status"), asked.get("rejection_reason"))
                if row.sid in known and item is not None:
                    found[row.sid] = item
            if page.next is None or len(found) == len(known):
                break
            call = page.next
        return found

    def observed(self, name: str) -> Flow[Seen | None]:
        return seen(name)


class TwilioTemplateApprovalTrigger(WaitingTrigger[Seen]):
    """Wait until WhatsApp has approved or rejected content templates, or time is up.

    Survives what Twilio and its network do for a while, and a restarted triggerer. The event is an
    :class:`~airflow_provider_twilio_comms._core.waiting.template_approvals.ApprovalOutcome`.

    :param content_sids: the templates
    :param twilio_conn_id: the connection
    :param deadline: when time is up, in seconds since 1970
    :param since: from when on a template that is not submitted is tolerated for a minute, in seconds since
        1970
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    source: ClassVar[Source[Any]] = _Approvals()

    def __init__(
        self,
        content_sids: list[str],
        twilio_conn_id: str,
        deadline: float = 0.0,
        since: float = 0.0,
        poll_interval: float = 60.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__(twilio_conn_id, deadline, since, poll_interval, not_before)
        self.content_sids = content_sids

    def waiting(self) -> ApprovalWait:
        return ApprovalWait(self.content_sids, self.deadline, self.since)

    def progress(self, known: Mapping[str, Seen]) -> str:
        counts = Counter(item.status for item in known.values())
        return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "not submitted yet"
