"""Read receipts: of operations with the reasons of failures, of classic sends with segments and prices."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.receipts import (
    FAILED,
    Receipt,
    classic_receipt_of,
    receipt_of,
)
from airflow_provider_twilio_comms._core.reporting.told_codes import Known, Told, read_told, variable_of
from airflow_provider_twilio_comms._core.waiting.sent_messages import (
    SentMessages,
    SidSet,
    count_messages,
    is_before,
    list_messages,
    no_sids,
)
from airflow_provider_twilio_comms.api.comms import messages, operations
from airflow_provider_twilio_comms.api.comms.messages import Message
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.exceptions import OperationGone, TwilioError
from airflow_provider_twilio_comms.triggers._sid_files import read_sids

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.reading import Reading
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


PAGE = 1000


log: logging.Logger = logging.getLogger(__name__)


class Receipts:
    """Read the receipts of operations.

    ``missing`` are the messages that Twilio counts but does not list, and ``short`` their operations, with
    the ids of the messages that it does list; ``reasons`` may still be asked for. Nobody asks for those that
    events have told.
    """

    def __init__(self, read: Reading, redaction: Redaction, max_reasons: int) -> None:
        self._read = read
        self._redaction = redaction
        self.reasons: int = max_reasons
        self.missing: int = 0
        self.short: dict[str, set[str]] = {}
        self._told: tuple[str, Mapping[str, Told]] = ("", {})

    def look_up(self, operation_ids: Sequence[str]) -> tuple[list[Operation], list[str]]:
        """The operations that Twilio knows, and the ids of those that it does not (any more)."""
        found = self._read.each(operations.fetch, operation_ids)
        gone = [name for name, operation in zip(operation_ids, found, strict=True) if operation is None]
        return [operation for operation in found if operation is not None], gone

    def of(self, operation_ids: Sequence[str]) -> Iterator[list[Receipt]]:
        """The receipts, some at a time. Raises :class:`OperationGone` before the first of them if Twilio does
        not know an operation any more.
        """
        known, gone = self.look_up(operation_ids)
        if gone:
            raise gone_error(gone)
        for operation in known:
            yield from self.pages(operation)

    def pages(self, operation: Operation) -> Iterator[list[Receipt]]:
        """The receipts of an operation, some at a time."""
        listed: set[str] = set()
        for page in self._read.pages(messages.list(operation_id=operation.id, page_size=PAGE)):
            listed.update(row.id for row in page.items)
            yield self._receipts(operation.id, page.items)
        if len(listed) < operation.stats.total:
            # Either the list lags, or the seven days ended while it was read.
            if None in self._read.each(operations.fetch, [operation.id]):
                raise gone_error([operation.id])
            self.missing += operation.stats.total - len(listed)
            self.short[operation.id] = listed

    def _receipts(self, operation_id: str, rows: Sequence[Message]) -> list[Receipt]:
        failed = [row.id for row in rows if row.status in FAILED]
        told = self._told_of(operation_id) if failed else {}
        asked = [name for name in failed if name not in told][: self.reasons]
        self.reasons -= len(asked)
        answers = self._read.each(messages.fetch, asked)
        looked_at = dict(zip(asked, answers, strict=True))
        return [
            receipt_of(operation_id, row, looked_at.get(row.id), self._redaction, told.get(row.id))
            if row.status in FAILED
            else receipt_of(operation_id, row, None, self._redaction)
            for row in rows
        ]

    def _told_of(self, operation_id: str) -> Mapping[str, Told]:
        """Read what events told of an operation, once; pages of one operation follow each other."""
        if self._told[0] != operation_id:
            self._told = operation_id, told_codes([operation_id]).get(operation_id, {})
        return self._told[1]


def gone_error(names: list[str], note: str = "") -> OperationGone:
    """The error for operations that Twilio does not know; ``note`` tells what there is of them elsewhere."""
    return OperationGone(
        f"Twilio does not know {', '.join(names)} (any more): it keeps the results of an operation for seven "
        f"days, and no list of recipients can be had after that. {note}The classic message log, which goes "
        "back 400 days, is left",
        operation_ids=names,
        stats={},
    )


class ClassicReceipts:
    """Read the receipts of classic bulk sends, a page of 1,000 at a time, without a request for each message.

    ``missing`` are the messages that were sent but are not listed, and ``short`` their sends by key, with the
    SIDs of the messages that are.
    """

    def __init__(self, hook: TwilioHook, read: Reading, redaction: Redaction) -> None:
        self._hook = hook
        self._read = read
        self._redaction = redaction
        self.missing: int = 0
        self.short: dict[str, set[str]] = {}

    def pages(self, sent: SentMessages) -> Iterator[list[Receipt]]:
        """Read the receipts of a send, some at a time.

        Raises :class:`TwilioError`, before the first one, if nothing tells which messages are of the send.
        """
        sids = self._sids(sent)
        listed: set[str] = set()
        for page in self._read.pages(list_messages(sent.from_)):
            rows = [row for row in page.items if (sent.may_hold(row) if sids is None else row.sid in sids)]
            fresh = [row for row in rows if row.sid not in listed]
            listed.update(row.sid for row in fresh)
            if fresh:
                yield [classic_receipt_of(sent.key, row, self._redaction) for row in fresh]
            if len(listed) >= sent.sent or is_before(page, sent.since):
                break
        if len(listed) < sent.sent:
            self.missing += sent.sent - len(listed)
            self.short[sent.key] = listed

    def _sids(self, sent: SentMessages) -> SidSet | None:
        """Read the SIDs of a send; None if the list holds no other messages of its sender and time."""
        sids = read_sids(sent)
        if sids is not None:
            return sids
        (tally,) = self._hook.run(count_messages([sent], no_sids))
        if not tally.exact:
            raise TwilioError(
                f"the send made {sent.sent:,} messages, and Twilio lists {tally.found:,} of its sender and "
                "time: others used the sender too, or some are not listed, and without a file of SIDs "
                "nothing tells which are of this send. No receipt of it was written. Set snapshot_path, with "
                "which the sending task keeps that file"
            )
        return None


def told_codes(operation_ids: Iterable[str]) -> Known:
    """Read the codes that events told, which the API server keeps in Airflow's Variables.

    There are none unless ``[twilio] webhook_keeps_codes`` is set. What cannot be read is no error: Twilio is
    asked for it.
    """
    from airflow.sdk import Variable
    from airflow.sdk.configuration import conf

    found: dict[str, dict[str, Told]] = {}
    if not conf.getboolean("twilio", "webhook_keeps_codes", fallback=False):
        return found
    try:
        for name in operation_ids:
            if told := read_told(Variable.get(variable_of(name), default=None)):
                found[name] = told
    except Exception as error:  # whatever it is: Airflow wraps what the API server, or its absence, says
        log.warning("Codes that events told cannot be read from Variables (%s)", type(error).__name__)
    return found
