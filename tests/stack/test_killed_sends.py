"""A bulk send whose worker and triggerer die, and which is cleared: all once, and nobody written down."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms.demo.stack import Stack
from tests.stack.leaks import credentials, leaks
from tests.stack.sends import Send

pytestmark = pytest.mark.stack


def test_everyone_is_texted_once_whatever_dies_and_nobody_is_written_down(stack: Stack) -> None:
    assert stack.emulator is not None
    stack.emulator.change(pace=6.0)
    crash = {"moment": "after 1 accepted", "act": "die"}
    killed = Send(stack, "chaos_bulk", conf=crash).start()
    lost = Send(
        stack, "chaos_bulk", options={"unknown_after": 3.0}, conf={**crash, "moment": "before 1 accepted"}
    )
    lost.start()
    cleared = Send(stack, "chaos_bulk").start().deferred()
    stack.airflow.clear(cleared.dag_id, cleared.run_id)
    stack.airflow.wait_for_task(killed.dag_id, killed.run_id, "send", ("deferred",), min_try=2)
    stack.kill("triggerer")
    stack.start_component("triggerer")
    sends = (killed, lost, cleared)
    for send in sends:
        assert send.ended() == "success"
        assert send.counts() == [1] * 6
        assert len(stack.airflow.tries(send.dag_id, send.run_id, "send")) >= 2
    assert cleared.cleared() == "success"
    assert cleared.counts() == [1] * 6
    needles = [*(number for send in sends for number in send.to), *(send.text for send in sends)]
    assert leaks(stack, [*needles, *credentials(stack)]) == []
