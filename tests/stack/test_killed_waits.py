"""Killed, timed out, marked: what was waiting stops, says what goes on at Twilio, and a clear respects it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.demo.emulation import Emulation
from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.conftest import environment
from tests.fakes import context
from tests.notifications.alert_process import config
from tests.stack.sends import Send

pytestmark = pytest.mark.stack

SENDER = "+15005550006"
LONG = 600.0  # seconds that Twilio takes, until its clock is set forward


@pytest.fixture
def twilio(stack: Stack) -> Iterator[Emulation]:
    """A Twilio that takes its time."""
    assert stack.emulator is not None
    before = stack.emulator.control("GET", "options")["pace"]
    stack.emulator.change(pace=LONG)
    yield stack.emulator
    stack.emulator.control("DELETE", "faults")
    stack.emulator.change(pace=before)


def polls(twilio: Emulation, names: set[str]) -> tuple[int, int]:
    """Count how often one of these, or the list of messages, was asked for; and the list of operations.

    An example's watcher reads that one too, every 30 seconds.
    """
    asked = [entry for entry in twilio.control("GET", "requests")["recent"] if entry["method"] == "GET"]
    singly = [entry for entry in asked if entry["path"].rpartition("/")[2].removesuffix(".json") in names]
    listed = [entry for entry in asked if entry["path"].endswith("/Messages.json")]
    ours = len(singly) + sum("To" not in dict(entry["query"]) for entry in listed)
    return ours, sum(entry["path"].endswith("/Messages/Operations") for entry in asked)


def arrive(twilio: Emulation) -> None:
    """Let everything that is under way arrive."""
    twilio.control("POST", "clock", {"advance": LONG})


def everyone_once(send: Send) -> bool:
    return set(send.counts()) == {1}


def test_a_task_that_is_marked_while_it_waits_stops_and_says_what_goes_on(
    stack: Stack, twilio: Emulation
) -> None:
    sends = {
        (dag_id, state): Send(stack, dag_id).start()
        for dag_id in ("chaos_bulk", "chaos_single")
        for state in ("success", "failed")
    }
    for send in sends.values():
        send.deferred()
        send.says("under way" if send.dag_id == "chaos_bulk" else "queued")
    for (_, state), send in sends.items():
        send.mark(state)
        assert send.ended() == state
    for send in sends.values():
        line = send.says("No longer waiting; what is under way at Twilio goes on: ")
        assert all(name in line for name in send.ids())
        assert "(0 of 3 operations" in line or "(queued 6)" in line or "(accepted 6)" in line
    names = {name for send in sends.values() for name in send.ids()}
    ours, operations = polls(twilio, names)
    assert ours > 0
    time.sleep(3)  # three intervals
    assert polls(twilio, names) in [(ours, operations), (ours, operations + 1)]
    arrive(twilio)
    for send in sends.values():
        before = send.ids()
        assert send.cleared() == "success"
        assert send.ids() == before
        assert everyone_once(send)


def client(twilio: Emulation) -> Client:
    return Client(config(f"{twilio.url}/{{product}}"))


def statuses(twilio: Emulation, send: Send) -> list[list[str | None]]:
    """The statuses of each person's messages, the newest first."""
    asked = client(twilio)
    try:
        return [[row.status for row in asked.run(messages.list(to=to)).items] for to in send.to]
    finally:
        asked.close()


def scheduled(stack: Stack, twilio: Emulation) -> Send:
    """A send of messages that go out in an hour."""
    declared = TwilioMessagingServiceOperator(task_id="s", friendly_name="chaos", phone_numbers=[SENDER])
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection()):
        service = declared.execute(context())["sid"]
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    options: dict[str, Any] = {
        "from_": None,
        "messaging_service_sid": service,
        "send_at": at.isoformat(),
        "cancel_on_kill": True,
    }
    return Send(stack, "chaos_single", people=2, options=options).start()


def test_what_is_scheduled_is_canceled_with_a_failed_task_and_sent_anew_by_a_clear(
    stack: Stack, twilio: Emulation
) -> None:
    failed, done = scheduled(stack, twilio), scheduled(stack, twilio)
    for send, state in ((failed, "failed"), (done, "success")):
        send.deferred()
        send.says("starting")
        send.mark(state)
    failed.says("Canceled 2 messages; too late for 0")
    done.says("No longer waiting")
    assert statuses(twilio, failed) == [["canceled"]] * 2
    assert statuses(twilio, done) == [["scheduled"]] * 2
    for send in (failed, done):
        send.ended()
        stack.airflow.clear(send.dag_id, send.run_id)
        stack.airflow.wait_for_task(send.dag_id, send.run_id, "send", ("deferred",), min_try=2)
    assert statuses(twilio, failed) == [["scheduled", "canceled"]] * 2
    assert statuses(twilio, done) == [["scheduled"]] * 2
    for send in (failed, done):
        send.mark("failed")
    until(lambda: statuses(twilio, failed) == [["canceled"] * 2] * 2, timeout=300, what="both to be canceled")


def test_an_execution_timeout_says_what_goes_on(stack: Stack, twilio: Emulation) -> None:
    send = Send(stack, "chaos_timed").start()
    assert send.ended() == "failed"
    line = send.says("Killed; what was sent to 6 recipients goes on at Twilio: ")
    assert len(send.ids()) == 3
    assert all(name in line for name in send.ids())
    arrive(twilio)
    assert send.cleared() == "success"
    assert everyone_once(send)


def test_time_that_is_up_is_told_by_the_task_with_ids_and_counts(stack: Stack, twilio: Emulation) -> None:
    late, given_up = Send(stack, "chaos_late").start(), Send(stack, "chaos_given_up").start()
    assert late.ended() == "failed"
    line = late.says("time is up; ")
    assert all(name in line for name in late.ids())
    assert "still under way: 6 messages" in line
    assert given_up.ended() == "failed"
    line = given_up.says("Airflow has ended the wait; what was sent to 6 recipients goes on at Twilio: ")
    assert all(name in line for name in given_up.ids())
    arrive(twilio)
    for send in (late, given_up):
        assert send.cleared() == "success"
        assert everyone_once(send)


def test_a_task_that_is_failed_while_it_sends_posts_nothing_more(stack: Stack, twilio: Emulation) -> None:
    twilio.fault(kind="slow", method="POST", path="/Messages", seconds=0.5, times=None)
    send = Send(stack, "chaos_bulk", people=120).start()
    until(lambda: sum(send.counts()) >= 4, timeout=300, what="its first requests")
    send.mark("failed")
    line = send.says("Killed; what was sent to ")
    sent = sum(send.counts())
    time.sleep(2)
    assert sum(send.counts()) - sent <= 2  # the request that was under way
    assert sum(send.counts()) < 120
    assert send.ids()[0] in line
    twilio.control("DELETE", "faults")
    until(lambda: not stack.task_processes(), timeout=300, what="the killed try to end")
    arrive(twilio)
    stack.airflow.clear(send.dag_id, send.run_id)
    until(lambda: everyone_once(send), timeout=300, what="the rest to be sent")
    arrive(twilio)
    assert send.ended() == "success"
    assert everyone_once(send)
