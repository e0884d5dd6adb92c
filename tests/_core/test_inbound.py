"""The inbox of inbound messages: read whole once, then only where something can be new."""

from __future__ import annotations

import time

import pytest

from airflow_provider_twilio_comms._core.inbound import OVERLAP, PAGE, Inbox
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

OURS = "+15005550006"
LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"


def write(emulator: Running, count: int) -> list[str]:
    with emulator.twilio.lock:
        arrivals = [
            Arrival(
                from_="+12025550101", to=OURS, body=f"Hi {n}", media=["https://x/a.png"] if n == 3 else []
            )
            for n in range(count)
        ]
        return [receive(emulator.twilio, each).sid for each in arrivals]


def refreshed(emulator: Running, inbox: Inbox, since: float) -> tuple[list[str], int]:
    """The SIDs in the inbox, and how many requests that took."""
    emulator.twilio.journal.counts.clear()
    found = TwilioHook().run(inbox.refresh(since, [OURS]))
    assert set(emulator.twilio.journal.counts) == {LIST}, "no files are asked for"
    return [message.sid for message in found], emulator.twilio.journal.counts[LIST]


def test_an_inbox_reads_old_pages_of_inbound_messages_once(emulator: Running) -> None:
    since, inbox = time.time() - 5, Inbox()
    first = write(emulator, 4 * PAGE)
    assert refreshed(emulator, inbox, since) == (first, 4)
    emulator.twilio.clock.advance(2 * OVERLAP)
    second = write(emulator, 2)
    assert refreshed(emulator, inbox, since) == (first + second, 5), "the newest it knows is as old as that"
    third = write(emulator, 1)
    assert refreshed(emulator, inbox, since) == (first + second + third, 1)
    assert refreshed(emulator, inbox, since + 2 * OVERLAP) == (second + third, 1)
    assert refreshed(emulator, inbox, since)[0] == first + second + third, "what a new watcher wants is read"


def test_each_inbound_message_says_which_read_found_it(emulator: Running) -> None:
    since, inbox = time.time() - 5, Inbox()
    write(emulator, 2)
    TwilioHook().run(inbox.refresh(since, [OURS]))
    write(emulator, 1)
    found = TwilioHook().run(inbox.refresh(since, [OURS]))
    assert [message.read for message in found] == [1, 1, 2]


def test_a_late_inbound_message_is_found_behind_newer_ones(emulator: Running) -> None:
    since, inbox = time.time() - 5, Inbox()
    late = write(emulator, 1)
    emulator.twilio.faults.add(Fault(kind="lag", seconds=60))
    assert refreshed(emulator, inbox, since)[0] == []
    emulator.twilio.clock.advance(OVERLAP / 2)
    newer = write(emulator, 1)
    assert refreshed(emulator, inbox, since)[0] == late + newer


def test_a_failed_read_leaves_the_inbox_as_it_was(emulator: Running) -> None:
    since, inbox = time.time() - 5, Inbox()
    sids = write(emulator, 2)
    emulator.twilio.faults.add(Fault(kind="bad_gateway", times=None))
    with pytest.raises(TwilioError):
        TwilioHook().run(inbox.refresh(since, [OURS]))
    emulator.twilio.faults.clear()
    assert refreshed(emulator, inbox, since)[0] == sids
    assert inbox.reads == 1
