"""Inbound messages: https://www.twilio.com/docs/messaging/guides/webhook-request"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.emulator.classic.opt_outs import OptOuts
from airflow_provider_twilio_comms.emulator.classic.outbox import Media, Message, Messages
from airflow_provider_twilio_comms.emulator.clock import rfc2822
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Arrival", "Inbound", "receive"]


class Arrival(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename={"service_sid": "serviceSid"}):
    """An inbound message to add: ``media`` are addresses of files, ``service_sid`` its number's service."""

    from_: str = msgspec.field(name="from")
    to: str
    body: str = ""
    media: list[str] = []
    service_sid: str | None = None


@dataclass
class Inbound(Message):
    """An inbound message, which has the status ``received`` from the start."""

    def status(self, now: float) -> str:
        return "received"

    @property
    def sent_at(self) -> float:
        return self.created

    def view(self, now: float, status: str | None = None) -> dict[str, Any]:
        return {
            **super().view(now, "received"),
            "direction": "inbound",
            "num_segments": str(segments(self.body)[0]),
            "date_sent": rfc2822(self.created),
            "date_updated": rfc2822(max(self.updated, self.created)),
        }


def receive(twilio: State, arrival: Arrival, account_sid: str = ACCOUNT_SID) -> Inbound:
    """Add an inbound message; lists show it at once, or after their lag."""
    now, bits = twilio.clock.now(), twilio.random.getrandbits
    sid = f"{'MM' if arrival.media else 'SM'}{bits(128):032x}"
    files = [
        Media(f"ME{bits(128):032x}", sid, account_sid, url, mimetypes.guess_type(url)[0] or "image/jpeg", now)
        for url in arrival.media
    ]
    message = Inbound(
        sid=sid,
        account_sid=account_sid,
        to=arrival.to,
        from_=arrival.from_,
        service_sid=arrival.service_sid,
        body=arrival.body,
        outcome=Outcome("DELIVERED"),
        created=now,
        start=now,
        pace=0.0,
        media={file.sid: file for file in files},
        media_count=len(files),
    )
    twilio.part(Messages).by_sid[sid] = message
    twilio.part(OptOuts).hear(message)
    return message
