"""The trigger for single messages, where it is another than that for operations."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.waiting.base import Budget
from airflow_provider_twilio_comms._core.waiting.messages import MessageOutcome
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger
from tests.conftest import environment
from tests.fakes import context
from tests.triggers.conftest import fired

LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"
FETCH = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
FROM, UNREACHABLE = "+15005550006", "+12025559003"


def sent(count: int = 1, **options: Any) -> list[str]:
    options = {"from_": FROM, "body": "Hello", **options}
    return [
        TwilioHook().run(messages.send(f"+1202555{number:04d}", **options)).sid for number in range(count)
    ]


def trigger(sids: list[str], **changes: Any) -> TwilioMessagesTrigger:
    values = {"deadline": time.time() + 9, "since": time.time(), "poll_interval": 0.1, **changes}
    return TwilioMessagesTrigger(sids, "twilio_default", **values)


class Hasty(TwilioMessagesTrigger):
    """Counts polls alone, no seconds."""

    budget = Budget(flaky=0.0, hopeless=0.0)


class Failed(TwilioMessagesTrigger):
    """A trigger whose task was failed from outside."""

    state = "failed"

    async def task_state(self) -> str | None:
        return self.state


async def test_every_end_is_one_event_of_ids_and_counts(twilio: Running) -> None:
    sids = sent(3)
    event = await fired(trigger(sids))
    assert event == {"status": "done", "statuses": dict.fromkeys(sids, "delivered")}
    assert "202555" not in json.dumps(event)
    assert MessageOutcome.from_event(event).to_event() == event


async def test_few_are_asked_for_singly_and_many_by_the_list(twilio: Running) -> None:
    await fired(trigger(sent(3)))
    assert (twilio.twilio.journal.counts[LIST], twilio.twilio.journal.counts[FETCH]) == (0, 3)
    await fired(trigger(sent(40)))
    assert (twilio.twilio.journal.counts[LIST], twilio.twilio.journal.counts[FETCH]) == (1, 3)


async def test_a_list_full_of_others_is_not_read_to_its_end(twilio: Running) -> None:
    sids = sent(6)
    sent(450)
    await fired(trigger(sids))
    assert (twilio.twilio.journal.counts[LIST], twilio.twilio.journal.counts[FETCH]) == (1, 6)


async def test_many_wait_and_share_one_poll(twilio: Running) -> None:
    sids = sent(30)
    events = await asyncio.gather(*(fired(trigger([sid])) for sid in sids))
    assert [event["statuses"] for event in events] == [{sid: "delivered"} for sid in sids]
    assert twilio.twilio.journal.counts[FETCH] == 0


async def test_a_failure_ends_the_wait_at_once(twilio: Running) -> None:
    twilio.twilio.change(outcomes=[{"match": "0001$", "status": "UNDELIVERED", "code": 30003}])
    first = sent(2)
    twilio.twilio.change(pace=60)
    event = await fired(trigger([*first, *sent(1)]))
    assert (event["status"], event["codes"]) == ("done", {first[1]: 30003})


async def test_time_is_up_in_an_event_too(twilio: Running) -> None:
    twilio.twilio.change(pace=60)
    sids = sent()
    event = await fired(trigger(sids, deadline=time.time() + 0.3))
    assert MessageOutcome.from_event(event) == MessageOutcome("timeout", {sids[0]: "queued"})


async def test_what_twilio_does_not_know_is_gone_after_a_grace(twilio: Running) -> None:
    unknown = "SM" + "0" * 32
    event = await fired(trigger([unknown], since=time.time() - 61))
    assert event == {"status": "gone", "missing": (unknown,)}


async def test_flaky_polls_are_survived_and_wrong_credentials_are_not(twilio: Running) -> None:
    sids = sent()
    twilio.twilio.faults.add(Fault(kind="error_before", method="GET", times=5))
    assert (await fired(trigger(sids)))["status"] == "done"
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=twilio.connection_json(password="0" * 32)):
        event = await fired(Hasty(**trigger(sids).serialize()[1]))
    assert (event["status"], event["error"]["type"]) == ("error", "AuthenticationFailed")


async def test_no_event_comes_before_its_time(twilio: Running) -> None:
    soon = time.time() + 0.7
    await fired(trigger(sent(), not_before=soon))
    assert time.time() >= soon


def scheduled() -> str:
    declared = TwilioMessagingServiceOperator(task_id="s", friendly_name="orders", phone_numbers=[FROM])
    sid = declared.execute(context())["sid"]
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    (message,) = sent(from_=None, messaging_service_sid=sid, send_at=at)
    return message


@pytest.mark.parametrize(
    ("state", "wish", "status"),
    [
        ("failed", True, "canceled"),
        ("failed", False, "scheduled"),
        ("deferred", True, "scheduled"),  # cleared and waiting again, or another triggerer took over
        ("success", True, "scheduled"),
        (None, True, "scheduled"),
    ],
)
async def test_a_kill_cancels_only_where_the_task_has_failed(
    twilio: Running, state: Any, wish: bool, status: str
) -> None:
    sid = await asyncio.to_thread(scheduled)
    killed = Failed([sid], "twilio_default", cancel_on_kill=wish)
    killed.state = state
    await killed.on_kill()
    await killed.on_kill()
    message = twilio.twilio.part(Messages).by_sid[sid]
    assert message.status(twilio.twilio.clock.now()) == status


async def test_a_kill_ends_what_it_began_though_airflow_cancels_it_every_second(twilio: Running) -> None:
    sid = await asyncio.to_thread(scheduled)
    twilio.twilio.change(reply_delay=0.3)
    killed = Failed([sid], "twilio_default", cancel_on_kill=True)
    killed.state = "failed"
    task = asyncio.create_task(killed.on_kill())
    while not task.done():
        await asyncio.sleep(0.05)
        task.cancel()
    await task
    assert twilio.twilio.part(Messages).by_sid[sid].status(twilio.twilio.clock.now()) == "canceled"
