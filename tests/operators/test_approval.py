"""Approval by text: asked once, answered by text or in Airflow, and what each end of it is."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped, TaskDeferred
from airflow.sdk.execution_time import task_runner

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.approval import TwilioApprovalOperator
from airflow_provider_twilio_comms.triggers.replies import TwilioReplyTrigger
from tests.fakes import MemoryStore, context

OURS, ADA, GRACE = "+15005550006", "+12025550101", "+12025550102"
TI = UUID(int=7)


class Airflow:
    """The human-in-the-loop part of Airflow's API server, as a task and a trigger ask for it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.chosen: list[str] | None = None
        self.user: Any = None
        self.away = False

    def send(self, msg: Any) -> Any:
        if self.away:
            raise ConnectionError
        match type(msg).__name__:
            case "CreateHITLDetailPayload":
                self.asked.append(msg)
            case "UpdateHITLDetail":
                if self.chosen:
                    raise RuntimeError("409")
                self.chosen = msg.chosen_options
        return SimpleNamespace(
            response_received=bool(self.chosen),
            chosen_options=self.chosen,
            responded_by_user=self.user,
            responded_at=datetime.now(timezone.utc),
            params_input={},
        )

    def answer(self, option: str) -> None:
        self.chosen, self.user = [option], SimpleNamespace(id="7", name="Joan")


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    fake = Airflow()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


def operator(**changes: Any) -> TwilioApprovalOperator:
    values: dict[str, Any] = {
        "task_id": "approve",
        "subject": "Go on?",
        "approvers": {"Ada": ADA, "Grace": GRACE},
        "from_": OURS,
        "poll_interval": 0.05,
        "initial_delay": 0.0,
        "timeout": 30,
    }
    return TwilioApprovalOperator(**{**values, **changes})


def asks(task: TwilioApprovalOperator, store: MemoryStore, **ti: Any) -> TwilioReplyTrigger:
    given = context(store, task_id="approve", **ti)
    given["ti"].id = TI
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(given)
    trigger = deferred.value.trigger
    assert isinstance(trigger, TwilioReplyTrigger)
    return trigger


def code(emulator: Running) -> str:
    (text,) = {row.body for row in sent(emulator)}
    found = re.search(r"YES (\d{4}) or NO \1$", text)
    assert found
    return found[1]


def sent(emulator: Running) -> list[Any]:
    from airflow_provider_twilio_comms.emulator.classic.outbox import Messages

    with emulator.twilio.lock:
        found = emulator.twilio.part(Messages).by_sid.values()
        return [message for message in found if message.from_ == OURS]


def write(emulator: Running, body: str, sender: str = ADA) -> None:
    with emulator.twilio.lock:
        receive(emulator.twilio, Arrival(from_=sender, to=OURS, body=body))


def event(trigger: TwilioReplyTrigger, within: float = 30.0) -> Any:
    async def only() -> Any:
        return [each.payload async for each in trigger.run()]

    (payload,) = asyncio.run(asyncio.wait_for(only(), within))
    return json.loads(json.dumps(payload))


def done(task: TwilioApprovalOperator, payload: Any) -> Any:
    return task.execute_complete(context(MemoryStore(), task_id="approve"), payload)


def test_an_approval_by_text(emulator: Running, airflow: Airflow) -> None:
    task = operator()
    trigger = asks(task, MemoryStore())
    assert [message.to for message in sent(emulator)] == [ADA, GRACE]
    write(emulator, f"YES {code(emulator)}", "+12025550199")
    write(emulator, f"yes {code(emulator)}", GRACE)
    result = done(task, event(trigger))
    assert (result["option"], result["answered_by"], result["via"]) == ("YES", "Grace", "text")
    assert airflow.chosen == ["YES"]
    (asked,) = airflow.asked
    assert (asked.subject, asked.options, asked.ti_id) == ("Go on?", ["YES", "NO"], TI)


def test_what_an_approval_leaves_in_airflow_names_nobody(emulator: Running, airflow: Airflow) -> None:
    store = MemoryStore()
    trigger = asks(operator(), store)
    write(emulator, f"NO {code(emulator)}")
    stored = json.dumps(
        [trigger.serialize(), event(trigger), store.values, [repr(each) for each in airflow.asked]]
    )
    for secret in (ADA[1:], GRACE[1:], OURS[1:], f"NO {code(emulator)}"):
        assert secret not in stored


