"""The trigger for operations: every end of a wait, in one event."""

from __future__ import annotations

import asyncio
import re
import time
from sys import intern
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting import base, operations
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.operations import Outcome
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import OperationGone
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._poller import Poller
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.triggers.conftest import asked, fired, until

OPERATIONS = "/comms/v1/Messages/Operations"
UNKNOWN = "comms_operation_0" + "0" * 25


def sent(*numbers: str) -> str:
    to = [{"address": number, "channel": "PHONE"} for number in numbers or ("+12025550100",)]
    return str(TwilioHook().run(messages.send(to, "Hello")).operation_id)


def trigger(*ids: str, **changes: Any) -> TwilioOperationsTrigger:
    now = time.time()
    values: dict[str, Any] = {"deadline": now + 30, "since": now, "poll_interval": 0.05}
    return TwilioOperationsTrigger(list(ids), "twilio_default", **{**values, **changes})


async def outcome(*ids: str, **changes: Any) -> Outcome:
    return Outcome.from_event(await fired(trigger(*ids, **changes)))


class Hasty(TwilioOperationsTrigger):
    """Counts polls alone, no seconds."""

    budget = base.Budget(flaky=0.0, hopeless=0.0, grace=0.0)


class Doomed(TwilioOperationsTrigger):
    """Counts polls alone, no seconds, of those that a person has to put right."""

    budget = base.Budget(hopeless=0.0)


async def hasty_outcome(*ids: str, kind: type[TwilioOperationsTrigger] = Hasty, **changes: Any) -> Outcome:
    return Outcome.from_event(await fired(kind(**trigger(*ids, **changes).serialize()[1])))


async def test_done(twilio: Running) -> None:
    one, two = sent("+12025550100", "+12025559003"), sent("+12025559006")
    end = await outcome(one, two)
    assert (end.status, sorted(end.operations)) == ("done", sorted([one, two]))
    assert operations.total(end.operations.values()).lost == 2
    assert asked(twilio) == 2


async def test_the_same_operation_named_twice(twilio: Running) -> None:
    one = sent()
    assert (await outcome(one, one)).status == "done"


async def test_several_polls(twilio: Running) -> None:
    twilio.twilio.change(pace=0.4)
    began = time.monotonic()
    assert (await outcome(sent())).status == "done"
    assert time.monotonic() - began >= 0.4
    assert asked(twilio) >= 2


@pytest.mark.parametrize(("until", "waits"), [("processed", False), ("delivered", True)])
async def test_processed_or_delivered(twilio: Running, until: str, waits: bool) -> None:
    twilio.twilio.change(receipts_lag=0.5 if waits else 3600)
    end = await outcome(sent(), until=until)
    (operation,) = end.operations.values()
    assert operation.stats.delivered == waits


async def test_enough_ends_a_wait_for_delivery(twilio: Running) -> None:
    operation = sent("+12025550100", "+12025550101", "+12025559000")  # the last one never gets a receipt
    assert (await outcome(operation, until="delivered", enough=0.6)).status == "done"
    assert (await outcome(operation, until="delivered", deadline=time.time() + 0.3)).status == "timeout"


