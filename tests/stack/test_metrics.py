"""Metrics of a real Airflow: workers, triggerer and DAG processor tell a StatsD server, each what it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.hooks._metrics import METRICS
from tests.statsd import Told, listening

pytestmark = pytest.mark.stack

DAGS = Path(__file__).with_name("metrics_dags")


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Stack, Told]]:
    with listening() as told, Stack(DAGS, env=told.env) as stack:
        yield stack, told


def test_a_send_is_counted_by_the_worker_and_its_wait_by_the_triggerer(told: tuple[Stack, Told]) -> None:
    stack, received = told
    stack.airflow.wait_for_dag("stack_counted")
    assert stack.airflow.wait_for_run("stack_counted", stack.airflow.trigger("stack_counted")) == "success"
    received.wait(lambda told: told.count("twilio.waits.ended") == 1, "the end of the wait")
    tags = {"conn_id": "twilio_default", "kind": "bulk"}
    for name in ("sent", "accepted", "delivered"):
        assert received.count(f"twilio.messages.{name}", **tags) == 25
    assert received.count("twilio.polls.made", result="ok", resource="operations") >= 1
    assert {name for name, _ in received.keys} <= set(METRICS)


def test_alerts_are_counted_wherever_they_are_sent_from(told: tuple[Stack, Told]) -> None:
    stack, received = told
    stack.airflow.wait_for_dag("stack_alerted")
    assert stack.airflow.wait_for_run("stack_alerted", stack.airflow.trigger("stack_alerted")) == "failed"
    # The task's own from its worker, the DAG's from the DAG processor, the deadline's from the triggerer.
    received.wait(lambda told: told.count("twilio.alerts.sent") == 3, "three alerts", timeout=300)
