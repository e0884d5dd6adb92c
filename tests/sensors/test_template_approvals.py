"""The sensor for WhatsApp's approval of content templates."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.sensors.template_approvals import TwilioTemplateApprovalSensor
from airflow_provider_twilio_comms.triggers.template_approvals import TwilioTemplateApprovalTrigger
from tests.fakes import TaskInstance
from tests.sensors.conftest import Rescheduled

TEXT = {"twilio/text": {"body": "Hi {{1}}"}}


def made(name: str | None = "hello") -> str:
    """A template, submitted under a name if there is one."""
    hook = TwilioHook()
    sid = str(hook.run(content.create(TEXT, language="en")).sid)
    if name:
        hook.run(content.request_approval(sid, name, "UTILITY"))
    return sid


def sensor(*sids: str, **changes: Any) -> TwilioTemplateApprovalSensor:
    values: dict[str, Any] = {"poke_interval": 0.1, "timeout": 10, "deferrable": False}
    return TwilioTemplateApprovalSensor(task_id="wait", content_sids=list(sids), **{**values, **changes})


def run(task: TwilioTemplateApprovalSensor, ti: TaskInstance | None = None) -> Any:
    return task.execute({"ti": ti or TaskInstance()})  # type: ignore[typeddict-item]


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_result_is_small(deferrable: bool) -> None:
    sids = [made(), made()]
    assert run(sensor(*sids, deferrable=deferrable)) == {
        "content_sids": sids,
        "status": "COMPLETED",
        "approvals": dict.fromkeys(sids, "approved"),
    }


def test_it_pokes_until_the_end_or_its_time(twilio: Running) -> None:
    twilio.twilio.change(pace=0.5)
    assert run(sensor(made()))["status"] == "COMPLETED"
    twilio.twilio.change(pace=60)
    with pytest.raises(AirflowSensorTimeout):
        run(sensor(made(), timeout=0.2))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_rejected_one_fails_at_once_with_the_reason_or_is_a_skip(deferrable: bool) -> None:
    sid = made("please_reject")
    with pytest.raises(AirflowFailException, match=f"{sid} is rejected: It asks to be rejected"):
        run(sensor(made(), sid, deferrable=deferrable))
    with pytest.raises(AirflowSkipException):
        run(sensor(sid, deferrable=deferrable, soft_fail=True))


def test_one_that_is_rejected_does_not_wait_for_the_others(twilio: Running) -> None:
    sid = made("please_reject")
    twilio.twilio.change(pace=60)
    with pytest.raises(AirflowFailException, match="1 of 2 templates"):
        run(sensor(made(), sid))


def test_what_is_not_decided_is_deferred(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    sid = made()
    with pytest.raises(TaskDeferred) as deferred:
        run(sensor(sid, deferrable=True, poke_interval=30))
    trigger = deferred.value.trigger
    assert isinstance(trigger, TwilioTemplateApprovalTrigger)
    assert (trigger.content_sids, trigger.poll_interval) == ([sid], 30)


def test_what_was_never_submitted_is_told_after_a_minute() -> None:
    sid = made(None)
    with pytest.raises(AirflowRescheduleException):
        run(sensor(sid, mode="reschedule", timeout=3600), Rescheduled(30))
    with pytest.raises(AirflowFailException, match="never submitted to WhatsApp, or deleted"):
        run(sensor(sid, mode="reschedule", timeout=3600), Rescheduled(61))


def test_the_end_of_the_time_is_told_by_the_event_too() -> None:
    event = {"status": "timeout", "statuses": {"HX" + "1" * 32: "pending"}}
    task = sensor("HX" + "1" * 32, deferrable=True)
    with pytest.raises(AirflowSensorTimeout, match=r"has not decided about HX1+ \(pending 1\)"):
        task.execute_complete({"ti": TaskInstance()}, event)  # type: ignore[typeddict-item]


@pytest.mark.parametrize("given", ["x", [], ["SM" + "0" * 32]])
def test_bad_input_fails_at_once(given: Any, twilio: Running) -> None:
    with pytest.raises(AirflowFailException, match="content_sids"):
        run(sensor(*([given] if isinstance(given, str) else given)))
    assert twilio.twilio.journal.counts == {}
