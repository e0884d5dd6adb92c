"""A bulk send for tests: the operator with small numbers, and people to send to."""

from __future__ import annotations

from typing import Any

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

__all__ = ["bulk", "people"]


def people(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Recipients that the emulator delivers to, in Twilio's form."""
    return [
        {"address": f"+1202{n:07d}", "channel": "PHONE", "variables": {"name": f"Person {n}"}}
        for n in range(first, first + count)
    ]


def bulk(recipients: Any, **kwargs: Any) -> TwilioBulkMessageOperator:
    """The operator, waiting in the worker and looking often."""
    defaults: dict[str, Any] = {
        "task_id": "send",
        "content": "Hello {{ name | default: 'you' }}",
        "sender": "+15005550006",
        "wait_for": "accepted",
        "deferrable": False,
        "poll_interval": 0.1,
        "unknown_after": 1.0,
    }
    return TwilioBulkMessageOperator(recipients=recipients, **{**defaults, **kwargs})
