"""Opt-outs by keyword: https://help.twilio.com/articles/223134027

Whoever answers STOP gets no more from that number, or, where the number is in a messaging service, from any
sender of the service; START takes it back. Only a message that is the keyword and nothing else counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_twilio_comms.emulator.classic.services import Services

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.classic.outbox import Message
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["OptOuts"]

_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
_START = frozenset({"START", "YES", "UNSTOP"})


class OptOuts:
    """Opt-outs by sender: pairs of a person's number and a sender or the SID of a service."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._out: set[tuple[str, str]] = set()

    def hear(self, message: Message) -> None:
        """Take in an inbound message, which may be a keyword. Channels other than SMS have none."""
        word = message.body.strip().upper()
        if ":" in message.from_ or word not in _STOP | _START:
            return
        service = message.service_sid or self._service_of(message.to)
        pair = (message.from_, service or message.to)
        if word in _STOP:
            self._out.add(pair)
        else:
            self._out.discard(pair)

    def holds(self, to: str, sender: str, service_sid: str | None) -> bool:
        """Tell if a person opted out of a sender, or of the service that it is in."""
        if not self._out:
            return False
        scope = service_sid or self._service_of(sender) or sender
        return (to, scope) in self._out

    def _service_of(self, number: str) -> str | None:
        services = self._twilio.part(Services).by_sid.values()
        return next((each.sid for each in services if number in each.addresses), None)
