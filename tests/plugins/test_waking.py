"""Waiting tasks woken by webhooks, on a real database: whom a webhook wakes, once, and whom it does not."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("airflow.models.task_state_store", reason="Airflow before 3.3 has no state store to seed")

from sqlalchemy import event as event_of_sql
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.messages import MessageOutcome
from airflow_provider_twilio_comms._core.waiting.operations import Outcome
from airflow_provider_twilio_comms._tasks.waiting import MessagesTaskWait, OperationsTaskWait
from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.callbacks import Callback, batch, event, signed
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.plugins.webhooks.settings import Settings
from airflow_provider_twilio_comms.triggers._waiting import WaitingTrigger
from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger
from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger
from tests.conftest import environment
from tests.plugins.seeds import Seeds, now
from tests.plugins.test_settings import GIVEN
from tests.plugins.test_webhook import PUBLIC, app, post, webhooks_of

COMPLETED = "com.twilio.comms-api.operation.completed"
MESSAGE = "com.twilio.comms-api.message."
LATER = 4_000_000_000.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from airflow.utils.session import create_session

    from airflow_provider_twilio_comms.plugins.webhooks import waking

    monkeypatch.setattr(waking, "GATHER", 0.01)
    monkeypatch.setattr(waking, "PAUSE", 0.05)
    yield
    with create_session() as session:
        Seeds(session).forget(runs="parked%")


def park(trigger: WaitingTrigger[Any], state: str = "deferred") -> str:
    """Have a task wait with a trigger, as a worker leaves it; returns its run."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import update

    run = f"parked_{secrets.token_hex(8)}"
    with create_session() as session:
        Seeds(session).task("waits", run, "wait", now(), state)
        path, kwargs = trigger.serialize()
        row = Trigger(classpath=path, kwargs=kwargs)
        session.add(row)
        session.flush()
        values = {"trigger_id": row.id, "next_method": "execute_complete", "next_kwargs": {}}
        session.execute(update(TaskInstance).where(TaskInstance.run_id == run).values(**values))
    return run


