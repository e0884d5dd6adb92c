"""The README tells the truth of today: its DAG runs, its words are make's, its names exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_provider_twilio_comms.provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_its_first_dag_runs(
    emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", emulator.connection_json(default_sender="+15005550006"))
    emulator.twilio.change(pace=0.2)
    bookings = tmp_path / "bookings.csv"
    bookings.write_text("phone,name,time\n+12025550101,Ines,19:30\n+12025550102,,20:00\n")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in code.splitlines() if line.strip()]) < 15
    here = code.replace("s3://aws_default@bookings/{{ ds }}.csv", str(bookings))
    assert here != code
    made: list[DAG] = []

    class Kept(DAG):
        def __enter__(self) -> DAG:
            made.append(self)
            return super().__enter__()

    exec(compile(here.replace("import DAG", "import DAG as _"), "README.md", "exec"), {"DAG": Kept})
    (dag,) = made
    dag.get_task("send").initial_delay = 0
    assert run_dag(dag).state == "success"
    assert len(emulator.twilio.ledger.to_dict()["recipients"]) == 2


def test_its_words_are_make_s() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9.-]*):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make ([a-z0-9.-]+)", README)) <= targets


def test_its_table_holds_every_field_of_the_connection() -> None:
    (connection,) = get_provider_info()["connection-types"]
    section = README.split("## The connection")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) >= set(connection["conn-fields"])
