"""Event Streams made what an author declared: created once, and nobody else's touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.api.events import sinks, subscriptions
from airflow_provider_twilio_comms.emulator.events.streams import Streams
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.event_streams import TYPES, TwilioEventStreamOperator
from tests.conftest import environment
from tests.fakes import context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

ADDRESS = "https://airflow.example.com/twilio/events"


def declare(**kwargs: Any) -> dict[str, Any]:
    return TwilioEventStreamOperator(task_id="events", **{"address": ADDRESS, **kwargs}).execute(context())


def streams(emulator: Running) -> Streams:
    return emulator.twilio.part(Streams)


def test_a_sink_and_its_subscription_are_created_once(emulator: Running) -> None:
    first = declare()
    assert (first["status"], first["created"], first["added"]) == (
        "CHANGED",
        ["sink", "subscription"],
        [*TYPES],
    )
    again = declare()
    assert again == {**first, "status": "UNCHANGED", "created": [], "added": [], "present": [*TYPES]}
    (sink,), (subscription,) = streams(emulator).sinks.values(), streams(emulator).subscriptions.values()
    assert sink.configuration == {"destination": ADDRESS, "method": "POST", "batch_events": True}
    assert [*subscription.types] == [*TYPES]


def test_only_the_missing_types_are_added(emulator: Running) -> None:
    declare(types=TYPES[:1])
    second = declare(types={**dict.fromkeys(TYPES[:1]), TYPES[1]: 3})
    assert (second["created"], second["added"], second["present"]) == ([], [TYPES[1]], [TYPES[0]])
    (subscription,) = streams(emulator).subscriptions.values()
    assert subscription.types == {TYPES[0]: 2, TYPES[1]: 3}


def test_sinks_and_subscriptions_of_others_are_left_alone(emulator: Running) -> None:
    hook = TwilioHook()
    others = [
        hook.run(sinks.create("Billing", ADDRESS)).sid,
        hook.run(sinks.create("Airflow", "https://billing.example.com/events")).sid,
    ]
    for sid in others:
        hook.run(subscriptions.create("Airflow", sid, {TYPES[0]: None}))
    before = [each.view() for each in streams(emulator).sinks.values()]
    result = declare()
    assert sorted(result["foreign"]) == sorted(others)
    assert result["sink_sid"] not in others
    assert [streams(emulator).sinks[sid].view() for sid in others] == before
    assert [len(each.types) for each in streams(emulator).subscriptions.values()] == [1, 1, len(TYPES)]


def test_a_dry_run_says_what_would_be_created(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        result = declare()
    assert (result["status"], result["created"], result["sink_sid"]) == (
        "DRY_RUN",
        ["sink", "subscription"],
        None,
    )
    assert streams(emulator).sinks == {}


@pytest.mark.parametrize("path", ["/Sinks", "/Subscriptions", "/SubscribedEvents"])
def test_where_a_reply_is_lost_nothing_is_created_twice(emulator: Running, path: str) -> None:
    if path == "/SubscribedEvents":
        declare(types=TYPES[:1])
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path=f"{path}$"))
    declare()
    assert declare()["status"] == "UNCHANGED"
    assert [len(each) for each in (streams(emulator).sinks, streams(emulator).subscriptions)] == [1, 1]


@pytest.mark.parametrize(
    "address",
    [
        "http://airflow.example.com/twilio/events",
        "https://airflow/twilio/events",
        "https://10.0.0.7/twilio/events",
        "https://airflow.internal/twilio/events",
        "https://me:secret@airflow.example.com/twilio/events",
        f"{ADDRESS}?a=1",
        "somewhere",
    ],
)
def test_an_address_that_twilio_cannot_call_is_refused_before_anything_is_asked(
    emulator: Running, address: str
) -> None:
    with pytest.raises(AirflowFailException, match="address") as raised:
        declare(address=address)
    assert "secret" not in str(raised.value)
    assert emulator.twilio.journal.counts == {}


def test_a_type_that_twilio_does_not_know_is_refused(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match=f"Did you mean {TYPES[0]}"):
        declare(types=[TYPES[0].replace("completed", "complete")])
    assert streams(emulator).sinks == {}


def test_a_sink_that_failed_is_said(emulator: Running) -> None:
    sid = declare()["sink_sid"]
    streams(emulator).sinks[sid].status = "failed"
    with pytest.raises(AirflowFailException, match=f"{sid} has failed"):
        declare()


def test_the_address_is_that_of_the_webhooks_if_none_is_given(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="webhook_public_url"):
        declare(address=None)
    with environment(AIRFLOW__TWILIO__WEBHOOK_PUBLIC_URL="https://airflow.example.com/twilio/"):
        declare(address=None)
    (sink,) = streams(emulator).sinks.values()
    assert sink.configuration["destination"] == ADDRESS
