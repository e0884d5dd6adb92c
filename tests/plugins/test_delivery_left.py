"""The delivery view reads the traces of real tasks: sends, a single message, a wait, receipts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from airflow_provider_twilio_comms.plugins.delivery.overview import Counters, counters_of, overview
from airflow_provider_twilio_comms.plugins.delivery.sends import Key, Send
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

GOOD = [f"+1202555{number:04d}" for number in range(100, 104)]
BAD = ["+12025559003", "+12025559610", "+12025559006"]
FROM = "+15005550006"
WAIT: dict[str, Any] = {"deferrable": True, "initial_delay": 0, "poll_interval": 0.2}


@pytest.fixture
def left(emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path) -> dict[str, Send]:
    """The sends that are found after a run, by their task."""
    from airflow.utils.session import create_session

    from airflow_provider_twilio_comms.plugins.delivery import store

    emulator.twilio.change(pace=0.2)
    bulk: dict[str, Any] = {"content": "Booked.", "sender": FROM}
    with DAG("left_behind", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        accepted = TwilioBulkMessageOperator(task_id="accepted", recipients=GOOD, wait_for="accepted", **bulk)
        accepted >> TwilioOperationSensor(
            task_id="sensed",
            operation_ids="{{ ti.xcom_pull('accepted')['operation_ids'] }}",
            wait_for="delivered",
            deferrable=True,
            initial_delay=0,
            poke_interval=0.2,
        )
        TwilioBulkMessageOperator(
            task_id="fails", recipients=[*GOOD, *BAD], wait_for="delivered", **bulk, **WAIT
        )
        lenient = TwilioBulkMessageOperator(
            task_id="lenient", recipients=BAD, wait_for="delivered", min_delivered=0, **bulk, **WAIT
        )
        TwilioReceiptsOperator(
            task_id="receipts", operation_ids=lenient.output, output_path=str(tmp_path / "rows.jsonl")
        )
        TwilioSendMessageOperator(
            task_id="single", to=BAD[0], from_=FROM, body="Booked.", wait_for="delivered", **WAIT
        )
        TwilioBulkMessageOperator(task_id="refused", recipients=[GOOD[0][1:]], **bulk)
    run = run_dag(dag)
    began = pendulum.now("UTC") - timedelta(minutes=10)
    with create_session(scoped=False) as session:
        found, more = store.recent(session, {"left_behind"}, began)
        assert store.recent(session, {"another"}, began) == ([], False)
        one = store.one(session, Key("left_behind", run.run_id, "lenient"), {"left_behind"})
    assert not more
    assert [send.kind for send in one] == ["operations", "receipts"]
    return {send.key.task_id: send for send in found}


def test_everything_that_tasks_leave_is_read(left: dict[str, Send]) -> None:
    kinds = {name: (send.kind, send.phase) for name, send in left.items()}
    assert kinds == {
        "accepted": ("operations", "done"),
        "sensed": ("wait", "done"),
        "fails": ("operations", "failed"),
        "lenient": ("operations", "done"),
        "receipts": ("receipts", "done"),
        "single": ("messages", "failed"),
        "refused": ("nothing", "failed"),
    }
    assert left["refused"].error.startswith(
        "InvalidInput: 1 of 1 recipients are invalid, and nothing was sent"
    )
    assert left["fails"].error.startswith("DeliveryFailed: ")
    assert counters_of(left["accepted"]) == Counters(open=4)
    assert counters_of(left["sensed"]) == Counters(delivered=4)
    assert left["sensed"].ids == left["accepted"].ids
    assert counters_of(left["fails"]) == Counters(4, 3, 0)
    assert dict(left["fails"].codes) == {30003: 1, 21610: 1}
    assert dict(left["receipts"].codes) == {30003: 1, 21610: 1}
    assert (counters_of(left["single"]), left["single"].codes) == (Counters(0, 1, 0), ((30003, 1),))
    told = overview(left.values())
    assert told.counters == Counters(8, 7, 0)
    assert (told.operations_done, told.operations_in_flight, told.uncertain) == (3, 0, 0)
    reasons = {(each.code, each.count) for each in told.failures}
    assert reasons == {(30003, 3), (21610, 2), (None, 2)}
    assert not any(number[1:] in repr(left) for number in [*GOOD, *BAD])
