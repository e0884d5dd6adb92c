"""The sensor for single messages, where it is another than that for operations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.sensors.messages import TwilioMessageSensor
from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger
from tests.fakes import TaskInstance
from tests.sensors.conftest import Rescheduled

UNKNOWN = "SM" + "0" * 32
GOOD, UNREACHABLE = "+12025550100", "+12025559003"


def sent(number: str = GOOD) -> str:
    return str(TwilioHook().run(messages.send(number, from_="+15005550006", body="Hello")).sid)


def sensor(*sids: str, **changes: Any) -> TwilioMessageSensor:
    values: dict[str, Any] = {"sids": list(sids), "poke_interval": 0.1, "timeout": 10, "deferrable": False}
    return TwilioMessageSensor(task_id="wait", **{**values, **changes})


def run(task: TwilioMessageSensor, ti: TaskInstance | None = None) -> Any:
    return task.execute({"ti": ti or TaskInstance()})  # type: ignore[typeddict-item]


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_result_is_small(deferrable: bool) -> None:
    sids = [sent(), sent("+12025550101")]
    result = run(sensor(*sids, deferrable=deferrable))
    assert result == {"sids": sids, "status": "COMPLETED", "statuses": {"delivered": 2}}
    assert "202555" not in json.dumps(result)


def test_it_pokes_until_the_end_or_its_time(twilio: Running) -> None:
    twilio.twilio.change(pace=0.5)
    assert run(sensor(sent()))["statuses"] == {"delivered": 1}
    twilio.twilio.change(pace=60)
    with pytest.raises(AirflowSensorTimeout):
        run(sensor(sent(), timeout=0.2))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_bad_end_fails_at_once_or_is_a_skip(deferrable: bool) -> None:
    sid = sent(UNREACHABLE)
    with pytest.raises(AirflowFailException, match="30003") as caught:
        run(sensor(sid, deferrable=deferrable))
    assert "2025559003" not in str(caught.value)
    with pytest.raises(AirflowSkipException):
        run(sensor(sid, deferrable=deferrable, soft_fail=True))


@pytest.mark.parametrize("deferrable", [False, True])
def test_its_log_ends_with_the_result(deferrable: bool, caplog: pytest.LogCaptureFixture) -> None:
    run(sensor(sent(), sent("+12025550101"), deferrable=deferrable))
    with pytest.raises(AirflowFailException):
        run(sensor(sent(), sent(UNREACHABLE), deferrable=deferrable))
    lines = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [line for line in lines if "asked for" in line[1]] == [
        ("INFO", "Delivered 2 of 2 (100.0 %; asked for all)."),
        (
            "WARNING",
            "Delivered 1 of 2 (50.0 %; asked for all). Failed 1: 1 x 30003 (handset unreachable or switched "
            "off; retry).",
        ),
    ]


def test_the_old_name_of_wait_for_still_counts_with_a_warning() -> None:
    with pytest.warns(AirflowProviderDeprecationWarning, match="until of sensors is wait_for now"):
        old = sensor(UNKNOWN, until="sent")
    assert old.wait_for == "sent"
    with pytest.raises(InvalidInput, match="until: is the old name of wait_for, and both are given"):
        sensor(UNKNOWN, until="sent", wait_for="sent")


def test_its_words_are_those_of_the_operators() -> None:
    assert run(sensor(sent(), wait_for="queued"))["statuses"] == {"delivered": 1}


def test_a_poking_sensor_looks_soon_at_first_and_a_rescheduled_one_at_its_interval() -> None:
    task = sensor(UNKNOWN, poke_interval=60)
    assert task._get_next_poke_interval(0.0, lambda: 0.0, 1) == 2.0
    late = sensor(UNKNOWN, poke_interval=60, mode="reschedule")
    assert late._get_next_poke_interval(0.0, lambda: 0.0, 1) == 60.0


def test_what_is_not_at_its_end_is_deferred(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    sid = sent()
    with pytest.raises(TaskDeferred) as deferred:
        run(sensor(sid, deferrable=True, wait_for="sent"))
    trigger = deferred.value.trigger
    assert isinstance(trigger, TwilioMessagesTrigger)
    assert (trigger.sids, trigger.until, trigger.cancel_on_kill) == ([sid], "sent", False)


def test_a_rescheduled_sensor_notices_that_a_message_is_gone() -> None:
    with pytest.raises(AirflowRescheduleException):
        run(sensor(UNKNOWN, mode="reschedule", timeout=3600), Rescheduled(30))
    with pytest.raises(AirflowFailException, match="does not know"):
        run(sensor(UNKNOWN, mode="reschedule", timeout=3600), Rescheduled(61))


@pytest.mark.parametrize(
    "options", [{"sids": "x"}, {"sids": []}, {"sids": ["+12025550100"]}, {"wait_for": "teleported"}]
)
def test_bad_input_fails_at_once(options: dict[str, Any], twilio: Running) -> None:
    with pytest.raises(AirflowFailException) as caught:
        run(sensor(UNKNOWN, **options))
    assert "2025550100" not in str(caught.value)
    assert twilio.twilio.journal.counts == {}
