"""The trigger that waits for bulk operations without a worker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from airflow_provider_twilio_comms._core.waiting.operations import Wait, observed, total
from airflow_provider_twilio_comms.api.comms import operations
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.triggers._poller import FEW, Source
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger

__all__ = ["TwilioOperationsTrigger"]

PAGE = 1000  # rows of the list that are asked for at a time
WORTH = 10  # single requests that a page of the list may replace on which nothing is found
MARGIN = timedelta(seconds=1)  # rounding of dates: the list's, and that of its filters
GAP = timedelta(minutes=10)  # a longer way to the next operation that is wanted is jumped over


class _Operations:
    """Operations of the Communications API."""

    name = "operations"
    few = FEW
    page = PAGE

    def listed(self, known: Mapping[str, Operation | None]) -> Flow[Mapping[str, Operation]]:
        """Newest first, page by page, from each one that is wanted to the next, however old they are.

        When an operation was made is known once it was seen; until then every page may hold it, and pages are
        read for as long as something is found on them, and a few more for as long as many are missing.
        """
        ages = sorted(
            ((item.created_at, name) for name, item in known.items() if item and item.created_at),
            reverse=True,
        )
        ageless = set(known) - {name for _, name in ages}
        found: dict[str, Operation] = {}
        place, idle = 0, 0
        newest = None if ageless else ages[0][0] + MARGIN
        oldest = None if ageless else ages[-1][0] - MARGIN
        call = operations.list(start_date=oldest, end_date=newest, page_size=PAGE)
        while True:
            page = yield from made(call)
            new = {
                row.id: _kept(known[row.id], row)
                for row in page.items
                if row.id in known and row.id not in found
            }
            found.update(new)
            ageless.difference_update(new)
            idle += not new
            missing = len(known) - len(found)
            last = page.items[-1].created_at if page.items else None
            if not missing or page.next is None or last is None or idle > missing // WORTH:
                return found
            while place < len(ages) and (ages[place][1] in found or ages[place][0] > last):
                place += 1  # found, or passed: the list does not show it
            further = ages[place][0] if place < len(ages) else None
            if (further and further > last - GAP) or len(ageless) > FEW:
                call = page.next
            elif further:
                call = operations.list(start_date=oldest, end_date=further + MARGIN, page_size=PAGE)
            else:
                return found

    def observed(self, name: str) -> Flow[Operation | None]:
        return observed(name)


def _kept(before: Operation | None, now: Operation) -> Operation:
    """The one that is kept already, where nothing has changed: memory is for one of each, not for two."""
    return before if before is not None and before == now else now


class TwilioOperationsTrigger(WaitingTrigger[Operation]):
    """Wait until operations have ended, or time is up, and tell how that ended in one event.

    Survives what Twilio and its network do for a while, a restarted triggerer, and a 404 on an operation that
    has just been made. The event is an
    :class:`~airflow_provider_twilio_comms._core.waiting.operations.Outcome`.

    :param operation_ids: the operations
    :param twilio_conn_id: the connection
    :param until: ``processed``, or ``delivered`` to wait for the receipts too
    :param deadline: when time is up, in seconds since 1970
    :param since: from when on a 404 is tolerated for a minute, in seconds since 1970: when the last operation
        was made, or when the wait for it began. Operations may be of any age
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
        super().__init__(twilio_conn_id, deadline, since, poll_interval, not_before)
        self.operation_ids = operation_ids
        self.until = until
        self.enough = enough

    def waiting(self) -> Wait:
        return Wait(self.operation_ids, self.until, self.deadline, self.since, self.enough)

    def progress(self, known: Mapping[str, Operation]) -> str:
        stats = total(known.values())
        done = sum(operation.done for operation in known.values())
        return (
            f"{done} of {len(set(self.operation_ids))} operations processed: {stats.arrived:,} of "
            f"{stats.asked:,} messages delivered, {stats.under_way:,} under way, {stats.lost:,} failed"
        )
