"""The bulk operator in a DAG: what upstream hands it, mapping, deferral, and what Airflow stores of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

START = pendulum.datetime(2026, 1, 1)
NUMBERS = ["+12025550141", "+12025550142", "+12025550143"]
COMMON: dict[str, Any] = {
    "sender": "+15005550006",
    "wait_for": "delivered",
    "deferrable": True,
    "initial_delay": 0,
    "poll_interval": 0.2,
}


def received(emulator: Running) -> list[str]:
    counts = emulator.twilio.ledger.to_dict()["recipients"]
    assert set(counts.values()) <= {1}
    return sorted(counts)


def stored(table: str) -> str:
    """All that Airflow's database holds in a table, as text."""
    with sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db") as database:
        return str(database.execute(f"select * from {table}").fetchall())


def test_recipients_and_content_from_upstream(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    emulator.twilio.change(pace=0.2)
    with DAG("upstream_recipients", schedule=None, start_date=START) as dag:

        @task
        def everyone() -> list[dict[str, str]]:
            return [{"phone": number, "name": "{{ not jinja }}"} for number in NUMBERS]

        @task
        def words() -> str:
            return "Hello {{ name }}"

        send = TwilioBulkMessageOperator(task_id="send", recipients=everyone(), content=words(), **COMMON)
    assert send.upstream_task_ids == {"everyone", "words"}
    run = run_dag(dag)
    assert run.state == "success"
    assert received(emulator) == NUMBERS
    assert NUMBERS[0] not in stored("rendered_task_instance_fields")


def test_one_mapped_send_per_file(emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path) -> None:
    emulator.twilio.change(pace=0.2)
    for number in NUMBERS:
        (tmp_path / f"{number[-1]}.csv").write_text(f"phone,name\n{number},Ines\n")
    with DAG("mapped_files", schedule=None, start_date=START, params={"folder": str(tmp_path)}) as dag:
        TwilioBulkMessageOperator.partial(task_id="send", content="Hello {{ name }}", **COMMON).expand(
            recipients=[f"{{{{ params.folder }}}}/{number[-1]}.csv" for number in NUMBERS]
        )
    run = run_dag(dag)
    assert run.state == "success"
    assert received(emulator) == NUMBERS


def test_numbers_in_a_dag_file_may_be_templates(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    with DAG("templated_number", schedule=None, start_date=START, params={"to": NUMBERS[0]}) as dag:
        TwilioBulkMessageOperator(
            task_id="send",
            recipients=["{{ params.to }}", NUMBERS[1]],
            content="Hi",
            **{**COMMON, "wait_for": "accepted"},
        )
    assert run_dag(dag).state == "success"
    assert received(emulator) == NUMBERS[:2]


def test_numbers_in_a_dag_file_are_not_serialized(emulator: Running) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("literal_numbers", schedule=None, start_date=START) as dag:
        TwilioBulkMessageOperator(task_id="send", recipients=NUMBERS, content="Hi there", **COMMON)
    serialized = str(DagSerialization.to_dict(dag))
    assert NUMBERS[0] not in serialized
    assert "Hi there" not in serialized
