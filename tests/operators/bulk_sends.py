"""A bulk send for tests: the operator with small numbers, and people to send to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import RateLimited
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["break_bulk", "bulk", "people", "stopped_after", "texted"]


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
        "requests_at_once": 1,  # so that what came before a fault is known
    }
    return TwilioBulkMessageOperator(recipients=recipients, **{**defaults, **kwargs})


def stopped_after(
    emulator: Running, chunks: int, store: MemoryStore, rows: Any, tried: Any = None, **kwargs: Any
) -> None:
    """A first try that Twilio refuses, for being too fast, after so many chunks; ``tried`` is its context."""
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=chunks, method="POST", path="/Messages$"))
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        bulk(rows, **kwargs).execute(tried or context(store))


def break_bulk(emulator: Running, kind: Any, **kwargs: Any) -> None:
    """Let a request of a bulk send go wrong in this way."""
    emulator.twilio.faults.add(Fault(kind=kind, method="POST", path="/Messages$", **kwargs))


def texted(emulator: Running) -> list[int]:
    """Count how many people got how many messages each at most: ``[6, 1]`` is six people once."""
    counts = emulator.twilio.ledger.to_dict()["recipients"]
    return [len(counts), max(counts.values(), default=0)]
