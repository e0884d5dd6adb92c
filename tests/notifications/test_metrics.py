"""Metrics of alerts at a StatsD server: sent, held back, failed, and uncertain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, Variable, task

from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from tests.conftest import environment
from tests.operators.single_sends import ADA, EVE, FROM, break_posts
from tests.statsd import Told, settle, told

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["told"]  # a fixture

CONN = {"conn_id": "twilio_default"}


def alert(**kwargs: Any) -> TwilioNotifier:
    return TwilioNotifier(**{"to": ADA, "from_": FROM, "window": None, **kwargs})


def happened() -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="orders", task_id="load", run_id="r", map_index=-1, state="failed")
    return {"ti": ti, "exception": ValueError("no rows")}


@pytest.mark.skipif(not hasattr(Variable, "keys"), reason="Airflow before 3.3 has no store for it")
def test_alerts(emulator: Running, run_dag: Callable[..., DagRun], told: Told) -> None:
    @task(on_failure_callback=alert(window=timedelta(hours=1), dedupe_key="{{ run_id }}"))
    def fail(number: int) -> None:
        raise ValueError("no rows")

    with DAG("alerted", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        fail.expand(number=[1, 2, 3])
    assert run_dag(dag).state == "failed"
    settle(told, "twilio.alerts.sent", 1, **CONN)
    settle(told, "twilio.alerts.held_back", 2, **CONN, reason="storm")


def test_alerts_in_quiet_hours(emulator: Running, told: Told) -> None:
    now = pendulum.now("UTC")
    hours = f"{now.subtract(hours=1).format('HH:mm')}-{now.add(hours=1).format('HH:mm')} UTC"
    alert(quiet_hours=hours)(happened())
    settle(told, "twilio.alerts.held_back", 1, **CONN, reason="quiet_hours")


def test_alerts_that_wait_for_a_store(emulator: Running, told: Told) -> None:
    alert(window=60, without_store="hold")(happened())
    settle(told, "twilio.alerts.held_back", 1, **CONN, reason="no_store")


def test_alerts_that_fail(emulator: Running, told: Told) -> None:
    break_posts(emulator, "error_before")
    alert(to=[ADA, EVE])(happened())
    settle(told, "twilio.alerts.uncertain", 1, **CONN)
    settle(told, "twilio.alerts.sent", 1, **CONN)
    alert(to="+15005550009")(happened())
    settle(told, "twilio.alerts.failed", 1, **CONN, verdict="recipient")
    alert(to="{{ nothing.here }}")(happened())
    settle(told, "twilio.alerts.failed", 1, **CONN, verdict="configuration")
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(password="wrong")):
        alert(to=[ADA, EVE])(happened())
    settle(told, "twilio.alerts.failed", 3, **CONN, verdict="configuration")
