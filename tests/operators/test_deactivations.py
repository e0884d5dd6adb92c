"""A day's deactivated numbers: copied as soon as they are there."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms._core.waiting.base import Budget
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.operators.deactivations import TwilioDeactivatedNumbersOperator
from airflow_provider_twilio_comms.triggers.deactivations import TwilioDeactivationsTrigger
from tests.conftest import environment
from tests.fakes import context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

TODAY = datetime.datetime.now(datetime.timezone.utc).date()


def operator(tmp_path: Path, **kwargs: Any) -> TwilioDeactivatedNumbersOperator:
    values = {"day": "2026-01-01", "output_path": str(tmp_path / "gone" / "list.txt"), **kwargs}
    return TwilioDeactivatedNumbersOperator(task_id="gone", **values)


def test_a_day_that_is_over_is_copied(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "gone" / "list.txt"
    result = operator(tmp_path, deferrable=False, day=datetime.date(2026, 1, 1)).poke(context()).xcom_value
    assert result == {
        "day": "2026-01-01",
        "count": 100,
        "bytes": path.stat().st_size,
        "output_path": str(path),
    }
    assert path.read_text().count("\n") == 100


def test_a_day_that_is_not_over_is_waited_for_without_a_worker(emulator: Running, tmp_path: Path) -> None:
    assert operator(tmp_path, day=TODAY.isoformat()).mode == "reschedule"
    assert not operator(tmp_path, day=TODAY.isoformat()).poke(context()).is_done
    assert not (tmp_path / "gone").exists()


class Hasty(TwilioDeactivationsTrigger):
    """Counts polls alone, no seconds."""

    budget = Budget(hopeless=0.0)


async def events(trigger: TwilioDeactivationsTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


async def test_the_trigger_waits_for_the_report(emulator: Running) -> None:
    trigger = TwilioDeactivationsTrigger("2026-01-01", "twilio_default", deadline=9e9, poll_interval=0.1)
    assert trigger.serialize() == type(trigger)(**trigger.serialize()[1]).serialize()
    emulator.twilio.faults.add(Fault(kind="error_before", method="GET", times=3))
    assert await events(trigger) == [{"status": "done"}]
    late = TwilioDeactivationsTrigger(TODAY.isoformat(), "twilio_default", deadline=1.0, poll_interval=0.1)
    assert await events(late) == [{"status": "timeout"}]


async def test_the_trigger_gives_up_on_wrong_credentials(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(password="0" * 32)):
        trigger = Hasty("2026-01-01", "twilio_default", deadline=9e9, poll_interval=0.1)
        (event,) = await events(trigger)
    assert (event["status"], event["error"]["type"]) == ("error", "AuthenticationFailed")


def test_how_it_resumes(emulator: Running, tmp_path: Path) -> None:
    result = operator(tmp_path).execute_complete(context(), {"status": "done"})
    assert result
    assert result["count"] == 100
    with pytest.raises(AirflowSensorTimeout, match="no report of 2026-01-01"):
        operator(tmp_path).execute_complete(context(), {"status": "timeout"})
    with pytest.raises(AirflowSkipException):
        operator(tmp_path, soft_fail=True).execute_complete(context(), {"status": "timeout"})
    with pytest.raises(TwilioError, match="broke"):
        operator(tmp_path).execute_complete(
            context(), {"status": "error", "error": {"type": "TransportFailed", "message": "it broke"}}
        )


@pytest.mark.parametrize("deferrable", [True, False])
def test_it_runs_in_a_dag(emulator: Running, run_dag: Any, tmp_path: Path, deferrable: bool) -> None:
    with DAG("gone", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        operator(tmp_path, day="{{ '2026-01-02' }}", deferrable=deferrable)
    assert run_dag(dag).state == "success"
    assert (tmp_path / "gone" / "list.txt").exists()


def test_a_day_that_is_none_is_refused(emulator: Running, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="day"):
        operator(tmp_path, day="soon").poke(context())
