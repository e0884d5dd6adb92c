"""The trigger that waits for operations on cohorts without a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_twilio_comms._core.waiting.cohort_operations import CohortWait, SeenOperation, seen
from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.triggers._poller import FEW, Source
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger

__all__ = ["TwilioCohortOperationsTrigger"]


class _CohortOperations:
    """Operations of the Cohorts API, which has no list of them."""

    name = "cohort operations"
    few = FEW
    page = 0  # they take long

    def listed(self, known: Mapping[str, SeenOperation | None]) -> Flow[dict[str, SeenOperation]]:
        yield from ()
        return {}

    def observed(self, name: str) -> Flow[SeenOperation | None]:
        return seen(name)


class TwilioCohortOperationsTrigger(WaitingTrigger[SeenOperation]):
    """Wait until operations on cohorts have ended, or time is up, and tell how that ended in one event.

    The event is a :class:`~airflow_provider_twilio_comms._core.waiting.cohort_operations.CohortOutcome`.

    :param operation_ids: the operations
    :param twilio_conn_id: the connection
    :param deadline: when time is up, in seconds since 1970
    :param since: from when on a 404 is tolerated for a minute, in seconds since 1970
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    source: ClassVar[Source[Any]] = _CohortOperations()

    def __init__(
        self,
        operation_ids: list[str],
        twilio_conn_id: str,
        deadline: float = 0.0,
        since: float = 0.0,
        poll_interval: float = 10.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__(twilio_conn_id, deadline, since, poll_interval, not_before)
        self.operation_ids = operation_ids

    def waiting(self) -> CohortWait:
        return CohortWait(self.operation_ids, self.deadline, self.since)

    def progress(self, known: Mapping[str, SeenOperation]) -> str:
        return ", ".join(f"{name} {item.status}" for name, item in sorted(known.items()))
