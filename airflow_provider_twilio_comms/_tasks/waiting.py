"""Waiting for operations in a task: one look first, then without a worker, then the verdict."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_twilio_comms._core.waiting.base import (
    Ending,
    Outcome,
    Until,
    Wait,
    Waiting,
    finished,
    polled,
    total,
)
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._tasks.operator import FIRST_EVENT
from airflow_provider_twilio_comms.exceptions import DeliveryFailed, TwilioError
from airflow_provider_twilio_comms.hooks import metrics
from airflow_provider_twilio_comms.sending.verdict import (
    by_verdict,
    explained,
    failure_codes,
    judged,
)

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.api.comms.operations import Stats
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
    from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

__all__ = ["PADDING", "Lasting", "Patience", "verdict"]

E = TypeVar("E", bound=Ending)

PADDING = timedelta(minutes=10)  # the framework's own time-out is only the backstop


class Lasting(ABC, Generic[E]):
    """How a task waits; the waiting itself is the same for all."""

    deadline: float
    poll_interval: float

    @abstractmethod
    def wait(self) -> Waiting[Any, E]:
        """What is waited for."""

    @property
    def backstop(self) -> timedelta:
        """For ``defer(timeout=)``, which never tells the trigger."""
        return timedelta(seconds=max(0.0, self.deadline - time.time())) + PADDING

    def waited(self, hook: TwilioHook, *, to_the_end: bool) -> E | None:
        """Wait in this process: to the end, or just for one look."""
        return hook.run(finished(self.wait(), self.poll_interval) if to_the_end else polled(self.wait(), {}))


@dataclass(frozen=True)
class Patience(Lasting[Outcome]):
    """How a task waits for operations.

    ``deadline`` and ``since`` are seconds since 1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    operation_ids: list[str]
    criteria: Criteria
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = FIRST_EVENT

    def wait(self) -> Wait:
        until: Until = "delivered" if self.criteria.wait_for == "delivered" else "processed"
        return Wait(self.operation_ids, until, self.deadline, self.since, self.criteria.enough)

    def trigger(self, conn_id: str) -> TwilioOperationsTrigger:
        from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

        wait = self.wait()
        return TwilioOperationsTrigger(
            operation_ids=wait.operation_ids,
            twilio_conn_id=conn_id,
            until=wait.until,
            deadline=wait.deadline,
            since=wait.since,
            enough=wait.enough,
            poll_interval=self.poll_interval,
            not_before=time.time() + self.initial_delay,
        )


def verdict(
    hook: TwilioHook,
    criteria: Criteria,
    outcome: Outcome | Mapping[str, Any] | None,
    operation_ids: list[str],
) -> Stats:
    """The counts, if they are good enough. A failure is told with the codes that were the reason."""
    if not isinstance(outcome, Outcome):
        outcome = Outcome.from_event(outcome)
    tags = {"conn_id": hook.twilio_conn_id, "kind": "bulk"}
    metrics.count("twilio.waits.ended", 1, end=outcome.status, **tags)
    try:
        stats = judged(criteria, outcome, operation_ids)
    except DeliveryFailed as error:
        found = _codes(hook, error, operation_ids)
        if type(error) is DeliveryFailed:  # no later try waits for them again
            lost = total(outcome.operations.values())
            metrics.arrived(lost.arrived, by_verdict(lost, found or {}), **tags)
        if found is None:
            raise
        raise explained(error, found) from None
    metrics.arrived(stats.arrived, by_verdict(stats, {}), **tags)
    return stats


def _codes(hook: TwilioHook, error: DeliveryFailed, operation_ids: list[str]) -> dict[int, int] | None:
    """How often each code was the reason; None where nothing failed, or nobody can tell."""
    if not (error.stats.get("failed") or error.stats.get("undelivered")):
        return None
    try:
        return hook.run(failure_codes(operation_ids))
    except TwilioError:
        return None  # the codes would be nice to have
