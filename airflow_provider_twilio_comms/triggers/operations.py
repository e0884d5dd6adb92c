"""Waiting for operations without a worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

from airflow_provider_twilio_comms._core.waiting.operations import Wait, observed, total
from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.triggers._poller import Source
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger

__all__ = ["TwilioOperationsTrigger"]


class _Operations:
    """Operations of the Communications API."""

    name = "operations"

    def listed(self, wanted: Collection[str], start: datetime | None) -> Flow[dict[str, Operation]]:
        found: dict[str, Operation] = {}
        call = operations.list(start_date=start, page_size=1000)
        while True:
            page = yield from made(call)
            found.update({row.id: row for row in page.items if row.id in wanted})
            if page.next is None or len(found) == len(wanted):
                return found
            call = page.next

    def observed(self, name: str) -> Flow[Operation | None]:
        return observed(name)


class TwilioOperationsTrigger(WaitingTrigger[Operation]):
    """Waits until operations have ended, or time is up, and says so in one event.

    Survives what Twilio and its network do for a while, a restarted triggerer, and a 404 on an operation that
    has just been made. The event is an
    :class:`~airflow_provider_twilio_comms._core.waiting.operations.Outcome`.

    :param operation_ids: the operations
    :param twilio_conn_id: the connection
    :param until: ``processed``, or ``delivered`` to wait for the receipts too
    :param deadline: when time is up, in seconds since 1970
    :param since: when the last of the operations was made, in seconds since 1970
    :param enough: the share or number of delivered messages that ends a wait for delivery early
    :param poll_interval: seconds between polls; triggers of one connection and interval share them
    :param not_before: no event before this time, in seconds since 1970
    """

    source: ClassVar[Source[Any]] = _Operations()

    def __init__(
        self,
        operation_ids: list[str],
        twilio_conn_id: str,
        until: Literal["processed", "delivered"] = "processed",
        deadline: float = 0.0,
        since: float = 0.0,
        enough: int | float | None = None,
        poll_interval: float = 30.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operation_ids = operation_ids
        self.twilio_conn_id = twilio_conn_id
        self.until = until
        self.deadline = deadline
        self.since = since
        self.enough = enough
        self.poll_interval = poll_interval
        self.not_before = not_before

    def waiting(self) -> Wait:
        return Wait(self.operation_ids, self.until, self.deadline, self.since, self.enough)

    def progress(self, known: Mapping[str, Operation | None]) -> str:
        found = [operation for operation in known.values() if operation is not None]
        stats = total(found)
        done = sum(operation.done for operation in found)
        return (
            f"{done} of {len(known)} operations processed: {stats.arrived:,} of {stats.asked:,} messages "
            f"delivered, {stats.under_way:,} under way, {stats.lost:,} failed"
        )