def woken(run: str) -> Any:
    """The event that a task was resumed with; None while it waits."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.serde import deserialize
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        ti = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run)).one()
        if ti.state != "scheduled":
            return None
        kwargs: Any = deserialize(ti.next_kwargs)
        return kwargs["event"]


def of_sids(*sids: str, until: str = "delivered", **changes: Any) -> TwilioMessagesTrigger:
    return TwilioMessagesTrigger(list(sids), "twilio_default", until, LATER, **changes)


def of_operations(*ids: str, **changes: Any) -> TwilioOperationsTrigger:
    return TwilioOperationsTrigger(list(ids), "twilio_default", deadline=LATER, **changes)


def sid() -> str:
    return f"SM{secrets.token_hex(16)}"


def status(sid: str, status: str, **others: str) -> Callback:
    return signed(f"{PUBLIC}/status", [("MessageSid", sid), ("MessageStatus", status), *others.items()])


def completed(*ids: str, kind: str = COMPLETED, **data: str) -> Callback:
    events = [event(kind, {"operation_id": each, **data}, secrets.randbits(100)) for each in ids]
    return batch(f"{PUBLIC}/events", events)


def sent(count: int = 1) -> list[str]:
    hook = TwilioHook()
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    return [str(hook.run(messages.send(to, "Hello")).operation_id) for _ in range(count)]


async def tell(*callbacks: Callback, **changes: Any) -> None:
    """Post webhooks to an app of their own, and wait until it has worked them off."""
    one = app(**{"wakes": True, **changes})
    for each in callbacks:
        await post(one, each)
    if (waker := webhooks_of(one).waker) is not None:
        await waker.settle()


@pytest.mark.parametrize(("last", "code"), [("delivered", None), ("undelivered", 30003)])
async def test_a_status_webhook_wakes_the_task_that_waits_without_asking_twilio(
    emulator: Running, last: str, code: int | None
) -> None:
    one, other = sid(), sid()
    waits, others = park(of_sids(one)), park(of_sids(other))
    await tell(status(one, "sent"), status(one, last, ErrorCode=str(code or "")))
    outcome = MessageOutcome.from_event(woken(waits))
    assert (outcome.status, outcome.statuses) == ("done", {one: last})
    assert outcome.codes == ({one: code} if code else {})
    assert woken(others) is None
    assert emulator.twilio.journal.counts == {}


async def test_a_webhook_that_comes_alone_is_worked_off_at_once(
    emulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_twilio_comms.plugins.webhooks import waking

    monkeypatch.setattr(waking, "GATHER", 3600.0)
    one = sid()
    waits = park(of_sids(one))
    await post(app(wakes=True), status(one, "delivered"))
    for _ in range(600):
        if woken(waits):
            break
        await asyncio.sleep(0.1)
    assert MessageOutcome.from_event(woken(waits)).status == "done"


async def test_the_event_of_an_operation_wakes_the_task_with_what_twilio_counts(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    (one,) = sent()
    waits = park(of_operations(one))
    await tell(completed(one))
    outcome = Outcome.from_event(woken(waits))
    assert outcome.status == "done"
    assert outcome.operations[one].stats.asked == 1


async def test_a_hundred_events_at_once_wake_a_hundred_tasks_for_a_page_of_the_list(
    emulator: Running,
) -> None:
    emulator.twilio.change(pace=0)
    ids = sent(100)
    waits = [park(of_operations(each)) for each in ids]
    before = sum(emulator.twilio.journal.counts.values())
    await tell(completed(*ids))
    assert all(woken(each) for each in waits)
    assert sum(emulator.twilio.journal.counts.values()) - before == 1


async def test_the_event_of_a_message_wakes_who_waits_for_the_receipts_or_the_message(
    emulator: Running,
) -> None:
    emulator.twilio.change(pace=0)
    (one,), message = sent(), sid()
    waits, single = park(of_operations(one, until="delivered")), park(of_sids(message))
    await tell(completed(one, kind=f"{MESSAGE}delivered", downstream_id=message))
    assert Outcome.from_event(woken(waits)).status == "done"
    assert MessageOutcome.from_event(woken(single)).statuses == {message: "delivered"}


async def test_a_webhook_wakes_nobody_before_the_wait_is_over(emulator: Running) -> None:
    emulator.twilio.change(pace=3600)
    (one,), two = sent(), [sid(), sid()]
    waits, pair = park(of_operations(one)), park(of_sids(*two))
    await tell(completed(one), status(two[0], "delivered"))
    assert (woken(waits), woken(pair)) == (None, None)


async def test_a_look_that_fails_is_made_again(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    (one,) = sent()
    emulator.twilio.faults.add(Fault(kind="unavailable", path="/Operations/"))
    waits = park(of_operations(one))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)):
        await tell(completed(one))
    assert Outcome.from_event(woken(waits)).status == "done"


async def test_forged_webhooks_wake_nobody(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    (one,), message = sent(), sid()
    waits = [park(of_operations(one)), park(of_sids(message))]
    before = dict(emulator.twilio.journal.counts)
    forged = signed(f"{PUBLIC}/status", [("MessageSid", message), ("MessageStatus", "delivered")], "guess")
    altered = completed(one)._replace(body=completed(one).body)
    await tell(forged, altered)
    assert [woken(each) for each in waits] == [None, None]
    assert emulator.twilio.journal.counts == before


async def test_webhooks_wake_nobody_unless_that_is_switched_on(emulator: Running) -> None:
    one = sid()
    waits = park(of_sids(one))
    await tell(status(one, "delivered"), wakes=False)
    assert woken(waits) is None


async def test_several_api_servers_wake_a_task_once(emulator: Running) -> None:
    from airflow_provider_twilio_comms.plugins.webhooks import parked

    one = sid()
    park(of_sids(one))
    (number,) = [
        no
        for no, trigger in parked.list_parked(()).new.items()
        if trigger.serialize()[1].get("sids") == [one]
    ]
    event = MessageOutcome("done", {one: "delivered"}).to_event()
    counts = await asyncio.gather(*(asyncio.to_thread(parked.resume, {number: event}) for _ in range(5)))
    assert sum(counts) == 1


@contextmanager
def statements(failing: str = "") -> Iterator[list[str]]:
    """Note what the database is asked for; the first statement that begins so fails, as in a deadlock."""
    asked: list[str] = []
    left = [failing] if failing else []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)
        if left and statement.startswith(left[0]):
            left.clear()
            raise OperationalError(statement, None, Exception("deadlock detected"))

    event_of_sql.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event_of_sql.remove(Engine, "before_cursor_execute", note)


def parked_operations(count: int) -> tuple[list[str], dict[int, dict[str, Any]]]:
    """Have tasks wait for an operation each; returns their runs, and an event for each of their triggers."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    runs = [park(of_operations(f"comms_operation_{place}")) for place in range(count)]
    with create_session() as session:
        waiting = select(TaskInstance.trigger_id).where(TaskInstance.run_id.in_(runs))
        return runs, {int(number): {"status": "done"} for number in session.scalars(waiting) if number}


