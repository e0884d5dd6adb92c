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

from airflow_provider_twilio_comms._core.approvals import MOST_WRONG
from airflow_provider_twilio_comms._core.inbound import InboundMessage
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.approval import TwilioApprovalOperator
from airflow_provider_twilio_comms.triggers._watching import Round
from airflow_provider_twilio_comms.triggers.inbound import LAG
from airflow_provider_twilio_comms.triggers.replies import TwilioReplyTrigger
from tests.fakes import MemoryStore, context

OURS, ADA, GRACE = "+15005550006", "+12025550101", "+12025550102"
TI = UUID(int=7)


class Airflow:
    """The human-in-the-loop part of Airflow's API server, as a task and a trigger ask for it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.looks = 0
        self.chosen: list[str] | None = None
        self.user: Any = None
        self.away = False

    def send(self, msg: Any) -> Any:
        if self.away:
            raise ConnectionError
        match type(msg).__name__:
            case "CreateHITLDetailPayload":
                self.asked.append(msg)
            case "GetHITLDetailResponse":
                self.looks += 1
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


def code(emulator: Running, subject: str = "Go on?") -> str:
    (text,) = {row.body for row in sent(emulator) if row.body.startswith(subject)}
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


def rounds(trigger: TwilioReplyTrigger, *looks: Round[Any]) -> list[Any]:
    """Return what a trigger fires in these rounds of the poll."""

    async def each() -> list[Any]:
        await trigger.begin()
        return [fired.payload for look in looks for fired in await trigger.events(look)]

    return asyncio.run(each())


def look(number: int, at: float, *found: InboundMessage, error: TwilioError | None = None) -> Round[Any]:
    config = None if error else TwilioHook().config
    return Round(number, at, 0.0, frozenset({""}), found, config, error)


def reply(body: str, date: float, sender: str = ADA, read: int = 1) -> InboundMessage:
    return InboundMessage(f"SM{body}{date}", date, sender, OURS, None, body, 0, read)


def changed(trigger: TwilioReplyTrigger, **changes: Any) -> TwilioReplyTrigger:
    return TwilioReplyTrigger(**{**trigger.serialize()[1], **changes})


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


def test_an_approval_in_time_counts_although_the_list_lags(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(default="NO", timeout=30), MemoryStore())
    end = trigger.deadline
    yes, late = reply(f"YES {code(emulator)}", end - 1), reply(f"YES {code(emulator)}", end + 6)
    with_list_lag = [look(1, end + 1), look(2, end + 29), look(3, end + 29.5, yes)]
    (payload,) = rounds(changed(trigger), *with_list_lag)
    assert (payload["chosen_options"], payload["timedout"]) == (["YES"], False)
    airflow.chosen = None
    (payload,) = rounds(changed(trigger), look(1, end + 29), look(2, end + 36, late))
    assert (payload["chosen_options"], payload["timedout"]) == (["NO"], True)


def test_an_approval_ends_in_an_outage_too_but_later(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(default="NO", timeout=1800), MemoryStore())
    broken = TwilioError("away")
    looks = [look(n, trigger.deadline + after, error=broken) for n, after in enumerate((70, 119, 130), 1)]
    assert rounds(changed(trigger), *looks[:2]) == []
    (payload,) = rounds(changed(trigger), *looks)
    assert payload["timedout"] is True


@pytest.mark.parametrize("ahead", [600.0, -250.0])
def test_an_approval_bears_a_worker_whose_clock_is_wrong(
    emulator: Running, airflow: Airflow, ahead: float
) -> None:
    """Twilio dates the question as it dates the answers; the worker's clock is not compared with that."""
    trigger = asks(operator(timeout=60), MemoryStore())
    skewed = changed(trigger, opened=trigger.opened + ahead, deadline=trigger.deadline + ahead)
    now = time.time()
    (payload,) = rounds(skewed, look(1, now, reply(f"YES {code(emulator)}", int(now))))
    assert payload["chosen_options"] == ["YES"]


def test_an_approval_reads_only_what_may_be_new(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(timeout=86_400), MemoryStore())
    began = trigger.opened
    known = [reply("Hello", began + number) for number in range(1000)]
    later = reply("Hello again", began + 999, read=2)
    assert rounds(trigger, look(1, began + 1000, *known), look(2, began + 1010, *known, later)) == []
    assert trigger.since == began + 999 - LAG
    assert sum(trigger._tally.kinds.values()) == 1001, "each reply is judged once"


