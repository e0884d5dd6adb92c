"""Read receipts: of operations with the reasons of failures, of classic sends with segments and prices."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from airflow_provider_twilio_comms._core.campaigns.variants import Assignment
from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.read_receipts import ReceiptsReader, Take, gone_error
from airflow_provider_twilio_comms._core.reporting.receipts import Receipt, classic_receipt_of
from airflow_provider_twilio_comms._core.reporting.told_codes import Known, Told, read_told, variable_of
from airflow_provider_twilio_comms._core.waiting.operations import observed
from airflow_provider_twilio_comms._core.waiting.sent_messages import (
    SentMessages,
    SidSet,
    count_messages,
    is_before,
    list_messages,
    no_sids,
)
from airflow_provider_twilio_comms._tasks.generations.classic import heap_frozen
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import all_of
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.triggers._sid_files import read_sids

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.reading import Reading
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


log: logging.Logger = logging.getLogger(__name__)


class Receipts:
    """Read the receipts of operations, of several at a time with ``concurrency`` requests together.

    ``missing`` are the messages that Twilio counts but does not list, and ``short`` their operations, with
    the ids of the messages that it does list. Up to ``max_reasons`` messages that failed are asked for their
    reason; nobody asks for those that events have told.
    """

    def __init__(self, hook: TwilioHook, redaction: Redaction, max_reasons: int, concurrency: int) -> None:
        self._hook, self._redaction = hook, redaction
        self._reasons, self._at_once = max_reasons, concurrency
        self.missing: int = 0
        self.short: dict[str, set[str]] = {}

    def look_up(self, operation_ids: Sequence[str]) -> tuple[list[Operation], list[str]]:
        """The operations that Twilio knows, and the ids of those that it does not (any more)."""
        found = self._hook.run(all_of(map(observed, operation_ids), self._at_once))
        gone = [name for name, operation in zip(operation_ids, found, strict=True) if operation is None]
        return [operation for operation in found if operation is not None], gone

    def read_all(self, operation_ids: Sequence[str], take: Take) -> None:
        """Hand over the receipts of operations that Twilio has to know, all of them.

        Raises :class:`OperationGone`, before the first receipt, for one that it does not know any more.
        """
        known, gone = self.look_up(operation_ids)
        if gone:
            raise gone_error(gone)
        self.read(known, take)

    def read(self, known: Sequence[Operation], take: Take) -> None:
        """Hand the receipts to ``take``, those of one operation after those of another."""
        told = told_codes(each.id for each in known if each.stats.failed or each.stats.undelivered)
        reader = ReceiptsReader(self._redaction, told, self._reasons, self._at_once)
        with heap_frozen():
            self._hook.run(reader.read(known, take))
        self.missing, self.short = reader.missing, reader.short


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
        secret = self._hook.config.hash_secret or ""
        assignment = Assignment(sent.split, secret) if sent.split and sent.split.weights else None
        listed: set[str] = set()
        for page in self._read.pages(list_messages(sent.from_)):
            rows = [row for row in page.items if (sent.may_hold(row) if sids is None else row.sid in sids)]
            fresh = [row for row in rows if row.sid not in listed]
            listed.update(row.sid for row in fresh)
            if fresh:
                yield [classic_receipt_of(sent.key, row, self._redaction, assignment) for row in fresh]
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
