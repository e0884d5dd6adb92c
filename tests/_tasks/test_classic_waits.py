"""The wait of a task for a classic bulk send: the verdict is exact, by SID, and says why it is red."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.sent_messages import SentOutcome, SidSet, Tally
from airflow_provider_twilio_comms._tasks.waiting import ClassicTaskWait
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    InvalidInput,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.classic_sends import SERVICE, SidLedger, add_messages, describe
from tests.fakes import MemoryStore, context
from tests.operators.classic_sends import classic

UNREACHABLE, NO_RECEIPT = "+12025559003", "+12025559000"
LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"
DELIVERED = Criteria("delivered")


@pytest.fixture
def emulator(emulator: Running) -> Running:
    emulator.twilio.change(pace=0)
    return emulator


def wait_for(
    sent: dict[str, Any], ledger: SidLedger | None = None, criteria: Criteria = DELIVERED, seconds: float = 20
) -> ClassicTaskWait:
    now = time.time()
    return ClassicTaskWait(sent, criteria, now + seconds, now, 0.05, 0.0, ledger)


def verdict(wait: ClassicTaskWait, event: Any = None) -> dict[str, int]:
    """The verdict after a wait in the worker, or on a trigger's event."""
    hook = TwilioHook()
    counts = wait.verdict(event or wait.run(hook, to_the_end=True), hook).stats
    return {name: count for name, count in counts.items() if count}


def test_what_others_sent_does_not_count(emulator: Running) -> None:
    sids = add_messages(emulator, 1_500)
    add_messages(emulator, 40, to=UNREACHABLE)
    ledger = SidLedger(sids)
    counts = verdict(wait_for(describe(emulator, sids), ledger))
    assert counts == {"total": 1_500, "recipients": 1_500, "attempts": 1_500, "delivered": 1_500}
    assert ledger.reads == 1
    assert emulator.twilio.journal.counts[LIST] == 2


def test_a_red_verdict_has_counts_and_codes(emulator: Running) -> None:
    sids = add_messages(emulator, 6) + add_messages(emulator, 2, to=UNREACHABLE)
    sent = describe(emulator, sids, refused={"21610": 1}, assumed=1)
    with pytest.raises(DeliveryFailed, match="6 of 10 were delivered, and all were required") as caught:
        verdict(wait_for(sent, SidLedger(sids)))
    assert caught.value.codes == {"30003": 2, "21610": 1}
    assert (caught.value.stats["undelivered"], caught.value.stats["failed"]) == (2, 1)
    assert "2 x 30003" in str(caught.value)
    assert (
        verdict(wait_for(sent, SidLedger(sids), Criteria("delivered", min_delivered=0.6)))["delivered"] == 6
    )
    with pytest.raises(DeliveryFailed, match="max_failed=2 allows 2"):
        verdict(wait_for(sent, SidLedger(sids), Criteria("processed", max_failed=2)))


def test_a_trigger_that_could_not_tell_is_corrected_by_the_ledger(emulator: Running) -> None:
    sids = add_messages(emulator, 30)
    add_messages(emulator, 5, to=UNREACHABLE)
    sent = describe(emulator, sids)
    inexact = SentOutcome("done", Tally(Stats(total=30, delivered=30, undelivered=5), 35, {30003: 5}, False))
    assert verdict(wait_for(sent, SidLedger(sids)), inexact.to_event())["delivered"] == 30
    with pytest.raises(TwilioError, match="others sent from the same number"):
        verdict(wait_for(sent), inexact.to_event())


def test_a_trigger_that_could_tell_is_believed(emulator: Running) -> None:
    sids = add_messages(emulator, 30)
    ledger = SidLedger(sids)
    exact = SentOutcome("done", Tally(Stats(total=30, delivered=30), 30))
    assert verdict(wait_for(describe(emulator, sids), ledger), exact.to_event())["delivered"] == 30
    assert ledger.reads == emulator.twilio.journal.counts[LIST] == 0


def test_the_sids_are_read_from_the_file_where_there_is_no_ledger(emulator: Running, tmp_path: Path) -> None:
    sids = add_messages(emulator, 30)
    add_messages(emulator, 5, to=UNREACHABLE)
    path = tmp_path / "sids.txt"
    path.write_text("\n".join(sids))
    assert verdict(wait_for(describe(emulator, sids, sids_path=path.as_uri())))["delivered"] == 30


def test_time_is_up_while_receipts_are_missing(emulator: Running) -> None:
    sids = add_messages(emulator, 8) + add_messages(emulator, 2, to=NO_RECEIPT)
    sent, ledger = describe(emulator, sids), SidLedger(sids)
    with pytest.raises(WaitTimedOut, match="still under way: 2 messages") as caught:
        verdict(wait_for(sent, ledger, seconds=0.1))
    assert caught.value.stats["sent"] == 2
    enough = Criteria("delivered", min_delivered=8)
    assert verdict(wait_for(sent, ledger, enough, seconds=0.1))["delivered"] == 8
    assert verdict(wait_for(sent, ledger, Criteria("processed")))["sent"] == 2


