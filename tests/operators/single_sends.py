"""A single message for tests: the operator, not waiting, or in the worker and looking often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["ADA", "BODY", "EVE", "FROM", "break_posts", "message", "taken"]

ADA, EVE, FROM = "+12025550123", "+12025550124", "+15005550006"
BODY = "Please look at the “orders” load \N{EN DASH} it failed."


def message(**kwargs: Any) -> TwilioSendMessageOperator:
    defaults: dict[str, Any] = {
        "task_id": "send",
        "to": ADA,
        "from_": FROM,
        "body": BODY,
        "wait_for": "queued",
        "deferrable": False,
        "poll_interval": 0.1,
        "unknown_after": 1.0,
    }
    return TwilioSendMessageOperator(**{**defaults, **kwargs})


def break_posts(emulator: Running, kind: Any, **kwargs: Any) -> None:
    """Let the next send go wrong in this way."""
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/Messages.json$", **kwargs))


def taken(emulator: Running) -> dict[str, int]:
    """Count how many messages Twilio took, by recipient."""
    return dict(emulator.twilio.ledger.recipients)
