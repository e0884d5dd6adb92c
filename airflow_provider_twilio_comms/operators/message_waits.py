"""Waiting with single messages: until they may be sent; then one look, none by a worker, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.waiting.messages import (
    MessageOutcome,
    MessageWait,
    by_verdict,
    judged,
)
from airflow_provider_twilio_comms._tasks.operator import FIRST_EVENT
from airflow_provider_twilio_comms._tasks.waiting import Lasting
from airflow_provider_twilio_comms.api.classic.messages import SOONEST
from airflow_provider_twilio_comms.hooks import metrics

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._core.sending.message import Letter
    from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger

__all__ = ["MessagePatience", "held"]

MARGIN = timedelta(minutes=1)  # for the request to arrive, and two clocks that differ


@dataclass(frozen=True)
class MessagePatience(Lasting[MessageOutcome]):
    """How a task waits for messages.

    ``deadline`` and ``since`` are seconds since 1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    sids: list[str]
    until: str
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = FIRST_EVENT

    def wait(self) -> MessageWait:
        return MessageWait(self.sids, self.until, self.deadline, self.since)

    def trigger(self, conn_id: str, *, cancel_on_kill: bool = False) -> TwilioMessagesTrigger:
        from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger

        return TwilioMessagesTrigger(
            sids=self.sids,
            twilio_conn_id=conn_id,
            until=self.until,
            deadline=self.deadline,
            since=self.since,
            poll_interval=self.poll_interval,
            not_before=time.time() + self.initial_delay,
            cancel_on_kill=cancel_on_kill,
        )

    def verdict(self, outcome: MessageOutcome | Mapping[str, Any] | None, conn_id: str) -> dict[str, int]:
        """How many messages have which status, if that is good enough."""
        if not isinstance(outcome, MessageOutcome):
            outcome = MessageOutcome.from_event(outcome)
        tags = {"conn_id": conn_id, "kind": "message"}
        metrics.count("twilio.waits.ended", 1, end=outcome.status, **tags)
        if outcome.status == "done":  # else a later try waits for them again
            arrived = sum(status in ("delivered", "read") for status in outcome.statuses.values())
            metrics.arrived(arrived, by_verdict(outcome), **tags)
        return judged(self.wait(), outcome)


def held(
    when: Callable[[Chunk, datetime | None, float], datetime | None],
    letter: Letter,
    plan: Plan,
    ledger: Ledger,
) -> Callable[[int, float], datetime | None]:
    """When each message is sent, by its number and the present: ``when`` says it of a chunk of the plan.

    Twilio schedules nothing for the next minutes: whoever may be woken for less gets the message after them.
    """
    given = letter.options.get("send_at")

    def send_at(number: int, now: float) -> datetime | None:
        found = when(plan.chunks[number], given, now)
        if found is not None and found != given:
            found = max(found, datetime.fromtimestamp(now, timezone.utc) + SOONEST + MARGIN)
        if found is not None:
            ledger.hold(found.timestamp())
        return found

    return send_at
