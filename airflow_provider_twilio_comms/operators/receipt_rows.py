"""The receipts of operations, read a page at a time, with the reasons of those that failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.receipts import FAILED, Receipt, receipt_of
from airflow_provider_twilio_comms._tasks.reading import Reading
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms.messages import Message
from airflow_provider_twilio_comms.exceptions import OperationGone

__all__ = ["Receipts"]

PAGE = 1000


class Receipts:
    """``missing`` are the messages that Twilio counts but does not list; ``reasons`` may still be asked."""

    def __init__(self, read: Reading, redaction: Redaction, max_reasons: int) -> None:
        self._read = read
        self._redaction = redaction
        self.reasons: int = max_reasons
        self.missing: int = 0

    def of(self, operation_ids: Sequence[str]) -> Iterator[list[Receipt]]:
        """The receipts, some at a time. Raises :class:`OperationGone` before the first of them, where Twilio
        does not know an operation any more.
        """
        known = self._read.each(operations.fetch, operation_ids)
        gone = [name for name, operation in zip(operation_ids, known, strict=True) if operation is None]
        if gone:
            raise _gone(gone)
        for operation in known:
            if operation is not None:
                yield from self._of(operation)

    def _of(self, operation: operations.Operation) -> Iterator[list[Receipt]]:
        listed = 0
        for page in self._read.pages(messages.list(operation_id=operation.id, page_size=PAGE)):
            listed += len(page.items)
            yield self._receipts(operation.id, page.items)
        if listed < operation.stats.total:
            # Either the list lags, or the seven days ended while it was read.
            if None in self._read.each(operations.fetch, [operation.id]):
                raise _gone([operation.id])
            self.missing += operation.stats.total - listed

    def _receipts(self, operation_id: str, rows: Sequence[Message]) -> list[Receipt]:
        failed = [row.id for row in rows if row.status in FAILED][: self.reasons]
        self.reasons -= len(failed)
        answers = self._read.each(messages.fetch, failed)
        looked_at = dict(zip(failed, answers, strict=True))
        return [receipt_of(operation_id, row, looked_at.get(row.id), self._redaction) for row in rows]


def _gone(names: list[str]) -> OperationGone:
    return OperationGone(
        f"Twilio does not know {', '.join(names)} (any more): it keeps the results of an operation for seven "
        "days, and no list of recipients can be had after that. What is left is the classic message log, "
        "which goes back 400 days",
        operation_ids=names,
        stats={},
    )
