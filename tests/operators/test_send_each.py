"""One send a file, side by side: mapped, waited for, and added up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_each import merged, send_each
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, stopped_after

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


def campaign(name: str, folder: Path, files: list[str], **kwargs: Any) -> DAG:
    """A DAG that sends once for each of some files, whose order the test chooses."""
    with DAG(name, schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

        @task
        def listed() -> list[str]:
            return [str(folder / file) for file in files]

        send_each(
            "campaign",
            ObjectStorageToTwilioOperator,
            over={"path": listed()},
            number_column="phone",
            content="Hello",
            sender="+15005550006",
            wait_for="accepted",
            unknown_after=0.0,
            **kwargs,
        )
    return dag


def test_a_list_that_shifts_changes_no_send(
    emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path
) -> None:
    """With a key of its own a send goes out once, in whichever run and at whichever map index."""
    for part in range(3):
        (tmp_path / f"{part}.csv").write_text(f"phone\n+1202555000{part}\n+1202555001{part}\n")
    for files in (["1.csv", "2.csv"], ["0.csv", "1.csv", "2.csv"]):
        run = run_dag(campaign("shifted", tmp_path, files, send_key="spring"))
        assert run.state == "success"
        assert xcom(run, "campaign.merge")["recipients"] == 2 * len(files)
        assert len(set(xcom(run, "campaign.merge")["operation_ids"])) == len(files)
    assert len(emulator.twilio.ledger.to_dict()["recipients"]) == 6
    assert set(emulator.twilio.ledger.to_dict()["recipients"].values()) == {1}


def test_mapped_sends_with_one_key_never_take_each_others_messages(
    emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path
) -> None:
    for part in range(2):
        (tmp_path / f"{part}.csv").write_text(f"phone\n+1202555000{part}\n+1202555001{part}\n")
    emulator.twilio.faults.add(Fault(kind="drop_before", skip=1, method="POST", path="/Messages$"))
    run = run_dag(campaign("lost", tmp_path, ["0.csv", "1.csv"], send_key="spring"))
    assert run.state == "failed"
    assert len(emulator.twilio.ledger.to_dict()["recipients"]) == 2


class Mapped:
    """Return what a task finds in its DAG where it is mapped: a value for each index."""

    _expand_input_attr = "value"

    def __init__(self, value: Any) -> None:
        self.value = self
        self._value = value

    def iter_mapped_task_groups(self) -> list[Any]:
        return []

    def resolve(self, context: Any) -> tuple[Any, set[int]]:
        return self._value, set()


def instance(store: MemoryStore, index: int, value: Any, **kwargs: Any) -> Any:
    found = context(store, **kwargs)
    found["ti"].map_index = index
    found["dag"] = SimpleNamespace(get_task=lambda task_id: Mapped(value))
    return found


def test_a_cleared_run_whose_list_has_grown_in_front_texts_the_new_file_only(emulator: Running) -> None:
    a, b, new = people(2), people(2, first=10), people(2, first=20)
    stores = [MemoryStore(), MemoryStore(), MemoryStore()]
    for index, (path, rows) in enumerate([("a", a), ("b", b)]):
        bulk(rows).execute(instance(stores[index], index, {"path": path}))
    cleared: Any = {"clear_number": 1, "max_tries": 4}
    for index, (path, rows) in enumerate([("0", new), ("a", a), ("b", b)]):
        number = 1 if index == 2 else 2
        assert bulk(rows).execute(
            instance(stores[index], index, {"path": path}, try_number=number, **cleared)
        )
    counts = emulator.twilio.ledger.to_dict()["recipients"]
    assert len(counts) == 6
    assert set(counts.values()) == {1}


def test_a_mapped_list_that_was_edited_where_it_stands_is_not_sent_again(emulator: Running) -> None:
    store, rows = MemoryStore(), people(6)
    stopped_after(emulator, 1, store, rows, recipients_per_request=3, tried=instance(store, 0, {"r": [rows]}))
    edited = rows[1:]
    with pytest.raises(AirflowFailException, match="began to send another list"):
        bulk(edited, recipients_per_request=3).execute(
            instance(store, 0, {"r": [edited]}, try_number=2, max_tries=4, clear_number=1)
        )
    assert len(emulator.twilio.ledger.to_dict()["recipients"]) == 3


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
        "codes": {},
        "unexplained": 0,
    }


def test_there_is_something_to_map_over() -> None:
    with pytest.raises(InvalidInput, match="over: is empty"):
        send_each("campaign", TwilioBulkMessageOperator, over={}, content="x")
