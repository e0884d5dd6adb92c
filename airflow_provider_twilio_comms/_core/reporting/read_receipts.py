"""Read the receipts of operations: lists of several at a time, and the reasons of failures beside them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.receipts import FAILED, Receipt, receipt_of, receipts_of
from airflow_provider_twilio_comms._core.reporting.told_codes import Known
from airflow_provider_twilio_comms._core.waiting.operations import observed
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms.messages import Message
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Flow, Group, fetched, gone_through
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import OperationGone

PAGE = 1000
OPEN = 4  # operations whose receipts are in memory, 10,000 each at most

Take: TypeAlias = Callable[[Sequence[Receipt]], None]


@dataclass(eq=False)
class _Open:
    """An operation that is being read: receipts by message id, and failures whose reason is asked for."""

    operation: Operation
    receipts: dict[str, Receipt] = field(default_factory=dict)
    failed: dict[str, Message] = field(default_factory=dict)
    is_listed: bool = False  # to the end, and Twilio knows it still if some are missing


class ReceiptsReader:
    """Read receipts. Of ``known`` messages no reason is asked for; ``reasons`` may be, for others.

    ``missing`` are the messages that Twilio counts but does not list, and ``short`` their operations, with
    the ids of the messages that it does list.
    """

    def __init__(self, redaction: Redaction, known: Known, reasons: int, at_once: int) -> None:
        self._redaction, self._known, self._at_once = redaction, known, at_once
        self._reasons = reasons
        self._asked: deque[tuple[_Open, str]] = deque()
        self._pages: deque[tuple[_Open, Call[Page[Message]] | Flow[Operation | None]]] = deque()
        self._open: deque[_Open] = deque()
        self.missing: int = 0
        self.short: dict[str, set[str]] = {}

    def read(self, known: Sequence[Operation], take: Take) -> Flow[None]:
        """Hand all receipts of an operation to ``take``, one operation after the other, in their order.

        At most ``at_once`` requests are made together. Raises :class:`OperationGone` where Twilio has
        forgotten an operation meanwhile; those before it were handed over then.
        """

        def ended(key: tuple[_Open, str | None], value: Any) -> None:
            self._take(*key, value)
            for receipts in self._whole():
                take(receipts)

        yield from gone_through(Group(self._work(iter(known)), self._at_once), ended)

    def _work(self, left: Iterator[Operation]) -> Iterator[tuple[Any, Call[Any] | Flow[Any]] | None]:
        """Reasons first, then pages: so few operations are open, and each is soon whole."""
        while True:
            if self._asked:
                state, name = self._asked.popleft()
                yield (state, name), fetched(messages.fetch(name))
            elif self._pages:
                state, call = self._pages.popleft()
                yield (state, None), call
            elif len(self._open) < OPEN and (operation := next(left, None)) is not None:
                state = _Open(operation)
                self._open.append(state)
                first = messages.list(operation_id=operation.id, page_size=PAGE)
                self._pages.append((state, first))
            elif self._open:
                yield None
            else:
                return

    def _take(self, state: _Open, asked: str | None, value: Any) -> None:
        """Take a page of the list, a message that was asked for, or the operation once more."""
        if asked is not None:
            row = state.failed.pop(asked)
            state.receipts[asked] = receipt_of(state.operation.id, row, value, self._redaction)
        elif isinstance(value, Page):
            self._take_page(state, value)
        elif value is None:
            raise gone_error([state.operation.id])
        else:
            state.is_listed = True

    def _take_page(self, state: _Open, page: Page[Message]) -> None:
        name = state.operation.id
        known = self._known.get(name, {})
        for receipt in receipts_of(name, page.items, known, self._redaction):
            state.receipts[receipt.message_id] = receipt
        for row in page.items:
            if row.status in FAILED and row.id not in known and self._reasons > 0:
                self._reasons -= 1
                state.failed[row.id] = row
                self._asked.append((state, row.id))
        if page.next is not None:
            self._pages.append((state, page.next))
        elif len(state.receipts) < state.operation.stats.total:
            # Either the list lags, or the seven days ended while it was read.
            self._pages.append((state, observed(name)))
        else:
            state.is_listed = True

    def _whole(self) -> Iterator[list[Receipt]]:
        """The receipts of the operations that are complete, in order; they are not open any more."""
        while self._open and self._open[0].is_listed and not self._open[0].failed:
            state = self._open.popleft()
            missing = state.operation.stats.total - len(state.receipts)
            if missing > 0:
                self.missing += missing
                self.short[state.operation.id] = set(state.receipts)
            yield list(state.receipts.values())


def gone_error(names: list[str], note: str = "") -> OperationGone:
    """Make the error for operations that Twilio does not know; ``note`` tells what is left of them."""
    return OperationGone(
        f"Twilio does not know {', '.join(names)} (any more): it keeps the results of an operation for seven "
        f"days, and no list of recipients can be had after that. {note}The classic message log, which goes "
        "back 400 days, is left",
        operation_ids=names,
        stats={},
    )
