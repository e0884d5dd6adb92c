"""Magic numbers: the outcome of a message by the last digits of its recipient's number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from airflow_provider_twilio_comms.emulator.options import Scripted

__all__ = ["Outcome", "Outcomes", "message_of"]


class Outcome(NamedTuple):
    """The end of one attempt. ``elsewhere`` means that the next channel may still reach the person."""

    status: str
    code: int | None = None
    unaddressable: bool = False
    elsewhere: bool = False


_DELIVERED, _READ = Outcome("DELIVERED"), Outcome("READ")
_ENDINGS: dict[str, Outcome] = {
    "5559000": Outcome("SENT"),
    "5559001": Outcome("FAILED", 30001),
    "5559003": Outcome("UNDELIVERED", 30003),
    "5559005": Outcome("UNDELIVERED", 30005),
    "5559006": Outcome("UNDELIVERED", 30006, unaddressable=True),
    "5559007": Outcome("UNDELIVERED", 30007),
    "5559008": Outcome("UNDELIVERED", 30008),
    "5559034": Outcome("FAILED", 30034),
    "5559408": Outcome("FAILED", 21408),
    "5559410": Outcome("UNDELIVERED", 30410),
    "5559610": Outcome("FAILED", 21610),
}
_ENDINGS_OF: dict[tuple[str, str], Outcome] = {
    ("5559016", "WHATSAPP"): Outcome("FAILED", 63016),
    ("5559337", "RCS"): Outcome("UNDELIVERED", 61337, elsewhere=True),
    ("5559337", "WHATSAPP"): Outcome("UNDELIVERED", 63003, elsewhere=True),
}
_MESSAGES = {
    21408: "Permission to send an SMS has not been enabled for the region",
    21610: "Attempt to send to unsubscribed recipient",
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30034: "Message from an unregistered number",
    30410: "Provider timeout error",
    61337: "The recipient is not reachable over RCS",
    63003: "Channel could not find To address",
    63016: "Failed to send freeform message because you are outside the allowed window",
}


def message_of(code: int) -> str:
    return _MESSAGES.get(code, f"Error {code}")


class Outcomes:
    """Outcomes by number: those of ``Options.outcomes`` first, then the magic numbers.

    A number that ends in ``555`` and four digits of the first column (``+1 202 555 9003``) has this outcome,
    on every channel unless said otherwise; every other number is delivered, and on WhatsApp read.

        9000   sent, and no receipt ever comes        SENT
        9001   queue overflow                         FAILED       30001   (try again)
        9003   handset unreachable                    UNDELIVERED  30003   (try again)
        9005   unknown number                         UNDELIVERED  30005   (this recipient)
        9006   landline: no sender can reach it       unaddressable
        9007   filtered by the carrier                UNDELIVERED  30007   (content, reputation)
        9008   the carrier gave no reason             UNDELIVERED  30008   (try again)
        9016   WhatsApp, outside its 24 hours         FAILED       63016   (a template is needed)
        9034   sender not registered                  FAILED       30034   (configuration)
        9337   has neither RCS nor WhatsApp           UNDELIVERED  61337 or 63003 there; then the next channel
        9408   country not enabled                    FAILED       21408   (configuration)
        9410   the provider timed out                 UNDELIVERED  30410   (unknown)
        9610   opted out                              FAILED       21610   (never again)

    The codes: https://www.twilio.com/docs/api/errors
    """

    def __init__(self, scripted: Sequence[Scripted]) -> None:
        self._scripted = [
            (
                re.compile(rule.match),
                Outcome(rule.status, rule.code, unaddressable=rule.unaddressable),
            )
            for rule in scripted
        ]

    def of(self, address: str, channel: str) -> Outcome:
        """Find the outcome of an attempt to reach ``address`` through a sender of ``channel``."""
        for pattern, outcome in self._scripted:
            if pattern.search(address):
                return outcome
        ending = address[-7:]
        found = _ENDINGS.get(ending) or _ENDINGS_OF.get((ending, channel))
        return found or (_READ if channel == "WHATSAPP" else _DELIVERED)

    def ordinary(self, address: str) -> bool:
        """Tell if a number is an ordinary one on every channel."""
        return not self._scripted and address[-7:-4] != "555"
