"""A task that is killed or given up: it posts nothing more, says what goes on, and a later try knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferralTimeout, TaskDeferred

from airflow_provider_twilio_comms.exceptions import TwilioError
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def killed_at(task: Any, state: str) -> MemoryStore:
    """A store at whose first write of ``state`` the task is killed, as by a signal."""

    def kill(key: str, value: Any) -> None:
        if value.get("state") == state:
            store.refuse = lambda key, value: None
            task.on_kill()

    store = MemoryStore(kill)
    return store


@pytest.mark.parametrize("state", ["sending", "accepted"])
def test_a_killed_send_ends_its_request_and_makes_no_other(
    emulator: Running, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = bulk(people(6), recipients_per_request=2)
    store = killed_at(task, state)
    with pytest.raises(TwilioError, match="Request 2: the task was killed"):
        task.execute(context(store))
    assert emulator.twilio.ledger.messages == 2
    said = capsys.readouterr().out
    assert "Killed; " in said
    if state == "accepted":
        assert "sent to 2 recipients goes on at Twilio: comms_operation_" in said
    result = bulk(people(6), recipients_per_request=2).execute(context(store, try_number=2))
    assert result
    assert len(result["operation_ids"]) == 3
    assert set(emulator.twilio.ledger.recipients.values()) == {1}


def test_a_wait_that_airflow_ends_leaves_word_of_what_goes_on(
    emulator: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    first = context(MemoryStore())
    with pytest.raises(TaskDeferred):
        bulk(people(3), deferrable=True, wait_for="delivered").execute(first)
    resumed = bulk(people(3), deferrable=True, wait_for="delivered")
    with pytest.raises(TaskDeferralTimeout):
        resumed.resume_execution("__fail__", {"error": "Trigger timeout"}, first)
    said = capsys.readouterr().out
    assert "Airflow has ended the wait; what was sent to 3 recipients goes on" in said
    assert first["ti"].xcoms["twilio_sent"]["operation_ids"][0] in said.partition("has ended the wait")[2]
    resumed.on_kill()
    assert "Killed; what was sent to 3 recipients goes on" in capsys.readouterr().out
