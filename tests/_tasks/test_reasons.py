"""Reasons of failures that come by themselves at the end of a wait: bounded, and no reason to fail."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_twilio_comms._core.reporting import reasons
from airflow_provider_twilio_comms._core.reporting.reasons import count_codes, describe_failures
from airflow_provider_twilio_comms._core.reporting.told_codes import Told
from airflow_provider_twilio_comms._core.waiting.operations import Outcome, observed
from airflow_provider_twilio_comms._tasks.waiting import ask_reasons
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import DeliveryFailed
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people

LISTS = "GET /comms/v1/Messages"
FETCHES = "GET /comms/v1/Messages/{messageId}"
NO_SENDER = "+12025559006"
CODES = (30003, 30005)


@pytest.fixture
def emulator(emulator: Running) -> Running:
    outcomes = [{"match": f"^.1{_area(code)}", "status": "UNDELIVERED", "code": code} for code in CODES]
    emulator.twilio.change(pace=0, outcomes=outcomes)
    return emulator


def unreachable(count: int, code: int = 30003) -> list[dict[str, Any]]:
    """People whom a message does not reach, since the emulator is told so."""
    return [{"address": f"+1{_area(code)}{n:07d}", "channel": "PHONE"} for n in range(count)]


def _area(code: int) -> int:
    return 300 + code % 10


def send(rows: Any, **kwargs: Any) -> dict[str, Any]:
    result = bulk(rows, **kwargs).execute(context(MemoryStore()))
    assert result
    return result


def failed(operation_ids: list[str]) -> dict[str, Stats]:
    hook = TwilioHook()
    return {name: hook.run(observed(name)).stats for name in operation_ids}  # type: ignore[union-attr]


def asked(emulator: Running) -> int:
    return emulator.twilio.journal.counts[FETCHES]


def test_a_green_task_says_why_messages_failed(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    rows = [*people(30), *unreachable(70), *unreachable(50, 30005), NO_SENDER]
    result = send(rows, wait_for="processed", max_failed=1.0, recipients_per_request=60)
    assert (result["codes"], result["unexplained"]) == ({"30003": 70, "30005": 50}, 0)
    assert result["stats"]["unaddressable"] == 1
    (line,) = [each for each in caplog.records if each.getMessage().startswith("Delivered")]
    assert "Failed 121: 70 x 30003 (" in line.getMessage()
    assert line.getMessage().endswith("1 x no sender reaches them.")
    assert line.levelno == logging.WARNING
    assert "555" not in json.dumps(result)


def test_a_red_task_says_why_messages_failed(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match=r"Reasons: 70 x 30003 \(") as caught:
        send([*people(10), *unreachable(70)], wait_for="delivered")
    error = caught.value.__context__
    assert isinstance(error, DeliveryFailed)
    assert error.codes == {"30003": 70}


def test_a_sensor_says_why_messages_failed(emulator: Running) -> None:
    ids = send([*people(10), *unreachable(60)])["operation_ids"]
    sensor = TwilioOperationSensor(task_id="wait", operation_ids=ids, max_failed=1.0, deferrable=False)
    result = sensor.execute(context())
    assert (result["codes"], result["unexplained"]) == ({"30003": 60}, 0)


def test_a_task_says_why_messages_failed_after_a_deferral(emulator: Running) -> None:
    emulator.twilio.change(pace=3600)
    task, run = (
        bulk(unreachable(60), wait_for="processed", max_failed=1.0, deferrable=True),
        context(MemoryStore()),
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(run)
    emulator.twilio.clock.advance(7200)
    found = TwilioHook().run(observed(deferred.value.trigger.operation_ids[0]))  # type: ignore[attr-defined]
    assert found
    event = Outcome("done", {found.id: found}).to_event()
    result = task.execute_complete(run, event)
    assert (result["codes"], result["unexplained"]) == ({"30003": 60}, 0)


def test_a_thousand_failures_are_asked_for_and_no_more(emulator: Running) -> None:
    ids = send(unreachable(1_300), recipients_per_request=700)["operation_ids"]
    codes = TwilioHook().run(count_codes(failed(ids), {}, within=600.0))
    assert codes == {30003: 1000}
    assert asked(emulator) == reasons.LIMIT
    assert emulator.twilio.journal.counts[LISTS] == 2
    assert describe_failures(Stats(undelivered=1_300), codes).endswith("300 x unexplained")


def test_no_list_is_read_that_nobody_needs(emulator: Running) -> None:
    ids = send(unreachable(40), recipients_per_request=10)["operation_ids"]
    assert TwilioHook().run(count_codes(failed(ids), {}, limit=15)) == {30003: 15}
    assert emulator.twilio.journal.counts[LISTS] == 2


def test_asking_begins_nothing_once_its_time_is_up(emulator: Running) -> None:
    ids = send(unreachable(100))["operation_ids"]
    codes = TwilioHook().run(count_codes(failed(ids), {}, within=0.0))
    assert (codes, asked(emulator)) == ({}, 0)


def test_a_reason_that_cannot_be_had_is_unexplained(emulator: Running) -> None:
    ids = send(unreachable(40))["operation_ids"]
    emulator.twilio.faults.add(Fault(kind="error_before", path="/Messages/comms_message", times=3))
    assert ask_reasons(TwilioHook(), failed(ids)) == {30003: 37}


def test_an_answer_that_does_not_come_is_not_waited_for(emulator: Running) -> None:
    ids = send(unreachable(40))["operation_ids"]
    counts = failed(ids)
    emulator.twilio.faults.add(Fault(kind="slow", path="/Messages/comms_message", times=3, seconds=20.0))
    impatient = emulator.connection_json(timeout=1.0)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=impatient):
        codes = ask_reasons(TwilioHook(), counts)
    assert 0 < codes[30003] <= 37


def test_twilio_that_wants_to_be_left_alone_is(emulator: Running) -> None:
    ids = send(unreachable(400))["operation_ids"]
    fault = Fault(kind="rate_limited", path="/Messages/comms_message", times=None, retry_after=3600)
    fault = emulator.twilio.faults.add(fault)
    began = time.monotonic()
    assert ask_reasons(TwilioHook(), failed(ids)) == {}
    assert time.monotonic() - began < reasons.WITHIN
    assert 0 < fault.hits <= reasons.AT_ONCE


def test_a_task_does_not_fail_because_asking_does(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    ids = send(unreachable(20))["operation_ids"]
    counts = failed(ids)
    revoked = emulator.connection_json(password="revoked")
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=revoked):
        assert ask_reasons(TwilioHook(), counts) == {}
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=json.dumps({"conn_type": "twilio"})):
        assert ask_reasons(TwilioHook(), counts) == {}
    assert "could not be asked for the reasons" in caplog.text
    assert "revoked" not in caplog.text


def test_what_events_told_is_not_asked_for(emulator: Running) -> None:
    ids = send(unreachable(20))["operation_ids"]
    counts = failed(ids)
    rows = TwilioHook().run(every_item(messages.list(operation_id=ids[0])))
    emulator.twilio.journal.counts.clear()
    some = {row.id: Told(30005) for row in rows[:15]}
    assert TwilioHook().run(count_codes(counts, {ids[0]: some})) == {30005: 15, 30003: 5}
    assert asked(emulator) == 5
    emulator.twilio.journal.counts.clear()
    every = {row.id: Told(30005) for row in rows}
    assert TwilioHook().run(count_codes(counts, {ids[0]: every})) == {30005: 20}
    assert not emulator.twilio.journal.counts
