"""A message log to copy: what was sent on the days before today, into the emulator without sending it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["TODAY", "bounds", "day", "log"]

TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def day(before: int, hours: float = 0.0) -> datetime:
    """So many days before today, at an hour."""
    return TODAY - timedelta(days=before) + timedelta(hours=hours)


def bounds(before: int, days: int = 1) -> dict[str, str]:
    """The arguments of an interval of whole days."""
    return {
        "interval_start": day(before).isoformat(),
        "interval_end": day(before - days).isoformat(),
    }


def log(emulator: Running, *moments: datetime, **kwargs: Any) -> list[str]:
    """Messages that were sent at these moments; returns their SIDs, the oldest first."""
    box = emulator.twilio.part(Messages)
    sids = []
    with emulator.twilio.lock:
        for moment in moments:
            sid = f"SM{len(box.by_sid):032x}"
            values: dict[str, Any] = {
                "to": f"+1202555{len(box.by_sid):04d}",
                "from_": "+15005550006",
                "body": f"Your code is {len(box.by_sid)}",
                "outcome": Outcome("DELIVERED"),
                "created": moment.timestamp(),
                "start": moment.timestamp(),
                **kwargs,
            }
            box.by_sid[sid] = Message(sid=sid, account_sid=ACCOUNT_SID, service_sid=None, pace=0.0, **values)
            sids.append(sid)
        # Twilio lists by date, and the emulator by age: the newest come last here.
        ordered = sorted(box.by_sid.items(), key=lambda item: item[1].start)
        box.by_sid.clear()
        box.by_sid.update(ordered)
    return sids