def test_many_tasks_are_resumed_with_few_statements(emulator: Running) -> None:
    from airflow_provider_twilio_comms.plugins.webhooks import parked

    runs, events = parked_operations(60)
    with statements() as asked:
        assert parked.resume(events) == 60
    assert len(asked) < 2 * 60
    assert [woken(run) for run in runs] == [{"status": "done"}] * 60
    assert parked.resume(events) == 0


def test_a_deadlock_leaves_nobody_waiting(emulator: Running) -> None:
    from airflow_provider_twilio_comms.plugins.webhooks import parked

    runs, events = parked_operations(5)
    with statements(failing="UPDATE task_instance"):
        assert parked.resume(events) == 5
    assert [woken(run) for run in runs] == [{"status": "done"}] * 5


@pytest.mark.parametrize("state", ["running", "success", "failed", "scheduled"])
async def test_a_task_that_does_not_wait_any_more_is_left_alone(emulator: Running, state: str) -> None:
    from airflow_provider_twilio_comms.plugins.webhooks import parked

    one = sid()
    park(of_sids(one), state)
    assert [
        each for each in parked.list_parked(()).new.values() if each.serialize()[1].get("sids") == [one]
    ] == []


async def test_a_task_is_not_woken_before_its_trigger_would_tell(emulator: Running) -> None:
    """With LocalExecutor, a task that resumes at once may be failed by Airflow: ``initial_delay``."""
    one = sid()
    not_before = time.time() + 0.5
    waits = park(of_sids(one, not_before=not_before))
    await tell(status(one, "delivered"))
    assert woken(waits) is not None
    assert time.time() >= not_before


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_task_whose_trigger_may_cancel_is_left_to_it(emulator: Running, cancels: bool) -> None:
    """Woken, it would fail by itself; its trigger, killed by the waking, would take that for a kill."""
    hook = TwilioHook()
    service = hook.run(services.create("waits")).sid
    hook.run(senders.create_phone_number(service, "PN" + "06" * 16))
    later = {"messaging_service_sid": service, "send_at": now() + timedelta(hours=1)}
    scheduled = hook.run(classic.send("+12025550100", body="Later", **later)).sid
    failed = sid()
    waits = park(of_sids(failed, scheduled, cancel_on_kill=cancels))
    await tell(status(failed, "failed", ErrorCode="30008"))
    assert (woken(waits) is None) is cancels


async def test_where_twilio_cannot_be_asked_the_task_waits_on(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    (one,) = sent()
    waits, lost = park(of_operations(one)), park(TwilioOperationsTrigger([one], "nowhere", deadline=LATER))
    emulator.twilio.faults.add(Fault(kind="rate_limited", path="/Operations/", times=None))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)):
        await tell(completed(one))
    assert (woken(waits), woken(lost)) == (None, None)
    assert "'twilio_default' that webhooks named could not be looked at" in caplog.text
    assert "'nowhere'" in caplog.text


def test_triggers_poll_less_often_where_webhooks_wake() -> None:
    operations = OperationsTaskWait(
        ["comms_operation_1"], Criteria("processed", None, None), LATER, 0.0, 30.0
    )
    single = MessagesTaskWait([sid()], "delivered", LATER, 0.0, 900.0)

    def intervals() -> list[float]:
        return [each.trigger("twilio_default").poll_interval for each in (operations, single)]

    assert intervals() == [30.0, 900.0]
    with environment(AIRFLOW__TWILIO__WEBHOOK_WAKES="True"):
        assert intervals() == [300.0, 900.0]
        with environment(AIRFLOW__TWILIO__PUSH_POLL_INTERVAL="600"):
            assert intervals() == [600.0, 900.0]


def test_waking_is_a_setting() -> None:
    with environment(**GIVEN):
        assert not Settings.read().wakes
        with environment(AIRFLOW__TWILIO__WEBHOOK_WAKES="True"):
            assert Settings.read().wakes
