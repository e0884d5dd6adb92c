"""Moments and texts of a campaign's messages at the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["moments", "requests", "said"]


def requests(emulator: Running) -> list[tuple[float | None, list[str]]]:
    """The requests of the Communications API, oldest first: when they go out (None: at once), and to whom."""
    found = emulator.twilio.part(Outbox).newest_first()
    return [(each.scheduled_for, list(each.recipients.addresses)) for each in reversed(found)]


def moments(emulator: Running) -> dict[str, float]:
    """Find when each person's message goes out, in seconds since 1970; 0 for at once."""
    found = {number: at or 0.0 for at, numbers in requests(emulator) for number in numbers}
    for message in emulator.twilio.part(Messages).by_sid.values():
        found[message.to] = message.start if message.start > message.created + 1 else 0.0
    return found


def said(emulator: Running) -> dict[str, str]:
    """The content of each person's message, as it was given."""
    found = {}
    for operation in emulator.twilio.part(Outbox).newest_first():
        found.update(dict.fromkeys(operation.recipients.addresses, operation.content.text or ""))
    found.update({each.to: each.body for each in emulator.twilio.part(Messages).by_sid.values()})
    return found
