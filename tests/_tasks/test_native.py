"""In a DAG that renders its templates as native objects, a phone number is still a phone number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

START = pendulum.datetime(2026, 1, 1)
NUMBER, OURS = "+12025550141", "+15005550006"


@pytest.mark.parametrize(
    "to",
    [NUMBER, "{{ params.number }}", [NUMBER, "{{ params.number }}"]],
    ids=["literal", "template", "list"],
)
def test_a_native_template_leaves_numbers_as_they_are(
    emulator: Running, run_dag: Callable[..., DagRun], to: str | list[str]
) -> None:
    with DAG(
        "native",
        schedule=None,
        start_date=START,
        render_template_as_native_obj=True,
        params={"number": NUMBER},
    ) as dag:
        TwilioSendMessageOperator(task_id="send", to=to, from_=OURS, body="Hello", wait_for="queued")
    assert run_dag(dag).state == "success"
    assert emulator.twilio.ledger.to_dict()["recipients"] == {NUMBER: 1}


def test_a_native_body_stays_a_text(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    with DAG(
        "native_body",
        schedule=None,
        start_date=START,
        render_template_as_native_obj=True,
        params={"code": 1234},
    ) as dag:
        TwilioSendMessageOperator(
            task_id="send", to=NUMBER, from_=OURS, body="{{ params.code }}", wait_for="queued"
        )
    assert run_dag(dag).state == "success"
    (sent,) = emulator.twilio.part(Messages).by_sid.values()
    assert sent.body == "1234"


def test_a_native_alert_goes_to_a_number(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    alert = TwilioNotifier(to="{{ params.number }}", from_=OURS, text="{{ params.count }}")
    with DAG(
        "native_alert",
        schedule=None,
        start_date=START,
        render_template_as_native_obj=True,
        params={"number": NUMBER, "count": 7},
    ) as dag:
        TwilioSendMessageOperator(
            task_id="send", to="+12025550142", from_=OURS, body="Hello", on_success_callback=alert
        )
    assert run_dag(dag).state == "success"
    assert emulator.twilio.ledger.to_dict()["recipients"] == {NUMBER: 1, "+12025550142": 1}
