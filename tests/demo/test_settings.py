"""Ports and environment of the demo's Airflow."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from airflow_provider_twilio_comms.demo.__main__ import invitation
from airflow_provider_twilio_comms.demo.settings import free_port, kept_env
from airflow_provider_twilio_comms.demo.stack import Stack
from tests.conftest import environment

ROOT = Path(__file__).resolve().parents[2]


def test_a_preferred_port_is_used_unless_it_is_taken() -> None:
    wanted = free_port()
    assert free_port(wanted) == wanted
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) not in (0, port)


def test_no_example_is_offered_that_the_folder_lacks(tmp_path: Path) -> None:
    assert invitation(tmp_path, "twilio_bulk_campaign") == (
        "Trigger a DAG there and watch the emulator's outbox. Ctrl-C ends both."
    )
    assert "there, such as twilio_bulk_campaign, and" in invitation(
        ROOT / "example_dags", "twilio_bulk_campaign"
    )


def test_connections_and_variables_of_the_shell_reach_the_stack(tmp_path: Path) -> None:
    shell = {
        "AIRFLOW_CONN_SHOP": "http://shop",
        "AIRFLOW_VAR_REGION": "south",
        "AIRFLOW_CONN_TWILIO_DEFAULT": "twilio://a-real-account",
        "AIRFLOW_CONN_TWILIO_PREVIEW": "twilio://a-real-account",
        "AIRFLOW__CORE__PARALLELISM": "99",
    }
    with environment(**shell):
        kept = kept_env()
        stack = Stack(tmp_path, home=tmp_path, env=kept)
    assert stack.env["AIRFLOW_CONN_SHOP"] == "http://shop"
    assert stack.env["AIRFLOW_VAR_REGION"] == "south"
    assert stack.emulator is not None
    assert stack.env["AIRFLOW_CONN_TWILIO_DEFAULT"] == stack.emulator.connection(), "real people were texted"
    preview = stack.emulator.connection(comms_version="preview")
    assert stack.env["AIRFLOW_CONN_TWILIO_PREVIEW"] == preview, "real people were texted"
    assert stack.env["AIRFLOW__CORE__PARALLELISM"] == "4"


def test_make_airflow_takes_a_folder_of_dags() -> None:
    command = ["make", "--dry-run", "--old-file=.venv/.done", "airflow", "DAGS=my dags"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '--keep --dags "my dags"' in shown
