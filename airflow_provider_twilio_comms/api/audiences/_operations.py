"""The operation that follows a change of a cohort or a snapshot, and the reader that finds it in a reply."""

from __future__ import annotations

import msgspec

from airflow_provider_twilio_comms.api._operations import BaseOperation, last_part
from airflow_provider_twilio_comms.api.audiences._assumed import OPERATION
from airflow_provider_twilio_comms.api.wire import Reply, decoded, unreadable


class Operation(BaseOperation, frozen=True):
    """An operation on a cohort or a snapshot."""

    @property
    def cohort_snapshot_id(self) -> str | None:
        """The id of the snapshot that was taken, once it is COMPLETED."""
        return (self.result or {}).get("cohortSnapshotId")

    @property
    def profile_count(self) -> int | None:
        """The number of profiles in the snapshot that was taken, once it is COMPLETED."""
        return (self.result or {}).get("profileCount")


def operation(reply: Reply) -> Operation:
    """Read an operation: at the top, in ``operation``, or only named by an address (assumed)."""
    body = decoded(reply, dict[str, msgspec.Raw]) if reply.body.strip() else {}
    inner = body.get(OPERATION)
    if inner is not None and "operationId" not in body:
        reply = Reply(reply.status, reply.headers, bytes(inner))
        body = decoded(reply, dict[str, msgspec.Raw])
    if "operationId" in body:
        return decoded(reply, Operation)
    address = decoded(reply, dict[str, str]).get("statusUrl") if "statusUrl" in body else None
    operation_id = last_part(reply.headers.get("location") or address)
    if operation_id is None:
        raise unreadable(reply, "it names no operation")
    return Operation(operation_id)
