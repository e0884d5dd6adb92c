"""Receipts: the outcome of each recipient of a bulk send, one row for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.campaigns.variants import TAG, Assignment
from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.told_codes import Told
from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.api._times import when
from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms.messages import Message

FAILED = frozenset({"FAILED", "UNDELIVERED"})


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one recipient.

    ``operation_id`` is the operation, or the key of a send of the classic API. ``recipient`` is the number or
    its hash, ``channel`` the one that was used (SMS, RCS, WHATSAPP).
    ``code``, ``reason``, ``attempts``, ``sid`` (of the last attempt, as in the classic log) and
    ``attempted_at`` are known of messages that were looked at one by one: those that failed, up to a bound.
    ``verdict`` says what to do about a failure (``retry``, ``recipient``, ``opt-out``, ``configuration``,
    ``unknown``). Times are in UTC. ``segments``, ``price`` (negative, or None until it is billed)
    and ``price_unit`` are known of the classic API's messages. ``profile_id`` and ``memory_store_id`` are
    those of a stored person. ``variant`` is that of a campaign that has several.
    """

    operation_id: str
    message_id: str
    recipient: str | None
    recipient_channel: str | None
    channel: str | None
    status: str
    code: int | None = None
    verdict: str | None = None
    reason: str | None = None
    attempts: int | None = None
    sid: str | None = None
    scheduled_for: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    attempted_at: datetime | None = None
    segments: int | None = None
    price: Decimal | None = None
    price_unit: str | None = None
    profile_id: str | None = None
    memory_store_id: str | None = None
    variant: str | None = None


def classic_receipt_of(
    key: str, message: classic.Message, redaction: Redaction, assignment: Assignment | None = None
) -> Receipt:
    """Make a receipt of a row of the classic API's list, which tells all there is to know."""
    status, code = (message.status or "unknown").upper(), message.error_code
    verdict = reason = None
    if status in FAILED:
        verdict = error_codes.verdict(code).value
        known = error_codes.known(code) if code else None
        reason = known.meaning if known else redaction.remark(message.error_message)
    channel = (message.to or "").rpartition(":")[0].upper()
    return Receipt(
        operation_id=key,
        message_id=message.sid,
        recipient=redaction.number(message.to),
        recipient_channel="PHONE" if channel in ("", "WHATSAPP", "RCS") else channel,
        channel=channel or "SMS",
        status=status,
        code=code if status in FAILED else None,
        verdict=verdict,
        reason=reason,
        attempts=1,
        sid=message.sid,
        created_at=message.date_created,
        updated_at=message.date_updated,
        attempted_at=message.date_sent,
        segments=message.num_segments,
        price=message.price,
        price_unit=message.price_unit,
        variant=assignment.variant((message.to or "").rpartition(":")[2]) or None if assignment else None,
    )


def receipts_of(
    operation_id: str, rows: Iterable[Message], known: Mapping[str, Told], redaction: Redaction
) -> Iterator[Receipt]:
    """Make receipts of rows of Twilio's list, with what events told of those that failed."""
    number = redaction.number
    for row in rows:
        if row.status in FAILED:
            yield receipt_of(operation_id, row, None, redaction, known.get(row.id))
            continue
        party, sender = _party(row.to), row.sender
        yield Receipt(
            operation_id,
            row.id,
            number(party.get("address")) or party.get("profileId"),
            party.get("channel"),
            sender.get("channel") if isinstance(sender, dict) else None,
            row.status,
            None,
            None,
            None,
            None,
            None,
            row.scheduled_for if row.scheduled else None,
            row.created_at,
            row.updated_at,
            None,
            None,
            None,
            None,
            party.get("profileId"),
            party.get("memoryStoreId"),
            row.tags.get(TAG) if row.tags else None,
        )


def receipt_of(
    operation_id: str,
    row: Message,
    looked_at: Message | None,
    redaction: Redaction,
    told: Told | None = None,
) -> Receipt:
    """Make a receipt of a message that failed: of its row in the list, and as it was fetched, if it was.

    ``told`` is an event's word in place of that: the code, the attempts and the last SID.
    """
    party = _party(row.to)
    code = reason = attempts = sid = attempted_at = None
    if looked_at is not None:
        code, attempts = looked_at.code, len(looked_at.attempts)
        if looked_at.attempts:
            last = looked_at.attempts[-1]
            sid, attempted_at = last.sid, _plain(when(last.attempted_at))
            if last.error and code:
                reason = redaction.remark(last.error.message)
    elif told is not None:
        code, attempts, sid = told
    if known := error_codes.known(code):
        reason = known.meaning
    verdict = error_codes.verdict(code).value
    if attempts == 0:
        verdict, reason = "recipient", "no sender reaches this recipient"
    return Receipt(
        operation_id,
        row.id,
        redaction.number(party.get("address")) or party.get("profileId"),
        party.get("channel"),
        row.sender.get("channel") if isinstance(row.sender, dict) else None,
        row.status,
        code,
        verdict,
        reason,
        attempts,
        sid,
        row.scheduled_for,
        row.created_at,
        row.updated_at,
        attempted_at,
        profile_id=party.get("profileId"),
        memory_store_id=party.get("memoryStoreId"),
        variant=(row.tags or {}).get(TAG),
    )


def _plain(moment: datetime | None) -> datetime | None:
    """In UTC, and as a plain datetime: msgspec takes no pendulum."""
    return moment and datetime.fromtimestamp(moment.timestamp(), timezone.utc)


def _party(to: Any) -> dict[str, Any]:
    """The one recipient of a message; nothing where there are several."""
    if isinstance(to, list):
        to = to[0] if len(to) == 1 else None
    return to if isinstance(to, dict) else {}


class Tally:
    """Counts of receipts: by status, by Twilio's code, and of failures whose reason nobody asked for."""

    def __init__(self) -> None:
        self.rows: int = 0
        self.unexplained: int = 0
        self.statuses: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()

    def add(self, receipts: Sequence[Receipt]) -> None:
        self.rows += len(receipts)
        self.statuses.update([receipt.status for receipt in receipts])
        for receipt in [receipt for receipt in receipts if receipt.verdict]:
            self.verdicts[str(receipt.verdict)] += 1
            if receipt.code:
                self.codes[str(receipt.code)] += 1
            elif receipt.attempts is None:
                self.unexplained += 1

    def counting(self, pages: Iterable[Sequence[Receipt]]) -> Iterator[Sequence[Receipt]]:
        """Pass pages of receipts on, and count them."""
        for rows in pages:
            self.add(rows)
            yield rows

    def to_dict(self) -> dict[str, Any]:
        """Counts only, the most frequent first: fit for XCom and events."""
        return {
            "rows": self.rows,
            "statuses": dict(self.statuses.most_common()),
            "codes": dict(self.codes.most_common()),
            "verdicts": dict(self.verdicts.most_common()),
            "unexplained": self.unexplained,
        }
