"""One send a file, side by side: mapped, waited for, and added up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_each import merged, send_each
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running


def xcom(run: DagRun, task_id: str) -> Any:
    (instance,) = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return instance.xcom_pull(task_ids=task_id)


@pytest.mark.parametrize("deferrable", [False, True])
def test_one_mapped_task_a_file(
    emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path, deferrable: bool
) -> None:
    emulator.twilio.change(pace=0.2)
    for part in range(3):
        (tmp_path / f"part-{part}.csv").write_text(f"phone,name\n+1202555000{part},A\n+1202555001{part},B\n")
    (tmp_path / "part-3.csv").write_text("phone,name\n")
    with DAG(f"mapped_{deferrable}", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task
        def files() -> list[str]:
            return sorted(map(str, tmp_path.glob("*.csv")))

        send_each(
            "campaign",
            ObjectStorageToTwilioOperator,
            over={"path": files()},
            number_column="phone",
            content="Hello {{ name }}",
            sender="+15005550006",
            wait_for="delivered",
            on_empty="skip",
            poll_interval=0.1,
            initial_delay=0,
            deferrable=deferrable,
        )

    run = run_dag(dag)
    assert run.state == "success"
    total = xcom(run, "campaign.merge")
    assert {name: total[name] for name in ("sends", "status", "recipients", "rejected")} == {
        "sends": 3,
        "status": "COMPLETED",
        "recipients": 6,
        "rejected": 0,
    }
    assert len(set(total["operation_ids"])) == 3
    assert total["stats"]["delivered"] == 6
    assert set(emulator.twilio.ledger.to_dict()["recipients"].values()) == {1}


def test_results_that_differ_are_said_to() -> None:
    one = {"operation_ids": ["a"], "status": "ACCEPTED", "recipients": 1, "rejected": 2, "stats": None}
    assert merged([one, None, {**one, "status": "DRY_RUN"}])["status"] == "MIXED"
    assert merged([]) == {
        "sends": 0,
        "operation_ids": [],
        "status": "NONE",
        "recipients": 0,
        "rejected": 0,
        "stats": None,
    }


def test_there_is_something_to_map_over() -> None:
    with pytest.raises(InvalidInput, match="over: is empty"):
        send_each("campaign", TwilioBulkMessageOperator, over={}, content="x")
