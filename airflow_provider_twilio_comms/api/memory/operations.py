"""Operations, the progress of changes to stores and trait groups.

https://www.twilio.com/docs/api/memory/v1/operations
"""

from __future__ import annotations

from airflow_provider_twilio_comms.api._operations import BaseOperation
from airflow_provider_twilio_comms.api.wire import Call, decoded

__all__ = ["Operation", "fetch"]


class Operation(BaseOperation, frozen=True):
    """An operation of the Memory API."""

    @property
    def resource_id(self) -> str | None:
        """The id of the resource that was made or changed, once it is COMPLETED."""
        return (self.result or {}).get("id")


def fetch(operation_id: str) -> Call[Operation]:
    """Read an operation: ``GET /v1/ControlPlane/Operations/{operationId}``."""
    return Call(
        "GET",
        "/v1/ControlPlane/Operations/{operationId}",
        lambda reply: decoded(reply, Operation),
        "memory",
        {"operationId": operation_id},
    )
