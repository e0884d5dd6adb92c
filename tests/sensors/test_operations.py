"""The sensor for operations: one poke, many, without a worker, and what becomes of a bad end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import ANY

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_twilio_comms._core.waiting.base import LEAST, Budget
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.links.console import TwilioConsoleLink
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.fakes import TaskInstance
from tests.sensors.conftest import Rescheduled

UNKNOWN = "comms_operation_0" + "0" * 25
GOOD, LANDLINE, UNREACHABLE, SILENT = "+12025550100", "+12025559006", "+12025559003", "+12025559000"
OPERATIONS = "Messages/Operations/"
FETCH = "GET /comms/v1/Messages/Operations/{operationId}"
NAME = "AIRFLOW_CONN_TWILIO_DEFAULT"


def sent(*numbers: str) -> str:
    to = [{"address": number, "channel": "PHONE"} for number in numbers or (GOOD,)]
    return str(TwilioHook().run(messages.send(to, "Hello")).operation_id)


def sensor(*ids: str, **changes: Any) -> TwilioOperationSensor:
    values: dict[str, Any] = {"operation_ids": list(ids), "poke_interval": 0.1, "timeout": 10}
    return TwilioOperationSensor(task_id="wait", **{"deferrable": False, **values, **changes})


def run(task: TwilioOperationSensor, ti: TaskInstance | None = None) -> Any:
    return task.execute({"ti": ti or TaskInstance()})  # type: ignore[typeddict-item]


@contextmanager
def after_a_look(twilio: Running, change: Callable[[], object]) -> Iterator[None]:
    """Change something as soon as an operation was looked at once, and before it is looked at again."""

    def wait() -> None:
        while not twilio.twilio.journal.counts[FETCH]:
            time.sleep(0.01)
        change()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(10)


def test_the_result_is_small_and_adds_up() -> None:
    one, two = sent(GOOD, UNREACHABLE), sent(LANDLINE)
    ti = TaskInstance()
    result = run(sensor(one, two, max_failed=1.0), ti)
    assert (result["operation_ids"], result["status"]) == ([one, two], "COMPLETED")
    stats = result["stats"]
    assert (stats["recipients"], stats["delivered"], stats["undelivered"], stats["unaddressable"]) == (
        3,
        1,
        1,
        1,
    )
    assert "555" not in json.dumps(result)
    assert ti.xcoms["twilio_messages_url"].endswith(f"/?search={one}")


def test_it_pokes_until_the_end(twilio: Running) -> None:
    twilio.twilio.change(pace=1.0)
    assert run(sensor(sent()))["stats"]["delivered"] == 1
    assert twilio.twilio.journal.counts["GET /comms/v1/Messages/Operations/{operationId}"] >= 3


def test_a_time_out_is_airflows(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    with pytest.raises(AirflowSensorTimeout):
        run(sensor(sent(), timeout=0.3))
    with pytest.raises(AirflowSkipException):
        run(sensor(sent(), timeout=0.3, soft_fail=True))


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_delivered_waits_for_receipts(twilio: Running, mode: str) -> None:
    twilio.twilio.change(receipts_lag=30)
    task = sensor(sent(), wait_for="delivered", mode=mode)
    assert not task.poke({"ti": Rescheduled()}).is_done  # type: ignore[typeddict-item]
    assert sensor(*task.operation_ids).poke({"ti": Rescheduled()}).is_done  # type: ignore[typeddict-item]
    twilio.twilio.clock.advance(30)
    assert task.poke({"ti": Rescheduled()}).is_done  # type: ignore[typeddict-item]


def test_rescheduling_frees_the_worker(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    operation = sent()
    with pytest.raises(AirflowRescheduleException):
        run(sensor(operation, mode="reschedule"), Rescheduled())
    twilio.twilio.clock.advance(60)
    assert run(sensor(operation, mode="reschedule"), Rescheduled(60))["stats"]["delivered"] == 1


def scheduled(twilio: Running, **ahead: float) -> str:
    to = [{"address": GOOD, "channel": "PHONE"}]
    when = datetime.fromtimestamp(twilio.twilio.clock.now(), timezone.utc) + timedelta(**ahead)
    return str(TwilioHook().run(messages.send(to, "Hello", sender="+15005550006", send_at=when)).operation_id)


@pytest.mark.parametrize("changes", [{}, {"mode": "reschedule"}, {"deferrable": True}], ids=str)
def test_what_is_sent_after_twilio_has_forgotten_it_is_told_at_once(twilio: Running, changes: Any) -> None:
    """Not by an operation that is gone, a week later."""
    operation = scheduled(twilio, days=8)
    why = (
        rf"operation_ids: {operation} is scheduled for \S+ \S+ UTC, and Twilio forgets it and its results on"
    )
    with pytest.raises(AirflowFailException, match=why):
        run(sensor(operation, timeout=20 * 86400, **changes), Rescheduled())
    with pytest.raises(AirflowSkipException, match="soft_fail is set"):
        run(sensor(operation, timeout=20 * 86400, soft_fail=True, **changes), Rescheduled())
    assert twilio.twilio.ledger.messages == 1


def test_what_is_sent_before_twilio_forgets_it_is_waited_for(twilio: Running) -> None:
    operation = scheduled(twilio, days=6, hours=23)
    task = sensor(operation, timeout=20 * 86400)
    for _ in range(3):
        assert not task.poke({"ti": Rescheduled()}).is_done  # type: ignore[typeddict-item]
    assert twilio.twilio.journal.counts["GET /comms/v1/Messages"] == 1
    twilio.twilio.clock.advance(6 * 86400 + 23 * 3600)
    assert run(task)["stats"]["delivered"] == 1


def test_a_schedule_that_cannot_be_read_ends_no_wait(twilio: Running) -> None:
    twilio.twilio.faults.add(Fault(kind="error_before", method="GET", path=r"/Messages\b(?!/)", times=None))
    with pytest.raises(TaskDeferred):
        run(sensor(scheduled(twilio, days=8), deferrable=True))


def test_an_operation_that_is_gone_is_told_in_every_mode() -> None:
    """A rescheduled sensor is new for every poke, and has yet to notice how long it has waited."""
    with pytest.raises(AirflowRescheduleException):
        run(sensor(UNKNOWN, mode="reschedule"), Rescheduled())
    with pytest.raises(AirflowRescheduleException):
        run(sensor(UNKNOWN, mode="reschedule", timeout=3600), Rescheduled(30))
    with pytest.raises(AirflowFailException, match="OperationGone"):
        run(sensor(UNKNOWN, mode="reschedule", timeout=3600), Rescheduled(61))


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_credentials_that_are_refused_are_told_early(twilio: Running, mode: str) -> None:
    task = sensor(sent(), mode=mode, poke_interval=0.01)
    task.budget = Budget(hopeless=0.0)
    bad = twilio.connection_json(password="not-it", max_attempts=1)
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=bad),
        pytest.raises(AirflowFailException, match="AuthenticationFailed") as caught,
    ):
        run(task, Rescheduled())
    assert twilio.twilio.journal.counts[FETCH] == LEAST
    assert "not-it" not in str(caught.value)
    assert AUTH_TOKEN not in str(caught.value)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_credential_that_is_rotated_is_taken_up(twilio: Running, mode: str) -> None:
    task = sensor(sent(), mode=mode, poke_interval=1, timeout=60)
    bad = twilio.connection_json(password="revoked", max_attempts=1)
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=bad),
        after_a_look(twilio, lambda: os.environ.update({NAME: twilio.connection})),
    ):
        assert run(task, Rescheduled(3600))["status"] == "COMPLETED"


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_stray_404_is_not_believed(twilio: Running, mode: str) -> None:
    operation = sent()
    twilio.twilio.change(operation_after=3600)
    task = sensor(operation, mode=mode, poke_interval=1, timeout=9000)
    with after_a_look(twilio, lambda: twilio.twilio.clock.advance(3600)):
        assert run(task, Rescheduled(7200))["status"] == "COMPLETED"


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_flaky_poll_is_none(twilio: Running, mode: str) -> None:
    operation = sent()
    twilio.twilio.faults.add(Fault(kind="error_before", path=OPERATIONS))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(max_attempts=1)):
        if mode == "reschedule":
            with pytest.raises(AirflowRescheduleException):
                run(sensor(operation, mode=mode), Rescheduled())
        assert run(sensor(operation, mode=mode), Rescheduled())["stats"]["delivered"] == 1


ENDS: list[tuple[tuple[str, ...], dict[str, Any], str | None]] = [
    ((*[GOOD] * 19, UNREACHABLE), {}, None),
    ((GOOD, UNREACHABLE), {}, r"1 of 2 failed, and max_failed=0.05 \(the default\) allows 0"),
    ((UNREACHABLE, LANDLINE), {}, "2 of 2 failed"),
    ((UNREACHABLE, LANDLINE), {"max_failed": 2}, None),
    ((GOOD, UNREACHABLE), {"max_failed": 0}, "1 of 2 failed, and max_failed=0 allows 0"),
    ((GOOD, UNREACHABLE), {"max_failed": 0.5}, None),
    ((GOOD, GOOD, UNREACHABLE), {"max_failed": 0.3}, "1 of 3 failed, and max_failed=0.3 allows 0"),
    ((GOOD, UNREACHABLE), {"wait_for": "delivered"}, "1 of 2 were delivered, and all were required"),
    (
        (GOOD, UNREACHABLE),
        {"wait_for": "delivered", "max_failed": 1.0},
        r"and all were required \(set min_delivered=0.0 to leave the verdict to max_failed\)",
    ),
    ((GOOD, GOOD), {"wait_for": "delivered"}, None),
    ((GOOD, UNREACHABLE), {"wait_for": "delivered", "min_delivered": 0.5}, None),
    ((GOOD, GOOD, UNREACHABLE), {"wait_for": "delivered", "min_delivered": 0.7}, "requires 3"),
    ((GOOD, UNREACHABLE), {"wait_for": "delivered", "min_delivered": 1}, None),
    ((GOOD, UNREACHABLE), {"wait_for": "delivered", "min_delivered": 2}, "min_delivered=2 requires 2"),
]


@pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferrable"])
@pytest.mark.parametrize(("numbers", "options", "problem"), ENDS)
def test_the_verdict(
    numbers: tuple[str, ...], options: dict[str, Any], problem: str | None, deferrable: bool
) -> None:
    task = sensor(sent(*numbers), deferrable=deferrable, **options)
    if problem is None:
        assert run(task)["status"] == "COMPLETED"
        return
    with pytest.raises(AirflowFailException, match=problem) as caught:
        run(task)
    assert "30003 (handset unreachable or switched off; retry)" in str(caught.value)
    assert "2025559003" not in str(caught.value)


@pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferrable"])
@pytest.mark.parametrize("softly", ["soft_fail", "never_fail"])
def test_a_bad_end_may_be_a_skip(deferrable: bool, softly: str) -> None:
    with pytest.raises(AirflowSkipException):
        run(sensor(sent(LANDLINE), deferrable=deferrable, **{softly: True}))


def test_what_is_not_at_its_end_is_deferred(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    operation = sent()
    task = sensor(
        operation, deferrable=True, wait_for="delivered", min_delivered=0.9, timeout=100, initial_delay=7
    )
    with pytest.raises(TaskDeferred) as deferred:
        run(task)
    trigger = deferred.value.trigger
    assert isinstance(trigger, TwilioOperationsTrigger)
    now = datetime.now(timezone.utc).timestamp()
    assert (trigger.operation_ids, trigger.until, trigger.enough) == ([operation], "delivered", 0.9)
    assert trigger.deadline == pytest.approx(now + 100, abs=5)
    assert trigger.not_before == pytest.approx(now + 7, abs=5)
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout is not None
    assert deferred.value.timeout > timedelta(seconds=100)


def event(operation: str, status: str = "done", **stats: int) -> dict[str, Any]:
    shown = {"id": operation, "status": "COMPLETED", "stats": {"total": 1, **stats}}
    return {"status": status, "operations": {operation: shown}}


class OwnLink(BaseOperatorLink):
    """Somebody's own link, beside ours."""

    name = "own"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return "https://example.com"


