"""Outbox page, its part for the classic API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["groups"]


def groups(
    twilio: State, words: str, status: str
) -> Iterator[tuple[float, int, Callable[[int], dict[str, Any]]]]:
    """Find the messages that match, each as a group of its own."""
    now = twilio.clock.now()
    for message in reversed(twilio.part(Messages).by_sid.values()):
        row = _row(message, now)
        if status in ("", row["status"]) and words in f"{row['to']} {row['text']} {row['id']}":
            yield message.created, 1, _rower(row)


def _rower(row: dict[str, Any]) -> Callable[[int], dict[str, Any]]:
    def only(_: int) -> dict[str, Any]:
        return row

    return only


def _row(message: Message, now: float) -> dict[str, Any]:
    view = message.view(now)
    channel, _, to = message.to.rpartition(":")
    return {
        "id": message.sid,
        "kind": "classic",
        "from": view["from"],
        "to": to,
        "channel": (channel or "sms").upper(),
        "status": view["status"].upper(),
        "code": view["error_code"],
        "text": view["body"],
        "tags": {},
        "operation": None,
        "created": message.created,
    }
