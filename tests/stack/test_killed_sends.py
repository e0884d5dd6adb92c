"""Sends whose workers and triggerer die, that are cleared, and whose lists change: all once, nobody kept."""

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


def test_a_list_that_grows_between_two_tries_is_red_until_it_is_given_back(stack: Stack) -> None:
    crash = {"moment": "after 1 accepted", "act": "call and die"}
    send = Send(stack, "chaos_bulk", options={"requests_at_once": 1}, conf=crash).start()
    moment = send.called()
    send.edit([6, *range(6)])
    moment.with_suffix(".answer").touch()
    assert send.ended() == "failed"
    assert "the recipients (6 then, 7 now)" in send.says("RecipientsChanged")
    assert send.counts() == [1, 1, 1, 1, 0, 0]
    send.edit(range(6))
    assert send.cleared() == "success"
    assert send.counts() == [1] * 6
    send.edit([6])
    assert send.cleared() == "success"
    assert stack.emulator is not None
    assert f"+1202{send.number:04d}006" not in stack.emulator.ledger()


def test_a_clear_of_another_task_sends_nothing_again(stack: Stack) -> None:
    crash = {"moment": "after 1 accepted", "act": "call and die"}
    send = Send(stack, "chaos_single", options={"on_clear": "resend"}, conf=crash).start()
    moment = send.called()
    stack.airflow.clear(send.dag_id, send.run_id, "other", downstream=False)
    moment.with_suffix(".answer").touch()
    assert send.ended() == "success"
    assert send.counts() == [1] * 6


def test_a_try_after_too_many_requests_comes_when_twilio_says(stack: Stack) -> None:
    assert stack.emulator is not None
    stack.emulator.fault(kind="rate_limited", method="POST", path="/Messages", retry_after=4, times=None)
    send = Send(stack, "chaos_bulk").start()
    assert "Twilio says when to come back" in send.says("Retry policy decision")
    stack.emulator.control("DELETE", "faults")
    assert send.ended() == "success"
    assert send.counts() == [1] * 6
