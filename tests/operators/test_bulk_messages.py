from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.operators.messages import TwilioBulkMessageOperator
from tests.fakes import MemoryStore, context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def bulk(recipients: Any, **kwargs: Any) -> TwilioBulkMessageOperator:
    kwargs = {
        "content": "Hello {{ name | default: 'you' }}",
        "sender": "+15005550006",
        "deferrable": False,
        "poll_interval": 0.1,
    } | kwargs
    return TwilioBulkMessageOperator(task_id="send", recipients=recipients, **kwargs)


def test_everyone_once_in_as_many_requests_as_it_takes(emulator: Running) -> None:
    emulator.control({"pace": 0.2}) if hasattr(emulator, "control") else None
    people = [
        {"address": f"+1202555{n:04d}"[:12], "channel": "PHONE", "variables": {"name": str(n)}}
        for n in range(25)
    ]
    result = bulk(people, wait_for="processed").execute(context(MemoryStore()))
    print(result)
    assert result["recipients"] == 25
