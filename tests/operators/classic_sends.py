"""A classic bulk send for tests: the operator with small numbers, in one line's difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.faults import Fault
from tests.operators.bulk_sends import bulk

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

__all__ = ["break_classic", "classic", "texts"]


def classic(recipients: Any, **kwargs: Any) -> TwilioBulkMessageOperator:
    """The operator, as fast as the emulator takes them, eight at once in batches of two."""
    defaults = {"generation": "classic", "requests_at_once": 8, "messages_per_second": "unlimited"}
    return bulk(recipients, **{**defaults, **kwargs})


def break_classic(emulator: Running, kind: Any, **kwargs: Any) -> None:
    """Let a message's request go wrong in this way."""
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/Messages.json$", **kwargs))


def texts(emulator: Running) -> dict[str, str]:
    """The text that each recipient got."""
    from airflow_provider_twilio_comms.emulator.classic.outbox import Messages

    return {message.to: message.body for message in emulator.twilio.part(Messages).by_sid.values()}