def test_an_approval_is_asked_for_once_over_tries(emulator: Running, airflow: Airflow) -> None:
    store = MemoryStore()
    first, second = asks(operator(), store), asks(operator(), store, try_number=2)
    assert len(sent(emulator)) == 2
    assert (first.code_hash, first.deadline, first.sids) == (second.code_hash, second.deadline, second.sids)
    write(emulator, f"YES {code(emulator)}")
    assert event(first)["chosen_options"] == ["YES"]
    airflow.chosen = None  # another try has a request of its own
    assert event(second)["chosen_options"] == ["YES"], "what was answered stays answered"


def test_a_cleared_approval_is_asked_for_anew_with_another_code(emulator: Running, airflow: Airflow) -> None:
    store = MemoryStore()
    first = asks(operator(code_digits=8), store)
    second = asks(operator(code_digits=8), store, try_number=2, max_tries=4)
    assert len(sent(emulator)) == 4
    assert first.code_hash != second.code_hash


def test_one_who_cannot_be_asked_does_not_keep_an_approval_back(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(approvers=["+15005550004", GRACE]), MemoryStore())
    write(emulator, f"YES {code(emulator)}", GRACE)
    assert event(trigger)["voter"] == 1
    with pytest.raises(AirflowFailException):
        operator(approvers=["+15005550004"]).execute(context(MemoryStore(), task_id="other"))


def test_an_approval_in_airflow_comes_first(emulator: Running, airflow: Airflow) -> None:
    task = operator(on_reject="go_on")
    trigger = asks(task, MemoryStore())
    airflow.answer("NO")
    write(emulator, f"YES {code(emulator)}")
    result = done(task, event(trigger))
    assert (result["option"], result["answered_by"], result["via"]) == ("NO", "Joan", "airflow")


def test_an_approval_that_was_noted_and_not_told_is_told_by_the_next_trigger(
    emulator: Running, airflow: Airflow
) -> None:
    trigger = asks(operator(), MemoryStore())
    write(emulator, f"YES {code(emulator)}", GRACE)
    airflow.chosen = ["YES"]  # by a triggerer that died before it told
    assert event(trigger)["voter"] == 1


@pytest.mark.parametrize("default", ["NO", None])
def test_an_approval_that_nobody_gives(emulator: Running, airflow: Airflow, default: str | None) -> None:
    task = operator(default=default, timeout=0.5, on_reject="go_on")
    trigger = asks(task, MemoryStore())
    payload = event(trigger)
    if default is None:
        with pytest.raises(HITLTimeoutError):
            done(task, payload)
    else:
        result = done(task, payload)
        assert (result["option"], result["answered_by"], result["via"]) == ("NO", "nobody", "default")
        assert airflow.chosen == ["NO"]


def test_a_late_approval_does_not_count(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(default="NO", timeout=1.0), MemoryStore())
    time.sleep(2.1)  # the triggerer is away, and Twilio's times are whole seconds
    write(emulator, f"YES {code(emulator)}")
    assert event(trigger)["timedout"] is True


def test_an_outage_does_not_end_an_approval(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(), MemoryStore())
    with emulator.twilio.lock:
        emulator.twilio.faults.add(Fault(kind="rate_limited", times=2))
    write(emulator, f"YES {code(emulator)}")
    assert event(trigger, 20)["chosen_options"] == ["YES"]


def test_what_a_no_does_to_an_approval(emulator: Running, airflow: Airflow) -> None:
    from airflow.sdk import DAG, BaseOperator

    payload = {
        "chosen_options": ["NO"],
        "params_input": {},
        "responded_at": "2026-11-21T02:00:00+00:00",
        "voter": 0,
        "sid": "SM1",
        "responded_by_user": None,
    }
    with pytest.raises(AirflowFailException, match="NO: answered by Ada"):
        done(operator(on_reject="fail"), payload)
    with DAG("approval_skips", schedule=None):
        task = operator()
        task >> BaseOperator(task_id="next")
    given = context(MemoryStore(), task_id="approve")
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        task.execute_complete(given, payload)
    assert skipped.value.tasks == ["next"]
    assert given["ti"].xcoms["return_value"]["option"] == "NO"


@pytest.mark.parametrize(
    "bad",
    [
        {"options": ["YES", "yes"]},
        {"options": ["YES", "NO WAY"]},
        {"options": ["1"]},
        {"code_digits": 3},
        {"options": ["JA", "NEIN"], "rejects": ["Nein"]},
    ],
)
def test_an_approval_that_could_not_be_answered_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        operator(**bad)
