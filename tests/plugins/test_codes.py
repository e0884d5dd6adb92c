"""Codes that events tell, kept for tasks: read from a real database, once, without a number, and bounded."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG

from airflow_provider_twilio_comms._core.reporting.told_codes import (
    MOST,
    Told,
    add_changes,
    read_changes,
    read_told,
    variable_of,
)
from airflow_provider_twilio_comms._tasks.receipts import told_codes
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.events import sinks, subscriptions
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.emulator.callbacks import Callback, batch, event
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings
from airflow_provider_twilio_comms.sensors.operations import TwilioOperationSensor
from tests.conftest import environment
from tests.event_receiver import received, until
from tests.example_results import xcom
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people
from tests.plugins.test_settings import GIVEN
from tests.plugins.test_webhook import PUBLIC, STORED, app, post

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

pytestmark = STORED

MESSAGE = "com.twilio.comms-api.message."
FAILURES = ("+12025559003", "+12025559008", "+12025559005", "+12025559610")
FETCHES = "GET /comms/v1/Messages/{messageId}"


@pytest.fixture(autouse=True)
def _tasks_look() -> Iterator[None]:
    """Whoever asks reads what is kept, in this process from the database; nothing is left behind."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with environment(AIRFLOW__TWILIO__WEBHOOK_KEEPS_CODES="True", _AIRFLOW_PROCESS_CONTEXT="server"):
        yield
    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key.startswith("twilio_codes_")))


def an_id(kind: str) -> str:
    return f"comms_{kind}_01{secrets.token_hex(12)}"


def told(kind: str, operation: str, message: str, **data: Any) -> dict[str, Any]:
    given = {"operation_id": operation, "message_id": message, **data}
    return event(MESSAGE + kind, given, secrets.randbits(100))


def failed(operation: str, message: str, code: int = 30003, attempt: int = 1) -> dict[str, Any]:
    return told("undelivered", operation, message, error_code=str(code), attempt=str(attempt))


def events(*told: dict[str, Any]) -> Callback:
    return batch(f"{PUBLIC}/events", told)


async def tell(*callbacks: Callback, **changes: Any) -> None:
    one = app(**{"keeps_codes": True, **changes})
    assert {(await post(one, each)).status for each in callbacks} == {204}


def variables() -> dict[str, str]:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {each.key: each.val for each in session.scalars(select(Variable)) if "codes" in each.key}


def told_by_twilio(emulator: Running) -> tuple[str, list[dict[str, Any]]]:
    """Send, and return the operation and the events about it, as Twilio posts them."""
    emulator.twilio.change(pace=0)
    hook = TwilioHook()
    with received() as receiver:
        sid = hook.run(sinks.create("Test", f"{receiver.url}/events")).sid
        kinds = [MESSAGE + end for end in ("delivered", "failed", "undelivered")]
        hook.run(subscriptions.create("Test", sid, dict.fromkeys(kinds)))
        emulator.twilio.clock.advance(1)
        result = bulk([*people(6), *FAILURES]).execute(context(MemoryStore()))
        assert result
        until(lambda: len(receiver.events) == 10)
    emulator.twilio.journal.counts.clear()
    return result["operation_ids"][0], receiver.events


def test_no_task_asks_for_what_events_have_told(
    emulator: Running, tmp_path: Path, run_dag: Callable[..., DagRun]
) -> None:
    operation, given = told_by_twilio(emulator)
    asyncio.run(tell(events(*given)))
    codes = {"30003": 1, "30008": 1, "30005": 1, "21610": 1}
    path = tmp_path / "receipts.jsonl"
    with DAG("told", schedule=None) as dag:
        TwilioOperationSensor(task_id="wait", operation_ids=operation, max_failed=1.0, deferrable=False)
        TwilioReceiptsOperator(
            task_id="receipts", operation_ids=operation, output_path=str(path), redact="none"
        )
        TwilioResendFailedOperator(
            task_id="again", operation_ids=operation, content="Hi", sender="+15005550006", wait_for="accepted"
        )
    run = run_dag(dag)
    assert run.state == "success"
    result, counts, again = (xcom(run, name) for name in ("wait", "receipts", "again"))
    assert (result["codes"], result["unexplained"]) == (codes, 0)
    assert (counts["codes"], counts["unexplained"]) == (codes, 0)
    assert again["recipients"] == 2
    rows = {row["recipient"]: row for row in map(json.loads, path.read_text().splitlines())}
    one = rows["+12025559003"]
    assert (one["status"], one["code"], one["verdict"]) == ("UNDELIVERED", 30003, "retry")
    assert one["reason"]
    assert (one["attempts"], one["sid"][:2]) == (1, "SM")
    assert emulator.twilio.journal.counts[FETCHES] == 0


