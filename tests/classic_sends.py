"""Messages of a finished classic bulk send in the emulator, and what its result says of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_twilio_comms._core.sending.ledger import digest_of
from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcomes
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["FROM", "SERVICE", "SidLedger", "add_messages", "describe"]

FROM, SERVICE = "+15005550006", "MG" + "5e" * 16
SKEW = timedelta(seconds=300)


class SidLedger:
    """A ledger that knows SIDs, and counts how often it is read."""

    def __init__(self, sids: Iterable[str]) -> None:
        self._sids = list(sids)
        self.reads = 0

    def sids(self) -> Iterable[str]:
        self.reads += 1
        return iter(self._sids)


def add_messages(
    emulator: Running, count: int, *, prefix: str = "+1202556", service: str | None = None, **changes: Any
) -> list[str]:
    """Add outbound messages to the emulator as if they had just been sent; returns their SIDs."""
    twilio = emulator.twilio
    sids = []
    with twilio.lock:
        now, outcomes = twilio.clock.now(), Outcomes(twilio.options.outcomes)
        for number in range(count):
            to = changes.get("to") or f"{prefix}{number:04d}"
            values = {
                "sid": f"SM{twilio.random.getrandbits(128):032x}",
                "account_sid": ACCOUNT_SID,
                "to": to,
                "from_": FROM,
                "service_sid": service,
                "body": "Hello",
                "outcome": outcomes.of(to, "SMS"),
                "created": now,
                "start": now,
                "pace": twilio.options.pace,
                "lag": twilio.options.receipts_lag,
                **changes,
            }
            message = Message(**values)
            twilio.part(Messages).by_sid[message.sid] = message
            sids.append(message.sid)
    return sids


def describe(emulator: Running, sids: list[str], **changes: Any) -> dict[str, Any]:
    """Describe messages as the result of a send does: ``messages`` there."""
    by_sid = emulator.twilio.part(Messages).by_sid
    moments = [datetime.fromtimestamp(by_sid[sid].created, timezone.utc) for sid in sids]
    service = by_sid[sids[0]].service_sid
    return {
        "sent": len(sids),
        "refused": {},
        "assumed": 0,
        "since": (min(moments) - SKEW).isoformat(),
        "until": (max(moments) + SKEW).isoformat(),
        "held_until": None,
        "from": None if service else FROM,
        "messaging_service_sid": service,
        "key": "0" * 20,
        "digest": digest_of(sids),
        "sids_path": None,
        **changes,
    }
