"""Every example runs, here against the emulator, and every operator and sensor is in one of them."""

from __future__ import annotations

import ast
import importlib.util
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.provider_info import get_provider_info
from tests.conftest import environment
from tests.event_receiver import received, until
from tests.example_results import CHECKS, asked, month_of_messages
from tests.warehouse import SECRET, in_sqlite

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

EXAMPLES = sorted((Path(__file__).parent.parent / "example_dags").glob("*.py"))


def dags(path: Path) -> Iterator[DAG]:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [value for value in vars(module).values() if isinstance(value, DAG)]
    # A DAG that was not given a name in its file is found by any of its tasks.
    found += [dag for value in vars(module).values() if isinstance(dag := getattr(value, "dag", None), DAG)]
    yield from {dag.dag_id: dag for dag in found}.values()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    emulator: Running, run_dag: Callable[..., DagRun], tmp_path: Path, path: Path, request: Any
) -> None:
    for name in re.findall(r"data/(\w+\.sql)", path.read_text()):
        postgres = request.getfixturevalue("postgres")
        postgres.execute((path.parent / "data" / name).read_text())
    if path.stem == "twilio_message_log":
        month_of_messages(emulator)
    emulator.twilio.change(pace=0.5)
    found = list(dags(path))
    assert found
    for dag in found:
        assert dag.dag_id.startswith("twilio_")
        dag.end_date = None
        for task in dag.tasks:
            hurry(task)
        conf = {"folder": str(tmp_path)} if "folder" in dag.params else None
        with BESIDE.get(dag.dag_id, lambda _: nullcontext())(emulator):
            run = run_dag(dag, conf)
        states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
        assert set(states.values()) == {"success"}, states
        if dag.dag_id in CHECKS:
            CHECKS[dag.dag_id](emulator, run, tmp_path)


@contextmanager
def answering(emulator: Running) -> Iterator[None]:
    """Somebody who answers YES, with the code that was asked for."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.2):
            with emulator.twilio.lock:
                asked = [*emulator.twilio.part(Messages).by_sid.values()]
                for message in asked[:1]:
                    words = re.search(r"YES \d{4}", message.body)
                    assert words
                    receive(emulator.twilio, Arrival(from_=message.to, to=message.from_, body=words[0]))
                    return

    somebody = threading.Thread(target=answer)
    somebody.start()
    try:
        yield
    finally:
        over.set()
        somebody.join()


@contextmanager
def hearing(emulator: Running) -> Iterator[None]:
    """A webhook that hears of the end of the operation and of both messages."""
    with received() as receiver, environment(AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL=receiver.url):
        yield
        until(lambda: len(receiver.events) == 3)


@contextmanager
def failing(emulator: Running) -> Iterator[None]:
    """Phones that are off: every number that ends in 7."""
    emulator.twilio.change(outcomes=[{"match": "7$", "status": "UNDELIVERED", "code": 30003}])
    yield


@contextmanager
def campaign_database() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, in_sqlite(Path(folder), "campaigns"):
        yield


@contextmanager
def campaigning(emulator: Running) -> Iterator[None]:
    """A database for consent and caps, and somebody who has answered STOP."""
    with emulator.twilio.lock:
        receive(emulator.twilio, Arrival(from_="+12025550101", to="+15005550006", body="Basta!"))
    extra = {"hash_secret": SECRET, "consent": {"conn_id": "campaigns", "table": "opt_outs"}}
    with campaign_database(), environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(**extra)):
        yield


@contextmanager
def capping(emulator: Running) -> Iterator[None]:
    """A database for a cap, and a secret for the hashes in it."""
    secret = emulator.connection_json(hash_secret=SECRET)
    with campaign_database(), environment(AIRFLOW_CONN_TWILIO_DEFAULT=secret):
        yield


# What has to happen while an example runs.
BESIDE: dict[str, Callable[[Running], AbstractContextManager[None]]] = {
    "twilio_approval": answering,
    "twilio_event_streams": hearing,
    "twilio_recipe_approved_send": answering,
    "twilio_recipe_nightly": failing,
    "twilio_frequency_cap": capping,
    "twilio_opt_outs": campaigning,
}


def hurry(task: Any) -> None:
    """Wait less: with dag.test() no executor is there to be outrun. Run after a task's end, and at night."""
    task.end_date = None
    if getattr(task, "quiet_hours", None) and not hasattr(task, "expand_input"):
        task.quiet_hours = None
    mapped = getattr(task, "partial_kwargs", None)  # what a mapped task will be made with
    if mapped is not None and hasattr(task.operator_class, "usual_poll_interval"):
        mapped.setdefault("poll_interval", 0.2)
    for name in ("poll_interval", "poke_interval"):
        if mapped and name in mapped:
            mapped.update({name: 0.2, "initial_delay": 0})
        elif hasattr(task, name):
            setattr(task, name, 0.2)
    if hasattr(task, "initial_delay"):
        task.initial_delay = 0


def test_there_are_eight_recipes() -> None:
    assert sum(path.stem.startswith("twilio_recipe_") for path in EXAMPLES) == 8


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_it_is_for(path: Path) -> None:
    for dag in dags(path):
        assert dag.description
        assert dag.description.endswith(".")
        assert "::" not in dag.description
        assert dag.doc_md == ast.get_docstring(ast.parse(path.read_text()), clean=False)
        assert "twilio" in dag.tags
        assert len(dag.tags) > 1
        assert (path.stem.startswith("twilio_recipe_")) == ("recipe" in dag.tags)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_on_a_schedule_waits_until_somebody_has_set_up_what_it_needs(path: Path) -> None:
    """But for the backfill's, which sends nothing by itself."""
    for dag in dags(path):
        if isinstance(dag.schedule, str) and dag.dag_id != "twilio_backfill":
            assert dag.is_paused_upon_creation


def test_whoever_replies_stop_is_in_the_table_and_is_not_texted(emulator: Running, postgres: Any) -> None:
    """The first DAG of the loop runs on an event, which is made here of a real message."""
    (path,) = [each for each in EXAMPLES if each.stem == "twilio_recipe_opt_outs"]
    postgres.execute((path.parent / "data" / "bookings.sql").read_text())
    ((phone,), *_) = asked("SELECT phone FROM bookings EXCEPT SELECT phone FROM do_not_text ORDER BY phone")
    sid = receive(emulator.twilio, Arrival(from_=phone, to="+15005550006", body="unsubscribe")).sid
    stored, _ = dags(path)
    events = {Asset("twilio://webhook/opt-out"): [SimpleNamespace(extra={"payload": {"sid": sid}})]}
    store = stored.get_task("store").python_callable  # type: ignore[attr-defined]
    assert store(triggering_asset_events=events) == 1
    assert store(triggering_asset_events=events) == 1
    assert asked(f"SELECT count(*) FROM do_not_text WHERE phone = '{phone}'") == [(1,)]


def test_every_operator_and_sensor_is_in_an_example() -> None:
    text = "".join(path.read_text() for path in EXAMPLES)
    missing, info = set(), get_provider_info()
    modules = [
        name
        for section in ("operators", "sensors")
        for entry in info[section]
        for name in entry["python-modules"]
    ]
    for name in (*modules, *(entry["python-module"] for entry in info["transfers"])):
        names = importlib.import_module(name).__all__
        if "send_each" in names and "send_each(" in text:  # it makes the tasks of its module
            continue
        missing |= {each for each in names if each.startswith("Twilio") and each not in text}
    assert missing == set()
