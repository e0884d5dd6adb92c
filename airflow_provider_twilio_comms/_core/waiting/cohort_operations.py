"""Waiting for operations on cohorts and snapshots, and the verdict on how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.waiting.base import Ending, Problem, Status, Waiting
from airflow_provider_twilio_comms.api._operations import FINAL
from airflow_provider_twilio_comms.api.audiences import cohort_operations
from airflow_provider_twilio_comms.api.flows import Flow, fetched
from airflow_provider_twilio_comms.exceptions import DeliveryFailed, OperationGone, TwilioError, WaitTimedOut


class SeenOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """An operation as a look shows it: ids, counts, and why it failed."""

    status: str
    cohort_snapshot_id: str | None = None
    profile_count: int | None = None
    error: str | None = None

    @staticmethod
    def of(operation: cohort_operations.Operation) -> SeenOperation:
        error = str(operation.error) if operation.error else None
        return SeenOperation(operation.status, operation.cohort_snapshot_id, operation.profile_count, error)


class CohortOutcome(Ending, frozen=True, omit_defaults=True):
    """End of a wait: ``done``, ``timeout``, ``gone`` (Twilio does not know an operation) or ``error``."""

    operations: dict[str, SeenOperation] = msgspec.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


@dataclass
class CohortWait(Waiting[SeenOperation, CohortOutcome]):
    """A wait for operations on cohorts, until each has ended or one has failed."""

    operation_ids: list[str]
    deadline: float = 0.0
    since: float = 0.0

    @property
    def names(self) -> list[str]:
        return self.operation_ids

    def observed(self, name: str) -> Flow[SeenOperation | None]:
        return seen(name)

    def moving(self, item: SeenOperation) -> bool:
        return item.status not in FINAL

    def settled(self, found: Sequence[SeenOperation]) -> bool:
        failed = any(item.status in FINAL - {"COMPLETED"} for item in found)
        return failed or not any(map(self.moving, found))

    def end(
        self,
        status: Status,
        found: dict[str, SeenOperation],
        missing: tuple[str, ...] = (),
        error: Problem = None,
    ) -> CohortOutcome:
        return CohortOutcome(status, dict(found), missing, error)


def seen(operation_id: str) -> Flow[SeenOperation | None]:
    """Look at an operation; None where Twilio does not know it, yet or any more."""
    operation = yield from fetched(cohort_operations.fetch(operation_id))
    return None if operation is None else SeenOperation.of(operation)


def judge(operation_ids: Sequence[str], outcome: CohortOutcome) -> Mapping[str, SeenOperation]:
    """The operations, if all are COMPLETED.

    Raises :class:`DeliveryFailed`, :class:`WaitTimedOut` or :class:`OperationGone`, or the error that ended
    the wait.
    """
    if outcome.status == "error":
        raise TwilioError.from_dict(outcome.error or {})
    carried: dict[str, Any] = {"operation_ids": list(operation_ids), "stats": {}}
    if outcome.status == "gone":
        raise OperationGone(
            f"Twilio does not know {', '.join(outcome.missing)}: never of this account, or long ago",
            **carried,
        )
    failed = {name: each for name, each in outcome.operations.items() if each.status in FINAL - {"COMPLETED"}}
    if failed:
        told = "; ".join(
            f"{name} is {each.status}: {each.error or 'no reason'}" for name, each in failed.items()
        )
        raise DeliveryFailed(told, **carried)
    waiting = [name for name in operation_ids if name not in outcome.operations or _moves(outcome, name)]
    if waiting:
        raise WaitTimedOut(
            f"time is up; {', '.join(waiting)} goes on at Twilio. Running the task again waits on", **carried
        )
    return outcome.operations


def _moves(outcome: CohortOutcome, name: str) -> bool:
    return outcome.operations[name].status not in FINAL