def test_the_link_is_stored_at_the_deferral_alone(twilio: Running) -> None:
    operation = sent(SILENT)
    task = sensor(operation, deferrable=True, wait_for="delivered")
    task.operator_extra_links = (TwilioConsoleLink(), OwnLink())
    with pytest.raises(TaskDeferred) as deferred:
        run(task)
    stored = {link.name: link.get_link(task, ti_key=ANY) for link in task.operator_extra_links}
    assert stored == {"Twilio messages": f"{twilio.url}/?search={operation}", "own": "https://example.com"}
    ended = {"event": event(operation, delivered=1)}
    task.resume_execution(deferred.value.method_name, ended, {"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert [link.name for link in task.operator_extra_links] == ["own"]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"status": "timeout"}, AirflowSensorTimeout, "time is up"),
        ({"status": "gone", "missing": [UNKNOWN]}, AirflowFailException, "does not know"),
        (event(UNKNOWN, unaddressable=1), AirflowFailException, "1 of 1 failed"),
        (
            {"status": "error", "error": ServerFailed("500", status=500, verdict="unknown").to_dict()},
            ServerFailed,
            "500",
        ),
        (None, Exception, "cannot be read"),
    ],
)
def test_a_bad_event_becomes_an_error(given: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        sensor(UNKNOWN).execute_complete({}, given)  # type: ignore[typeddict-item]


def test_a_good_event_becomes_the_result() -> None:
    result = sensor(UNKNOWN).execute_complete({}, event(UNKNOWN, delivered=1))  # type: ignore[typeddict-item]
    assert (result["operation_ids"], result["stats"]["delivered"]) == ([UNKNOWN], 1)


@pytest.mark.parametrize(
    "given", [f"['{UNKNOWN}']", UNKNOWN, f" {UNKNOWN}, ", (UNKNOWN, UNKNOWN), f'["{UNKNOWN}", "{UNKNOWN}"]']
)
def test_ids_come_in_many_ways(given: Any) -> None:
    assert sensor(operation_ids=given).task_wait.operation_ids == [UNKNOWN]


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    "given", ["", "[]", [], None, "SM" + "1" * 32, ["+12025550100"], [5], [UNKNOWN, "x"]]
)
def test_bad_ids_fail_at_once(given: Any, deferrable: bool, twilio: Running) -> None:
    with pytest.raises(AirflowFailException, match="operation_ids") as caught:
        run(sensor(operation_ids=given, deferrable=deferrable))
    assert "2025550100" not in str(caught.value)
    assert twilio.twilio.journal.counts == {}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"wait_for": "accepted"}, "wait_for"),
        ({"wait_for": "read"}, "wait_for"),
        ({"min_delivered": 0.5}, "min_delivered"),
        ({"wait_for": "delivered", "min_delivered": 1.5}, "min_delivered"),
        ({"max_failed": -1}, "max_failed"),
        ({"max_failed": True}, "max_failed"),
    ],
)
def test_bad_options_break_the_dag_not_the_task(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        sensor(UNKNOWN, **options)
    assert caught.value.field == field


def test_the_old_name_of_wait_for_still_counts_with_a_warning() -> None:
    with pytest.warns(AirflowProviderDeprecationWarning, match="until of sensors is wait_for now"):
        assert sensor(UNKNOWN, until="delivered").criteria.wait_for == "delivered"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_bad_connection_fails_at_once(twilio: Running, deferrable: bool) -> None:
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(timeout="soon")),
        pytest.raises(AirflowFailException, match="timeout"),
    ):
        run(sensor(UNKNOWN, deferrable=deferrable))
