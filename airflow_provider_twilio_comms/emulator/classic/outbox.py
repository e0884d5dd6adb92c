"""Outbox of the classic API: messages, whose status at any moment follows from the time.

At a pace of ten seconds a message is accepted or queued for three, being sent for three, sent for three; then
its receipt comes in, and one second later that it was read. Outcomes are those of ``comms/outcomes.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.clock import rfc2822
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome, message_of

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["SENT", "Media", "Message", "Messages"]

SENT = ("sent", "delivered", "undelivered", "read")
_SENDING, _SENT, _SETTLED = 0.3, 0.6, 0.9  # parts of the pace, from the start
_PRICE = Decimal("-0.00830")  # US dollars a segment


@dataclass(frozen=True)
class Media:
    """A file of a message; ``url`` is the address from which Twilio fetched it."""

    sid: str
    message_sid: str
    account_sid: str
    url: str
    content_type: str
    created: float

    @property
    def path(self) -> str:
        return f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.message_sid}/Media/{self.sid}"

    def view(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_sid": self.message_sid,
            "content_type": self.content_type,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "uri": f"{self.path}.json",
        }


@dataclass
class Message:
    """A message with the times of its statuses. ``start`` is the time when sending begins."""

    sid: str
    account_sid: str
    to: str
    from_: str
    service_sid: str | None
    body: str
    outcome: Outcome
    created: float
    start: float
    pace: float
    lag: float = 0.0
    provide_feedback: bool = False
    status_callback: str | None = None
    media: dict[str, Media] = field(default_factory=dict)
    media_count: int = 0
    canceled_at: float | None = None
    updated: float = 0.0

    def stages(self) -> list[tuple[float, str]]:
        """List its statuses with their times, from the start of sending."""
        start, pace, ending = self.start, self.pace, self.outcome.status
        found = [(start, "accepted" if self.service_sid else "queued")]
        if ending == "FAILED":
            return [*found, (start + _SENDING * pace, "failed")]
        found += [(start + _SENDING * pace, "sending"), (start + _SENT * pace, "sent")]
        if ending != "SENT":
            settled = "delivered" if ending == "READ" else ending.lower()
            found.append((start + _SETTLED * pace + self.lag, settled))
        if ending == "READ":
            found.append((start + pace + self.lag, "read"))
        return found

    def status(self, now: float) -> str:
        if self.canceled_at is not None:
            return "canceled"
        passed = (status for moment, status in reversed(self.stages()) if moment <= now + 1e-6)
        return next(passed, "scheduled")

    @property
    def initial(self) -> str:
        """The status in the reply of its creation, however fast it changes."""
        return "scheduled" if self.start > self.created else "accepted" if self.service_sid else "queued"

    def sender(self, status: str) -> str | None:
        """Find the sender, which a service chooses only when sending begins."""
        return None if self.service_sid and status in ("accepted", "scheduled", "canceled") else self.from_

    @property
    def sent_at(self) -> float:
        return self.start + _SENT * self.pace

    def view(self, now: float, status: str | None = None) -> dict[str, Any]:
        status = status or self.status(now)
        sender, sent = self.sender(status), status in SENT
        count = segments(self.body)[0] if sender else 0
        failed = status in ("failed", "undelivered") and self.outcome.code is not None
        base = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "messaging_service_sid": self.service_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "to": self.to,
            "from": sender,
            "direction": "outbound-api",
            "status": status,
            "num_segments": str(count),
            "num_media": str(self.media_count),
            "price": str(_PRICE * count) if sent else None,
            "price_unit": "USD" if sent or self.priced else None,
            "error_code": self.outcome.code if failed else None,
            "error_message": message_of(self.outcome.code or 0) if failed else None,
            "date_created": rfc2822(self.created),
            "date_sent": rfc2822(self.sent_at) if sent else None,
            "date_updated": rfc2822(max(self.updated, self.sent_at if sent else self.created)),
            "uri": f"{base}.json",
            "subresource_uris": {"media": f"{base}/Media.json", "feedback": f"{base}/Feedback.json"},
        }

    @property
    def priced(self) -> bool:
        """True if the currency is known from the start: of a number, but of no service or channel."""
        return self.service_sid is None and ":" not in self.to

    def price(self, now: float) -> Decimal:
        """Calculate the price so far; none before it is sent."""
        return _PRICE * segments(self.body)[0] if self.status(now) in SENT else Decimal(0)


class Messages:
    """Every message by SID, oldest first."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self.by_sid: dict[str, Message] = {}

    def get(self, account_sid: str, sid: str) -> Message:
        message = self.by_sid.get(sid)
        if message is None or message.account_sid != account_sid:
            raise missing()
        return message

    def listed(self, account_sid: str) -> Iterator[Message]:
        """List messages, newest first, without those that are too new for a list."""
        until = self._twilio.clock.now() - self._twilio.options.list_lag
        for message in reversed(self.by_sid.values()):
            if message.account_sid == account_sid and message.created <= until:
                yield message
