"""What a deployment is for: the main job, files on two workers, and an alert that both triggerers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.demo import campaign
from airflow_provider_twilio_comms.demo.processes import until
from tests.e2e.deployment import DATA, LONG, WORKERS, Deployment
from tests.notifications.storming import config

pytestmark = [pytest.mark.stack, pytest.mark.e2e]

FILES = 20
EACH = 250  # people in a file
DEADLINE = "+12025550173"  # who hears of it in dags/storm.py


def test_the_main_job(deployment: Deployment) -> None:
    outcome = campaign.run(deployment.stack, DATA / "recipients.csv")
    assert outcome.good
    assert (outcome.recipients, outcome.rejected, outcome.requests) == (25_000, 62, 3)
    assert outcome.stats["delivered"] == 24_138


def test_twenty_files_on_both_workers(deployment: Deployment, tmp_path: Path) -> None:
    people = [f"+1213{person:07d}" for person in range(2_000_000, 2_000_000 + FILES * EACH)]
    for part in range(FILES):
        rows = "".join(f"{number},Ada\n" for number in people[part::FILES])
        (tmp_path / f"part-{part:02d}.csv").write_text(f"phone,name\n{rows}")
    deployment.airflow.wait_for_dag("e2e_files")
    run_id = deployment.airflow.trigger("e2e_files", {"folder": str(tmp_path)})
    assert deployment.airflow.wait_for_run("e2e_files", run_id, timeout=LONG) == "success"
    ledger = deployment.emulator.ledger()
    assert {ledger.get(number, 0) for number in people} == {1}
    ran = [
        {file for task, file, _ in deployment.ran(worker, run_id) if task.endswith(".send")}
        for worker in WORKERS
    ]
    assert all(ran)
    assert set.union(*ran) == set(range(FILES))


def test_a_deadline_missed_under_two_triggerers_is_one_text(deployment: Deployment) -> None:
    # Each that is alive runs the callback, unless the first is done before the other looks.
    deployment.emulator.fault(kind="slow", method="POST", path="/Messages", seconds=8)
    deployment.airflow.wait_for_dag("stack_deadline_async")
    run_id = deployment.airflow.trigger("stack_deadline_async")
    deployment.airflow.wait_for_run("stack_deadline_async", run_id, timeout=LONG)
    until(lambda: held_back(deployment), timeout=60, what="a triggerer to hold its own back")
    client = Client(config(f"{deployment.emulator.url}/{{product}}"))
    try:
        (text,) = client.run(messages.list(to=DEADLINE)).items
    finally:
        client.close()
    assert (text.body or "").startswith("stack_deadline_async missed its deadline 20")
    assert "held back" not in (text.body or "")


def held_back(deployment: Deployment) -> bool:
    """Whether a log says that the alert is not sent, since somebody else sends it."""
    logs = [path for path in deployment.stack.home.rglob("*.log*") if path.is_file()]
    return any(
        "The alert about stack_deadline_async is held back" in path.read_text(errors="replace")
        for path in logs
    )