def test_an_approval_asks_airflow_once_and_not_in_every_round(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(timeout=86_400), MemoryStore())
    rounds(trigger, *(look(number, time.time()) for number in range(1, 50)))
    assert airflow.looks == 1
    (payload,) = rounds(changed(trigger), look(1, time.time(), reply(f"NO {code(emulator)}", time.time())))
    assert payload["chosen_options"] == ["NO"]


def test_an_approval_bears_answers_to_many_other_questions(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(), MemoryStore())
    for number in range(MOST_WRONG + 5):
        subject = f"Other {number}?"
        with pytest.raises(TaskDeferred):
            operator(subject=subject).execute(_other(number))
        write(emulator, f"YES {code(emulator, subject)}")
    write(emulator, f"NO {code(emulator)}")
    payload = event(trigger)
    assert (payload["chosen_options"], payload["voter"]) == (["NO"], 0)
    assert trigger._tally.kinds["answer to another question"] >= MOST_WRONG


def _other(number: int) -> Any:
    given = context(MemoryStore(), task_id=f"other_{number}")
    given["ti"].id = UUID(int=100 + number)
    return given


def test_who_guesses_codes_of_an_approval_is_not_heard(
    emulator: Running, airflow: Airflow, capsys: Any
) -> None:
    trigger = asks(operator(), MemoryStore())
    right = code(emulator)
    for number in range(1, MOST_WRONG + 1):
        write(emulator, f"YES {(int(right) + number) % 10_000:04}")
    write(emulator, f"YES {right}")
    with emulator.twilio.lock:
        emulator.twilio.clock.advance(2)
    write(emulator, f"NO {right}", GRACE)
    payload = event(trigger)
    assert (payload["chosen_options"], payload["voter"]) == (["NO"], 1)
    printed = capsys.readouterr().out
    assert "no longer heard" in printed
    assert ADA[1:] not in printed


def test_media_trouble_keeps_no_approval_back(emulator: Running, airflow: Airflow) -> None:
    trigger = asks(operator(), MemoryStore())
    with emulator.twilio.lock:
        emulator.twilio.faults.add(Fault(kind="error_before", path="/Media", times=None))
        receive(emulator.twilio, Arrival(from_="+12025550199", to=OURS, media=["https://x/a.png"]))
    write(emulator, f"YES {code(emulator)}")
    assert event(trigger)["chosen_options"] == ["YES"]
    assert not [name for name in emulator.twilio.journal.counts if "Media" in name]


def test_an_approval_names_the_voter_as_asked(emulator: Running, airflow: Airflow) -> None:
    store = MemoryStore()
    trigger = asks(operator(), store)
    write(emulator, f"YES {code(emulator)}", GRACE)
    payload = event(trigger)
    for approvers in ({"Mallory": "+12025550103", "Grace": GRACE}, {"Mallory": "+12025550103"}, [ADA, ADA]):
        result = operator(approvers=approvers).execute_complete(context(store, task_id="approve"), payload)
        assert result["answered_by"] == "Grace"
    assert GRACE[1:] not in json.dumps(store.values)


def test_an_approval_without_notes_finds_the_voter_by_the_number(emulator: Running, airflow: Airflow) -> None:
    """Airflow 3.2 has no task state store."""
    trigger = asks(operator(), MemoryStore())
    write(emulator, f"YES {code(emulator)}", GRACE)
    payload = event(trigger)
    moved = operator(approvers={"Mallory": "+12025550103", "Ada": ADA, "Grace": GRACE})
    assert moved.execute_complete(context(task_id="approve"), payload)["answered_by"] == "Grace"
    gone = operator(approvers={"Mallory": "+12025550103"})
    told = gone.execute_complete(context(task_id="approve"), payload)["answered_by"]
    assert told == "number 2 of those asked"
    earlier = {**payload, "voter_hash": None, "question": None}
    assert gone.execute_complete(context(task_id="approve"), earlier)["answered_by"] == told


def test_a_trigger_of_an_approval_that_an_earlier_version_stored(emulator: Running, airflow: Airflow) -> None:
    kwargs = asks(operator(), MemoryStore()).serialize()[1]
    del kwargs["code_digits"]
    write(emulator, f"YES {code(emulator)}")
    assert event(TwilioReplyTrigger(**kwargs))["chosen_options"] == ["YES"]


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
    given = context(MemoryStore(), task_id="approve")
    with pytest.raises(AirflowFailException, match="NO: answered by Ada"):
        operator(on_reject="fail").execute_complete(given, payload)
    assert given["ti"].xcoms["return_value"]["via"] == "text"
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
