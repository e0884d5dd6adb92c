"""Receipts of classic bulk sends: the rows of the message list, with codes, prices and segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_twilio_comms._core.campaigns.variants import Assignment
from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.receipts import Receipt, classic_receipt_of
from airflow_provider_twilio_comms._core.waiting.sent_messages import (
    SentMessages,
    SidSet,
    count_messages,
    is_before,
    list_messages,
    no_sids,
)
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.triggers._sid_files import read_sids

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.reading import Reading
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


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
