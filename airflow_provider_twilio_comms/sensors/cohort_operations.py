"""The sensor that waits for operations on cohorts that were made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.arguments import ids_of
from airflow_provider_twilio_comms.sensors._base import TwilioSensor

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.waiting.cohort_operations import CohortOutcome
    from airflow_provider_twilio_comms._tasks.waiting import CohortTaskWait

__all__ = ["TwilioCohortOperationSensor"]


class TwilioCohortOperationSensor(TwilioSensor):
    """Wait until operations on cohorts or snapshots are COMPLETED. Fails at once where one has failed.

    Returns ``{"operation_ids", "status", "cohort_snapshot_ids", "profile_count"}``.

    .. code-block:: python

        TwilioCohortOperationSensor(
            task_id="updated", operation_ids="{{ ti.xcom_pull('lapsed')['operation_id'] }}"
        )

    https://www.twilio.com/docs/cohorts/concepts/operations

    :param operation_ids: one id, several, or a template or XComArg that gives them
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "operation_ids")

    def __init__(self, *, operation_ids: str | Sequence[str], **kwargs: Any) -> None:
        kwargs.setdefault("poke_interval", 10.0)
        super().__init__(**kwargs)
        self.operation_ids = operation_ids

    def judged(self, outcome: CohortOutcome | dict[str, Any]) -> dict[str, Any]:
        found = self.task_wait.verdict(outcome).values()
        snapshots = [each.cohort_snapshot_id for each in found if each.cohort_snapshot_id]
        return {
            "operation_ids": self.task_wait.operation_ids,
            "status": "COMPLETED",
            "cohort_snapshot_ids": snapshots,
            "profile_count": sum(each.profile_count or 0 for each in found),
        }

    @cached_property
    def task_wait(self) -> CohortTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import CohortTaskWait

        ids = ids_of("operation_ids", self.operation_ids, "cmp_operation_.+", "cmp_operation_ and its name")
        now = time.time()
        return CohortTaskWait(ids, now + self.timeout, now, self.poke_interval, self.initial_delay)
