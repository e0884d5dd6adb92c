"""The notifier in every context that Airflow gives it, alone and in a DAG; nothing of it breaks a task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Variable, task

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.messaging import services
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.notifications.twilio import TwilioNotifier
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from tests.conftest import environment

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

ADA, EVE, FROM = "+12025550123", "+12025550124", "+15005550006"


def alert(**kwargs: Any) -> TwilioNotifier:
    return TwilioNotifier(**{"to": ADA, "from_": FROM, **kwargs})


def ti(**kwargs: Any) -> SimpleNamespace:
    known = {"dag_id": "orders", "task_id": "load", "run_id": "r", "map_index": -1, "state": "failed"}
    return SimpleNamespace(**{**known, "try_number": 2, "max_tries": 2, "log_url": "http://a/log", **kwargs})


TASK: dict[str, Any] = {
    "ti": ti(),
    "exception": ValueError("no rows\nfor today"),
    "dag_run": SimpleNamespace(dag_id="orders", run_id="r", run_type="scheduled", state="running"),
}
DEADLINE: dict[str, Any] = {
    "dag_run": {"dag_id": "orders", "dag_run_id": "r", "state": "running", "run_type": "manual"},
    "deadline": {"id": "0199", "deadline_time": "2026-11-20T10:00:00Z"},
}


def sent(to: str = ADA) -> list[str]:
    """The texts that somebody got, oldest first."""
    return [message.body or "" for message in reversed(TwilioHook().run(messages.list(to=to)).items)]


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (TASK, "orders.load failed, try 2/3\nValueError: no rows\nhttp://a/log"),
        (
            {**TASK, "ti": ti(state="up_for_retry")},
            "orders.load failed, to be tried again, try 2/3\nValueError",
        ),
        ({**TASK, "ti": ti(map_index=7), "exception": "text"}, "orders.load[7] failed, try 2/3\ntext"),
        ({"ti": ti(state="success")}, "orders.load succeeded, try 2/3\nhttp"),
        # from the DAG processor: the task was killed, or ended by a trigger
        ({"ti": ti(state=None, max_tries=1)}, "orders.load failed, try 2/2\nhttp"),
        ({"ti": ti(state=None)}, "orders.load failed, to be tried again, try 2/3\nhttp"),
        ({"ti": SimpleNamespace(dag_id="orders", task_id="load")}, "orders.load failed"),
        # a DAG's own callbacks; the task instance is just the last one
        ({**TASK, "exception": None, "reason": "task_failure"}, "orders failed\ntask_failure\nhttp"),
        (
            {"dag": DAG("orders", schedule=None), "run_id": "r", "reason": "timed_out"},
            "orders failed\ntimed_out",
        ),
        ({"dag": DAG("orders", schedule=None), "run_id": "r", "reason": "success"}, "orders succeeded\n"),
        (DEADLINE, "orders missed its deadline 2026-11-20 10:00 UTC\nhttp"),
        ({}, "Airflow failed"),
    ],
)
def test_every_context_gives_a_text(emulator: Running, context: dict[str, Any], text: str) -> None:
    with environment(AIRFLOW__API__BASE_URL="http://airflow"):
        alert()(dict(context))
    (got,) = sent()
    assert got.startswith(text)


async def test_a_deadline_is_told_from_the_event_loop_without_blocking_it(emulator: Running) -> None:
    await alert(to=EVE, context=dict(DEADLINE))  # imports what it needs
    emulator.twilio.change(reply_delay=1.5)
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    watching = asyncio.create_task(watch())
    await alert(context=dict(DEADLINE))
    watching.cancel()
    assert turns > 10  # a loop that is blocked has one or two
    (got,) = await asyncio.to_thread(sent)
    assert got.startswith("orders missed its deadline")


def test_a_serialized_dag_in_the_context_does_not_stop_the_alert(emulator: Running) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DagSerialization.from_dict(DagSerialization.to_dict(DAG("nightly", schedule=None)))
    alert(text="{{ run_id }} failed")({"dag": dag, "run_id": "monday", "reason": "task_failure"})
    assert sent() == ["monday failed"]


def test_an_alert_about_a_run_names_its_failed_tasks_and_the_first_error(
    emulator: Running, run_dag: Callable[..., DagRun]
) -> None:
    tell = alert(severity="critical")
    listed = alert(to=EVE, text="{{ alert.failed_tasks | join(' ') }}: {{ alert.error }}")
    with DAG("checks", schedule=None, on_failure_callback=[tell, listed]) as dag:

        @task
        def check(number: int) -> None:
            if number:
                raise ValueError("duplicates")

        TwilioBulkMessageOperator(task_id="text", recipients=["2025550101"], content="Hi", sender=FROM)
        check.expand(number=[0, 1]) >> check.override(task_id="never")(0)
    run_dag(dag)
    (got,), (names,) = sent(), sent(EVE)
    assert got.startswith("CRITICAL: checks failed\ntext, check[1]: InvalidInput: 1 of 1 recipients are")
    assert names.startswith("text check[1]: InvalidInput: 1 of 1 recipients are invalid")
    assert "2025550101" not in got + names


def test_texts_numbers_and_all_else_are_templates(emulator: Running) -> None:
    with environment(AIRFLOW_VAR_ON_CALL=f"{ADA}, {EVE}"):
        alert(to="{{ var.value.on_call }}", text="{{ alert.task_id }}: {{ exception }}"[:60])(dict(TASK))
    assert sent() == sent(EVE) == ["load: no rows\nfor today"]


def test_a_template_that_fails_is_replaced_and_named(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    alert(text="{{ ti.task.nothing.here }}", dedupe_key="{{ nothing.here }}")(dict(DEADLINE))
    assert sent()[0].startswith("orders missed its deadline")
    assert "A template of the alert fails" in caplog.text


def test_a_connection_can_have_a_template_of_its_own(emulator: Running) -> None:
    json = emulator.connection_json(alert_template="Look: {{ alert.what }}", default_sender=FROM)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=json):
        TwilioNotifier(to=ADA)(dict(TASK))
        TwilioNotifier(to=EVE, text="own")(dict(TASK))
    assert (sent(), sent(EVE)) == (["Look: orders.load"], ["own"])


def test_a_long_text_is_cut(emulator: Running) -> None:
    alert(text="x" * 1000, max_segments=2)(dict(TASK))
    assert [len(text) for text in sent()] == [306]


def test_severity_comes_first(emulator: Running) -> None:
    alert(severity="critical")(dict(TASK))
    assert sent()[0].startswith("CRITICAL: orders.load failed")


@pytest.mark.parametrize(
    ("send_if", "context", "count"),
    [
        ("{{ not alert.will_retry }}", {"ti": ti(state="up_for_retry")}, 0),
        ("{{ not alert.will_retry }}", TASK, 1),
        ("{{ not alert.backfill }}", {**TASK, "dag_run": {"run_type": "backfill"}}, 0),
        ("{{ alert.instance == 'production' }}", TASK, 1),
        ("{{ alert.instance == 'staging' }}", TASK, 0),
        (lambda context: context["alert"].state == "failed", TASK, 1),
        (lambda context: False, TASK, 0),
        (lambda context: 1 / 0, TASK, 1),  # better told than not
        ("{{ nothing.here }}", TASK, 1),
    ],
)
def test_send_if_decides(
    emulator: Running, send_if: str | Callable[[Any], Any], context: dict[str, Any], count: int
) -> None:
    with environment(AIRFLOW__API__INSTANCE_NAME="production"):
        alert(send_if=send_if)(dict(context))
    assert len(sent()) == count


def quiet_now() -> str:
    now = datetime.now(timezone.utc)
    return f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M} UTC"


def test_quiet_hours_are_kept_but_for_some_severities(emulator: Running) -> None:
    for severity in ("warning", "critical"):
        alert(severity=severity, quiet_hours=quiet_now(), always_for={"critical"})(dict(TASK))
    assert [text.partition(":")[0] for text in sent()] == ["CRITICAL"]


def test_whatsapp_takes_a_content_template_whose_variables_are_templates(emulator: Running) -> None:
    made = TwilioHook().run(
        content.create(language="en", types={"twilio/text": {"body": "Airflow: {{1}}"}}, variables={"1": "x"})
    )
    alert(
        to=f"whatsapp:{ADA}",
        from_="whatsapp:+14155238886",
        content_sid=made.sid,
        content_variables={"1": "{{ alert.headline }}"},
    )(dict(TASK))
    assert sent(f"whatsapp:{ADA}") == ["Airflow: orders.load failed, try 2/3"]


def test_a_messaging_service_may_send_it(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    service = TwilioHook().run(services.create(friendly_name="alerts"))
    TwilioNotifier(to=ADA, messaging_service_sid=service.sid)(dict(TASK))
    assert "21703 (the messaging service has no sender)" in caplog.text  # it was asked


def test_a_failure_is_loud_and_breaks_nothing(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    alert(from_="+15005550007", to=[ADA, EVE])(dict(TASK))
    alert(to="nobody")(dict(TASK))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(password="wrong")):
        alert()(dict(TASK))
    alert(twilio_conn_id="no_such_connection")(dict(TASK))
    assert (
        "NOT SENT to recipient 2 of 2. ApiError: Twilio answered 400, code 21606 (the sender" in caplog.text
    )
    assert "THE ALERT WAS NOT SENT. InvalidInput: row 1, to" in caplog.text
    assert "AuthenticationFailed: Twilio answered 401, code 20003 (authentication failed" in caplog.text
    assert "no_such_connection" in caplog.text
    assert not any(number in caplog.text for number in (ADA, EVE, ADA[1:]))
    assert emulator.twilio.ledger.messages == 0


def test_a_dry_run_sends_nothing(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        alert()(dict(TASK))
    assert "Dry run: no alert about orders.load" in caplog.text
    assert emulator.twilio.ledger.messages == 0


def test_without_airflows_store_it_says_so(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    for without_store in ("send", "hold"):
        alert(without_store=without_store)(dict(TASK))
    assert caplog.text.count("STORM CONTROL IS OFF") == 2
    assert len(sent()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": timedelta(days=8)},
        {"window": -1},
        {"max_per_hour": 0},
        {"max_segments": 0},
        {"without_store": "maybe"},
        {"quiet_hours": "22:00-07:00"},
        {"quiet_hours": "22:00-07:00 Europe/Atlantis"},
        {"quiet_hours": "late-07:00 UTC"},
    ],
)
def test_a_wrong_argument_is_named_when_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        alert(**wrong)


@pytest.mark.skipif(not hasattr(Variable, "keys"), reason="Airflow before 3.3 has no store for it")
def test_a_storm_in_a_dag_is_one_text_and_its_end_another(
    emulator: Running, run_dag: Callable[..., DagRun]
) -> None:
    tell = alert(window=timedelta(hours=1), on_recovery=True)
    with DAG("storm", schedule=None) as dag:

        @task(on_failure_callback=tell, on_success_callback=tell)
        def load(number: int, **context: Any) -> None:
            if context["params"].get("broken"):
                raise ValueError(f"no rows in {number}")

        load.expand(number=[1, 2, 3, 4])
    dag.params["broken"] = True
    run_dag(dag, {"broken": True})
    (failed,) = sent()
    assert failed.startswith("storm.load[")
    run_dag(dag, {"broken": False})
    assert len(sent()) == 2
    assert sent()[-1].endswith("recovered, 3 held back") or "recovered, 3 held back\nhttp" in sent()[-1]
    run_dag(dag, {"broken": False})
    assert len(sent()) == 2
