"""Event Streams wake a waiting task of a real Airflow: nothing but its webhook can end the wait in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN

pytestmark = pytest.mark.stack

EXAMPLE = Path(__file__).parents[2] / "example_dags" / "twilio_event_streams.py"


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An Airflow that Twilio's events wake, and whose triggers look once an hour."""
    dags = tmp_path_factory.mktemp("dags")
    (dags / EXAMPLE.name).symlink_to(EXAMPLE)
    env = {
        "AIRFLOW__TWILIO__WEBHOOK_ENABLED": "True",
        "AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL": "{url}/twilio",
        "AIRFLOW__TWILIO__WEBHOOK_AUTH_TOKEN": AUTH_TOKEN,
        "AIRFLOW__TWILIO__WEBHOOK_WAKES": "True",
        "AIRFLOW__TWILIO__PUSH_POLL_INTERVAL": "3600",
    }
    with Stack(dags, env=env) as stack:
        stack.airflow.wait_for_dag("twilio_event_streams")
        yield stack


def test_the_events_of_an_operation_wake_the_task_that_waits_for_it(pushed: Stack) -> None:
    assert pushed.emulator is not None
    pushed.emulator.change(pace=25)  # longer than the first look and the initial delay
    run = pushed.airflow.trigger("twilio_event_streams")
    assert pushed.airflow.wait_for_run("twilio_event_streams", run, timeout=240) == "success"
    assert "Webhooks woke 1 waiting tasks" in pushed.component_log("api-server").read_text()


def test_a_woken_task_keeps_the_link_that_it_had_while_it_waited(pushed: Stack) -> None:
    assert pushed.emulator is not None
    pushed.emulator.change(pace=25)
    run = pushed.airflow.trigger("twilio_event_streams")
    pushed.airflow.wait_for_task("twilio_event_streams", run, "send", ("deferred",), timeout=120)
    waiting = until(lambda: links(pushed, run) or None, timeout=30, what="the link")
    assert waiting["Twilio messages"].startswith(f"{pushed.emulator.url}/?search=comms_operation_")
    assert pushed.airflow.wait_for_run("twilio_event_streams", run, timeout=240) == "success"
    assert links(pushed, run) == waiting


def links(stack: Stack, run: str) -> dict[str, str]:
    """The links of the task that lead somewhere."""
    found = stack.airflow.extra_links("twilio_event_streams", run, "send")
    return {name: url for name, url in found.items() if url}