async def test_the_deadline_ends_in_an_event_with_what_is_known(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    operation = sent()
    end = await outcome(operation, deadline=time.time() + 0.3)
    assert end.status == "timeout"
    assert end.operations[operation].stats.queued == 1


async def test_the_deadline_is_kept_though_the_next_poll_is_far_off(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    operation = sent()
    began = time.monotonic()
    end = await outcome(operation, deadline=time.time() + 0.6, poll_interval=3600)
    assert time.monotonic() - began >= 0.5
    assert (end.status, asked(twilio)) == ("timeout", 2)  # the first look, and a last one


async def test_the_last_look_may_find_the_end(twilio: Running) -> None:
    twilio.twilio.change(pace=0.4)
    end = await outcome(sent(), deadline=time.time() + 0.6, poll_interval=3600)
    assert end.status == "done"


async def test_a_deadline_long_past_still_has_one_look(twilio: Running) -> None:
    operation = sent()
    twilio.twilio.faults.add(Fault(kind="slow", path=OPERATIONS, seconds=0.5))
    assert (await outcome(operation, deadline=0)).status == "done"


async def test_time_is_up_in_the_middle_of_an_outage(
    twilio: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_twilio_comms.triggers._poller.LATE", 0.2)
    operation = sent()
    twilio.twilio.faults.add(Fault(kind="slow", path=OPERATIONS, seconds=120, times=None))
    patient = twilio.connection_json(max_attempts=1, timeout=120)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=patient):
        end = await outcome(operation, deadline=time.time() + 0.2)
    assert (end.status, end.operations) == ("timeout", {})  # before the reply


async def test_a_404_on_a_fresh_operation_is_tolerated(twilio: Running) -> None:
    twilio.twilio.change(operation_after=0.4)
    assert (await outcome(sent())).status == "done"


async def test_a_404_on_an_old_one_means_it_is_gone(twilio: Running) -> None:
    one = sent()
    end = await outcome(one, UNKNOWN, since=time.time() - base.GRACE)
    assert (end.status, end.missing, list(end.operations)) == ("gone", (UNKNOWN,), [one])


async def test_a_stray_404_on_an_operation_that_was_seen_is_not_believed(twilio: Running) -> None:
    twilio.twilio.change(pace=3600)
    operation = sent()
    waiting = asyncio.create_task(outcome(operation, since=time.time() - 3600, poll_interval=0.05))
    for hidden in (0, 3600):  # it is seen, and then answers 404 for a while
        twilio.twilio.change(operation_after=hidden)
        enough = asked(twilio) + 2 * base.LEAST
        await until(lambda enough=enough: asked(twilio) >= enough)  # type: ignore[misc]
    assert not waiting.done()
    twilio.twilio.change(operation_after=0)
    twilio.twilio.clock.advance(3600)
    assert (await waiting).status == "done"


async def test_an_operation_that_expired_is_judged_as_it_was_last_seen(twilio: Running) -> None:
    operation = sent("+12025550100", "+12025559000")  # the second one never gets a receipt
    waiting = asyncio.create_task(hasty_outcome(operation, until="delivered", poll_interval=0.05))
    await until(lambda: asked(twilio))
    (poller,) = Poller._running.values()
    await until(lambda: poller.round)
    twilio.twilio.clock.advance(8 * 24 * 3600)
    end = await waiting
    assert (end.status, end.missing) == ("done", (operation,))
    assert (end.operations[operation].stats.delivered, end.operations[operation].stats.sent) == (1, 1)


async def test_one_that_vanished_under_way_is_gone_with_its_last_counts(twilio: Running) -> None:
    twilio.twilio.change(pace=3600)
    operation = sent()
    waiting = asyncio.create_task(hasty_outcome(operation, poll_interval=0.05))
    await until(lambda: asked(twilio))
    (poller,) = Poller._running.values()
    await until(lambda: poller.round)
    twilio.twilio.change(operation_after=7200)
    end = await waiting
    assert (end.status, end.missing) == ("gone", (operation,))
    with pytest.raises(OperationGone) as caught:
        operations.judge(Criteria(), end, [operation])
    assert caught.value.stats["queued"] == 1


async def test_a_canceled_operation_has_ended(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    operation = sent()
    twilio.twilio.part(Outbox).cancel(operation)
    end = await outcome(operation)
    assert (end.status, end.operations[operation].status) == ("done", "CANCELED")


@pytest.mark.parametrize("kind", ["error_before", "drop_after", "bad_gateway", "rate_limited", "cut"])
async def test_an_outage_within_the_budget_is_survived(twilio: Running, kind: str) -> None:
    operation = sent()
    twilio.twilio.faults.add(Fault(kind=kind, path=OPERATIONS, times=5))  # type: ignore[arg-type]
    assert (await outcome(operation, poll_interval=0.01)).status == "done"


async def test_an_outage_beyond_it_is_told(twilio: Running) -> None:
    operation = sent()
    twilio.twilio.faults.add(Fault(kind="error_before", path=OPERATIONS, times=None))
    end = await hasty_outcome(operation, poll_interval=0.01)
    assert end.status == "error"
    assert (end.error or {})["type"] == "ServerFailed"
    assert asked(twilio) == base.LEAST


async def test_a_recovery_resets_the_count(twilio: Running) -> None:
    operation = sent("+12025559000")  # no receipt ever comes, so the wait goes on to its deadline
    nearly = base.LEAST - 1
    for skip in (0, 1):  # so many failures, one success, and as many failures again
        twilio.twilio.faults.add(Fault(kind="bad_gateway", path=OPERATIONS, times=nearly, skip=skip))
    end = await hasty_outcome(operation, until="delivered", poll_interval=0.005, deadline=time.time() + 2)
    assert asked(twilio) > 2 * nearly
    assert end.status == "timeout"


@pytest.mark.parametrize(
    ("connection", "kind"),
    [
        ({"password": "wrong"}, "AuthenticationFailed"),
        ({"region": "eu1"}, "InvalidInput"),
    ],
)
async def test_what_waiting_does_not_mend_is_told_early(
    twilio: Running, connection: dict[str, Any], kind: str
) -> None:
    operation = sent()
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(max_attempts=1, **connection)):
        end = await hasty_outcome(operation, kind=Doomed, poll_interval=0.01)
    assert (end.status, (end.error or {})["type"]) == ("error", kind)
    assert AUTH_TOKEN not in str(end.error)
    assert asked(twilio) in (0, 1 + base.LEAST)


async def test_a_connection_that_is_fixed_in_time_goes_on(twilio: Running) -> None:
    operation = sent()
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(timeout="never")):
        task = asyncio.create_task(fired(trigger(operation, poll_interval=0.2)))
        await asyncio.sleep(0.1)
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection):
            assert (await task)["status"] == "done"


async def test_a_connection_that_cannot_be_read_is_tried_for_a_while_and_named() -> None:
    """A secrets backend may come back; a connection that was never there does not."""
    waiter = Hasty([UNKNOWN], "nowhere", deadline=time.time() + 60, poll_interval=0.01)
    ended = await fired(waiter)
    assert ended["status"] == "error"
    assert "the connection 'nowhere' cannot be read" in ended["error"]["message"]


async def test_no_event_before_its_time(twilio: Running) -> None:
    began = time.time()
    assert (await outcome(sent(), not_before=began + 0.7)).status == "done"
    assert time.time() >= began + 0.7


async def test_progress_is_logged_once_per_change(
    twilio: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    twilio.twilio.change(pace=0.5)
    await outcome(sent("+12025550100"), poll_interval=0.02)
    told = re.findall(r"\d+ of \d+ operations processed.*failed", capsys.readouterr().out)
    assert told[0] == "0 of 1 operations processed: 0 of 1 messages delivered, 1 under way, 0 failed"
    assert 1 <= len(told) == len(set(told))


async def test_triggers_that_wait_share_what_they_log_with(twilio: Running) -> None:
    """Thousands wait at a time, and Airflow makes a logger for whoever asks for its own."""
    twilio.twilio.change(pace=0.5)
    waiting = [trigger(sent("+12025550100"), poll_interval=0.02) for _ in range(3)]
    await asyncio.gather(*(fired(each) for each in waiting))
    assert all(each._told and intern(f"{each._told} "[:-1]) is each._told for each in waiting)
    assert not any("_log" in vars(each) for each in waiting)
