"""Operations, the progress and counts of a bulk send: https://www.twilio.com/docs/bulk-messaging/api/operation-resource"""

from __future__ import annotations

from datetime import datetime

import msgspec

from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.wire import Call, Page, decoded

__all__ = ["Operation", "Stats", "fetch", "list"]


class Stats(msgspec.Struct, frozen=True):
    """Counts of messages "now in that state". A counter that the reply leaves out is 0."""

    total: int = 0
    recipients: int = 0
    attempts: int = 0
    unaddressable: int = 0
    scheduled: int = 0
    queued: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    undelivered: int = 0
    failed: int = 0
    canceled: int = 0

    def __add__(self, other: Stats) -> Stats:
        mine, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return Stats(**{name: count + theirs[name] for name, count in mine.items()})

    def to_dict(self) -> dict[str, int]:
        return msgspec.structs.asdict(self)

    @property
    def arrived(self) -> int:
        """Delivered, or delivered and read."""
        return self.delivered + self.read

    @property
    def lost(self) -> int:
        """Will not arrive."""
        return self.unaddressable + self.undelivered + self.failed + self.canceled

    @property
    def under_way(self) -> int:
        """May still arrive, or may never get a receipt."""
        return self.scheduled + self.queued + self.sent

    @property
    def asked(self) -> int:
        """Messages that were requested. Right after acceptance the counters can lag behind each other."""
        return max(self.total, self.recipients, self.arrived + self.lost + self.under_way)


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    """An operation. ``status`` is SCHEDULED, PROCESSING, COMPLETED, CANCELED, or one that is newer.

    There is no FAILED: an operation whose every message failed is COMPLETED too. Read its ``stats``.
    """

    id: str
    status: str
    stats: Stats = Stats()
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def done(self) -> bool:
        """Twilio has processed it. Receipts may still come in."""
        return self.status in ("COMPLETED", "CANCELED")


def fetch(operation_id: str) -> Call[Operation]:
    """Read one operation: ``GET /Messages/Operations/{operationId}``.

    404 (20404) during its first moments, and again when its seven days are over.
    """
    return Call(
        "GET",
        "/Messages/Operations/{operationId}",
        lambda reply: decoded(reply, Operation),
        path_values={"operationId": operation_id},
    )


def list(
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    status: str | None = None,
    page_size: int | None = None,
) -> Call[Page[Operation]]:
    """List the account's operations, newest first: ``GET /Messages/Operations``."""
    query = filters(start_date=start_date, end_date=end_date, status=status, page_size=page_size)
    return listing("/Messages/Operations", "operations", Operation, query)
