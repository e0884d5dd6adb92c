"""Cohort operations, the progress of changes to cohorts and snapshots.

https://www.twilio.com/docs/cohorts/concepts/operations
"""

from __future__ import annotations

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.audiences._operations import Operation, operation
from airflow_provider_twilio_comms.api.audiences._shared import OperationId
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["Operation", "fetch"]


def fetch(operation_id: str) -> Call[Operation]:
    """Read an operation: ``GET /preview/CohortOperations/{cohortOperationId}``."""
    return Call(
        "GET",
        "/preview/CohortOperations/{cohortOperationId}",
        operation,
        "audiences",
        {"cohortOperationId": valid("operation_id", operation_id, OperationId)},
    )
