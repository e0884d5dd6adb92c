"""A deployment at work: the main job, files on two workers, and an alert that both triggerers have."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_twilio_comms.demo import campaign
from airflow_provider_twilio_comms.demo.processes import until
from tests.e2e.deployment import DATA, LONG, WORKERS, Deployment
from tests.stack.alerts import begun_by_both, texts

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
    before = begun_by_both(deployment.stack.home)
    deployment.airflow.wait_for_dag("stack_deadline_async")
    run_id = deployment.airflow.trigger("stack_deadline_async")
    deployment.airflow.wait_for_run("stack_deadline_async", run_id, timeout=LONG)
    until(lambda: texts(deployment.emulator, DEADLINE) or None, timeout=300, what="the deadline's alert")
    home = deployment.stack.home
    until(
        lambda: begun_by_both(home) - before or None, timeout=300, what="both triggerers to run the callback"
    )
    time.sleep(10)  # the slow request, and whatever the other one does after it
    (text,) = texts(deployment.emulator, DEADLINE)
    assert text.startswith("stack_deadline_async missed its deadline 20")
    assert "held back" not in text