def test_messages_that_twilio_lists_no_longer_are_missing(emulator: Running) -> None:
    sids = add_messages(emulator, 10)
    sent, ledger = describe(emulator, sids), SidLedger(sids)
    del emulator.twilio.part(Messages).by_sid[sids[0]]
    wait = wait_for(sent, ledger)
    seen = wait.run(TwilioHook(), to_the_end=False)
    assert seen is None, "it may be listed later"
    gone = SentOutcome("done", Tally(Stats(total=10, delivered=9), 9))
    with pytest.raises(OperationGone, match="1 of 10 messages are not in Twilio's list"):
        verdict(wait, gone.to_event())
    most = Criteria("delivered", min_delivered=0.9)
    assert verdict(wait_for(sent, ledger, most), gone.to_event())["delivered"] == 9


def test_messages_that_are_missing_count_as_failed(emulator: Running) -> None:
    sent = describe(emulator, add_messages(emulator, 10))
    for found, criteria, is_enough in (
        (9, Criteria("processed", max_failed=0.1), True),
        (9, Criteria("processed"), False),
        (0, Criteria("processed"), False),
        (9, Criteria("processed", max_failed=1), True),
        (8, Criteria("processed", max_failed=1), False),
    ):
        outcome = SentOutcome("done", Tally(Stats(total=10, delivered=found), found))
        if is_enough:
            assert verdict(wait_for(sent, None, criteria), outcome.to_event())["total"] == 10
        else:
            with pytest.raises(OperationGone):
                verdict(wait_for(sent, None, criteria), outcome.to_event())


def test_a_sender_that_is_too_slow_fails_what_waits_for_too_long(emulator: Running) -> None:
    emulator.twilio.change(sender_rates=True)
    hurried = {"wait_for": "accepted", "options": {"validity_period": 10}}
    sent = classic([f"+1202556{number:04d}" for number in range(300)], **hurried).execute(
        context(MemoryStore())
    )
    assert sent
    emulator.twilio.clock.advance(400)
    with pytest.raises(DeliveryFailed) as caught:
        verdict(wait_for(sent["messages"]))
    delivered = caught.value.stats["delivered"]
    assert 11 <= delivered < 300, "one a second, for ten seconds from when each was sent"
    assert caught.value.codes == {"30036": 300 - delivered}


def test_a_first_look_leaves_scheduled_messages_alone(emulator: Running) -> None:
    sids = add_messages(emulator, 3, service=SERVICE, start=time.time() + 3600)
    sent = describe(emulator, sids, held_until="2099-01-01T00:00:00+00:00")
    assert wait_for(sent, SidLedger(sids)).run(TwilioHook(), to_the_end=False) is None
    assert emulator.twilio.journal.counts[LIST] == 0


def test_the_trigger_gets_the_description_and_no_sids(emulator: Running) -> None:
    sids = add_messages(emulator, 3)
    sent = describe(emulator, sids)
    trigger = wait_for(sent, SidLedger(sids), Criteria("delivered", min_delivered=0.5)).trigger(
        "twilio_default"
    )
    assert (trigger.messages, trigger.until, trigger.enough) == (sent, "delivered", 0.5)
    assert type(trigger)(**trigger.serialize()[1]).serialize() == trigger.serialize()


def test_what_is_no_result_of_a_send_is_refused() -> None:
    with pytest.raises(InvalidInput, match="generation='classic'"):
        wait_for({"operation_ids": []}).wait()


def test_a_set_of_sids_holds_each_in_eight_bytes() -> None:
    sids = [f"SM{number * 7919:032x}" for number in range(1_000)]
    held = SidSet(sids)
    assert len(held) == 1_000
    assert all(sid in held for sid in sids)
    assert not any(f"MM{number * 7919 + 1:032x}" in held for number in range(1_000))


def test_a_classic_send_shows_the_codes_of_its_list_and_asks_for_none(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    sids = add_messages(emulator, 8) + add_messages(emulator, 2, to=UNREACHABLE)
    wait = wait_for(describe(emulator, sids), SidLedger(sids), Criteria("delivered", 0.5))
    hook = TwilioHook()
    result = wait.verdict(wait.run(hook, to_the_end=True), hook)
    assert (result.codes, result.unexplained) == ({"30003": 2}, 0)
    assert "Failed 2: 2 x 30003 (" in caplog.text
    assert set(emulator.twilio.journal.counts) == {LIST}
    red = wait_for(describe(emulator, sids), SidLedger(sids))
    with pytest.raises(DeliveryFailed, match=r"Reasons: 2 x 30003 \(") as caught:
        red.verdict(red.run(hook, to_the_end=True), hook)
    assert caught.value.codes == {"30003": 2}