async def test_what_no_event_told_is_asked_for(emulator: Running, tmp_path: Path) -> None:
    operation, given = told_by_twilio(emulator)
    await tell(events(*(each for each in given if each["data"]["error_code"] not in ("30008", "30005"))))
    rows = TwilioHook().run(every_item(messages.list(operation_id=operation)))
    assert len(told_codes([operation])[operation]) == 2
    emulator.twilio.journal.counts.clear()
    path = tmp_path / "receipts.jsonl"
    receipts = TwilioReceiptsOperator(task_id="receipts", operation_ids=operation, output_path=str(path))
    counts = await asyncio.to_thread(receipts.execute, context())
    assert (counts["rows"], sum(counts["codes"].values())) == (len(rows), 4)
    assert emulator.twilio.journal.counts[FETCHES] == 2


async def test_ids_and_codes_are_kept_and_no_number(emulator: Running) -> None:
    operation, given = told_by_twilio(emulator)
    await tell(events(*given))
    (text,) = [text for name, text in variables().items() if operation in name]
    assert "555" in json.dumps(given)
    assert "+1202" not in text
    assert set(read_told(text)) == {
        each["data"]["message_id"] for each in given if each["data"]["error_code"]
    }


async def test_codes_are_kept_and_read_only_where_that_is_switched_on(emulator: Running) -> None:
    operation, message = an_id("operation"), an_id("message")
    await tell(events(failed(operation, message)), keeps_codes=False)
    assert not variables()
    await tell(events(failed(operation, message), failed(operation, an_id("message"))))
    assert set(told_codes([operation])) == {operation}
    with environment(AIRFLOW__TWILIO__WEBHOOK_KEEPS_CODES="False"):
        assert told_codes([operation]) == {}


async def test_batches_about_one_operation_at_once_are_all_kept() -> None:
    operation, names = an_id("operation"), [an_id("message") for _ in range(40)]
    apps = [app(keeps_codes=True) for _ in range(4)]
    batches = [events(*(failed(operation, name) for name in names[n::4])) for n in range(4)]
    answers = await asyncio.gather(*(post(one, each) for one, each in zip(apps, batches, strict=True)))
    assert {answer.status for answer in answers} <= {204, 503}
    for each in batches:  # Twilio repeats what was refused
        await tell(each)
    assert set(told_codes([operation])[operation]) == set(names)


async def test_a_message_that_arrives_at_another_attempt_has_not_failed() -> None:
    operation, one, two = an_id("operation"), an_id("message"), an_id("message")
    await tell(events(failed(operation, one), failed(operation, two, 63024)))
    await tell(events(told("delivered", operation, one), failed(operation, two, 30003, attempt=2)))
    assert told_codes([operation]) == {operation: {two: Told(30003, 2)}}


async def test_codes_are_dropped_once_twilio_has_forgotten_the_operation() -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import update

    from airflow_provider_twilio_comms.plugins.webhooks.store import forgotten

    old, new = an_id("operation"), an_id("operation")
    await tell(events(failed(old, an_id("message")), failed(new, an_id("message"))))
    with create_session() as session:
        of_old = update(Variable).where(Variable.key == variable_of(old))
        session.execute(of_old.values(description="Codes 2026-01-01"))
        session.add(Variable(key="twilio_codes", val="of somebody else", description="since 2020-01-01"))
    forgotten(30)
    assert set(variables()) == {variable_of(new), "twilio_codes"}
    with create_session() as session:
        session.delete(session.query(Variable).filter_by(key="twilio_codes").one())


def test_the_messages_of_an_operation_are_bounded() -> None:
    text = add_changes(None, {f"comms_message_{n}": Told(30003) for n in range(MOST + 5)})
    assert len(read_told(text)) == MOST
    assert len(text or "") < 1_000_000
    assert add_changes(text, {"comms_message_new": Told(30003)}) is None
    assert read_told(add_changes(text, {"comms_message_1": Told(30005)}))["comms_message_1"].code == 30005


def test_what_is_no_code_of_a_message_is_not_kept() -> None:
    operation, message = an_id("operation"), an_id("message")
    good = {
        "type": f"{MESSAGE}failed",
        "operation_id": operation,
        "message_id": message,
        "error_code": "30003",
    }
    assert read_changes([good]) == {operation: {message: Told(30003)}}
    for bad in (
        {"type": "com.twilio.messaging.message.failed"},
        {"type": f"{MESSAGE}sent"},
        {"operation_id": "+12025550100"},
        {"message_id": "12025550100"},
        {"error_code": None},
        {"error_code": "12025550100"},
    ):
        assert read_changes([{**good, **bad}]) == {}
    assert read_changes([{**good, "downstream_id": "+12025550100"}]) == {operation: {message: Told(30003)}}
    assert read_told("not JSON") == read_told('{"a": ["x"]}') == read_told(None) == {}


def test_keeping_codes_is_a_setting() -> None:
    with environment(**GIVEN, AIRFLOW__TWILIO__WEBHOOK_KEEPS_CODES="False"):
        assert not Settings.read().keeps_codes
    with environment(**GIVEN):
        assert Settings.read().keeps_codes
