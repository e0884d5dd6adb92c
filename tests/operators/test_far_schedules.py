"""Sends that are scheduled further ahead than Twilio keeps results: refused before, not lost after."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.operations import Outcome, judge
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.exceptions import OperationGone
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, texted
from tests.operators.runs import a_run

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

HOUR = 3600.0


def ahead(**span: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**span)


@pytest.mark.parametrize("wait_for", ["processed", "delivered"])
@pytest.mark.parametrize(("days", "timeout"), [(8, 60.0), (6.5, 24 * HOUR), (6.5, 100 * HOUR), (7, 0.0001)])
def test_a_wait_that_twilio_could_not_answer_is_refused(
    emulator: Running, wait_for: Any, days: float, timeout: float
) -> None:
    send = bulk(people(3), wait_for=wait_for, send_at=ahead(days=days, hours=0.1), timeout=timeout)
    with pytest.raises(AirflowFailException, match=r"send_at: .*forgets results seven days after") as caught:
        send.execute(context(MemoryStore()))
    assert "wait_for='accepted'" in str(caught.value)
    assert texted(emulator) == [0, 0]
    assert not any(route.startswith("POST") for route in emulator.twilio.journal.counts)


def test_it_is_sent_where_nobody_waits(emulator: Running) -> None:
    result = bulk(people(3), wait_for="accepted", send_at=ahead(days=8)).execute(context(MemoryStore()))
    assert result is not None
    assert result["status"] == "ACCEPTED"
    assert texted(emulator) == [3, 1]


def test_what_quiet_hours_move_beyond_thirty_days_is_refused_before_anything_is_sent(
    emulator: Running,
) -> None:
    moment = ahead(days=30)
    start, end = ((moment + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 8))
    late = bulk(
        people(3), send_at=moment - timedelta(minutes=1), quiet_hours=f"{start}-{end} UTC", dry_run=True
    )
    with pytest.raises(AirflowFailException, match=r"send_at: cannot be scheduled\. Expected up to 30 days"):
        late.execute(context(MemoryStore()))


@pytest.mark.parametrize(("days", "timeout"), [(5.9, 24 * HOUR), (6.9, HOUR)])
@pytest.mark.usefixtures("hurried")
def test_what_ends_within_the_seven_days_is_waited_for(
    emulator: Running, days: float, timeout: float
) -> None:
    emulator.twilio.change(pace=60)
    task = bulk(
        people(3),
        wait_for="delivered",
        send_at=datetime.fromtimestamp(emulator.twilio.clock.now(), timezone.utc) + timedelta(days=days),
        timeout=timeout,
        poll_interval=600,
    )
    result = task.execute(context(MemoryStore()))
    assert result is not None
    assert result["stats"]["delivered"] == 3


def test_the_end_of_quiet_hours_counts(emulator: Running) -> None:
    """A part that waits for the morning goes out after ``send_at``."""
    moment = ahead(days=6)
    start, end = ((moment + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 8))
    late = bulk(
        people(1),
        wait_for="processed",
        send_at=moment - timedelta(minutes=1),
        quiet_hours=f"{start}-{end} UTC",
    )
    with pytest.raises(AirflowFailException, match=r"send_at: the last message would go out 6\.3 days"):
        late.execute(context(MemoryStore()))


def test_a_preflight_tells_it_too(emulator: Running) -> None:
    look = TwilioPreflightOperator(
        task_id="look", recipients=people(1), content="Hi", sender="+15005550006", send_at=ahead(days=9)
    )
    with pytest.raises(AirflowFailException, match="send_at"):
        look.execute(a_run())


def test_a_sensor_is_told_why_what_was_scheduled_elsewhere_is_gone() -> None:
    scheduled = Operation("comms_operation_1", "SCHEDULED")
    outcome = Outcome("gone", {scheduled.id: scheduled}, (scheduled.id,))
    with pytest.raises(OperationGone, match=r"It was still scheduled: .* cannot be waited for\."):
        judge(Criteria(), outcome, [scheduled.id])
