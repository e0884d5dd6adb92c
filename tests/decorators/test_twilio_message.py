"""A function that says who gets a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

SEND: dict[str, Any] = {"sender": "+15005550006", "wait_for": "accepted"}
US = "+12025550101"


@pytest.fixture
def ran(request: Any, run_dag: Callable[..., DagRun]) -> Callable[[Callable[[], Any]], DagRun]:
    def run(make: Callable[[], Any]) -> DagRun:
        name = request.node.name.replace("[", "_").replace("]", "")
        with DAG(name, schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
            make()
        return run_dag(dag)

    return run


def received(emulator: Running) -> list[str]:
    return sorted(emulator.twilio.ledger.to_dict()["recipients"])


def result(run: DagRun, task_id: str) -> Any:
    return run.get_task_instances()[0].xcom_pull(task_ids=task_id)


def rendered(run: DagRun, task_id: str) -> Any:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields

    (instance,) = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return RenderedTaskInstanceFields.get_templated_fields(instance)


def test_it_is_found_under_task() -> None:
    (entry,) = [each for each in get_provider_info()["task-decorators"] if each["name"] == "twilio_message"]
    assert entry["class-name"].endswith("decorators.twilio_message.twilio_message_task")


def test_the_function_returns_recipients(emulator: Running, ran: Any) -> None:
    def dag() -> None:
        @task
        def bookings() -> list[dict[str, str]]:
            return [{"phone": US, "guest": "Ines"}]

        @task.twilio_message(content="Hi {{ name }}", **SEND)
        def remind(bookings: Any, ds: Any = None) -> Iterator[dict[str, str]]:
            for booking in bookings:
                yield {"phone": booking["phone"], "name": booking["guest"]}

        remind(bookings())

    run = ran(dag)
    assert run.state == "success"
    assert received(emulator) == [US]
    assert result(run, "remind")["recipients"] == 1
    assert "2025550101" not in str(rendered(run, "remind"))


def test_the_function_returns_the_content_too(emulator: Running, ran: Any) -> None:
    def dag() -> None:
        @task.twilio_message(**SEND)
        def remind() -> Any:
            return "Hi {{ name }}", [{"phone": US, "name": "Ines"}]

        remind()

    assert ran(dag).state == "success"
    assert received(emulator) == [US]


@pytest.mark.parametrize(
    ("returned", "kwargs"), [(["x"], {}), (("Hi", [US]), {"content": "Hello"}), (None, {"content": "Hello"})]
)
def test_what_it_returns_is_checked(emulator: Running, ran: Any, returned: Any, kwargs: Any) -> None:
    def dag() -> None:
        @task.twilio_message(**SEND, **kwargs)
        def remind() -> Any:
            return returned

        remind()

    assert ran(dag).state == "failed"
    assert received(emulator) == []


def test_it_maps(emulator: Running, ran: Any) -> None:
    def dag() -> None:
        @task.twilio_message(content="Hello", **SEND)
        def remind(number: str) -> Any:
            return [number]

        remind.expand(number=[US, US[:-1] + "2"])

    assert ran(dag).state == "success"
    assert received(emulator) == [US, US[:-1] + "2"]


def test_it_waits_without_a_worker(emulator: Running, ran: Any) -> None:
    emulator.twilio.change(pace=0.2)

    def dag() -> None:
        @task.twilio_message(
            content="Hello",
            sender="+15005550006",
            wait_for="delivered",
            deferrable=True,
            initial_delay=0,
            poll_interval=0.1,
        )
        def remind() -> Any:
            return [US]

        remind()

    run = ran(dag)
    assert run.state == "success"
    assert result(run, "remind")["stats"]["delivered"] == 1
