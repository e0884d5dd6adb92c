"""Event Streams of the emulator: strict, and every event delivered once, signed, to this machine only."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.events import sinks, subscriptions, types
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.event_receiver import received, until

COMPLETED = "com.twilio.comms-api.operation.completed"
DELIVERED = "com.twilio.comms-api.message.delivered"
UNDELIVERED = "com.twilio.comms-api.message.undelivered"
ADDRESS = "https://airflow.example.com/twilio/events"


def subscribed(url: str, *kinds: str) -> str:
    hook = TwilioHook()
    sid = hook.run(sinks.create("Test", url)).sid
    hook.run(subscriptions.create("Test", sid, dict.fromkeys(kinds)))
    return sid


def sent(*numbers: str) -> str:
    to = [{"address": number, "channel": "PHONE"} for number in numbers]
    return str(TwilioHook().run(messages.send(to, "Hello")).operation_id)


def test_each_end_is_delivered_once_in_signed_batches(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    with received() as receiver:
        before = sent("+12025550100")
        subscribed(f"{receiver.url}/events", COMPLETED, DELIVERED)
        emulator.twilio.clock.advance(1)
        one = sent(*[f"+1202555{number:04d}" for number in range(100, 250)], "+12025559003")
        until(lambda: Counter(each["type"] for each in receiver.events)[COMPLETED] == 1)
        emulator.twilio.clock.advance(3600)
        two = sent("+12025550100")
        until(lambda: Counter(each["type"] for each in receiver.events)[COMPLETED] == 2)
    counts = Counter((each["type"], each["data"]["operation_id"]) for each in receiver.events)
    assert counts == {(COMPLETED, one): 1, (DELIVERED, one): 150, (COMPLETED, two): 1, (DELIVERED, two): 1}
    assert before not in str(receiver.events)
    assert len({each["id"] for each in receiver.events}) == len(receiver.events)
    assert max(receiver.batches) <= 100


def test_a_failure_carries_its_code(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    with received() as receiver:
        subscribed(f"{receiver.url}/events", UNDELIVERED)
        sent("+12025559005")
        until(lambda: receiver.events)
    assert receiver.events[0]["data"]["error_code"] == "30005"


def test_a_batch_that_is_refused_is_posted_again(emulator: Running) -> None:
    emulator.twilio.change(pace=0)
    with received() as receiver:
        receiver.refusals = 2
        subscribed(f"{receiver.url}/events", COMPLETED)
        sent("+12025550100")
        until(lambda: receiver.events)
    assert len(receiver.events) == 1


def test_a_test_event_validates_a_sink(emulator: Running) -> None:
    hook = TwilioHook()
    with received() as receiver:
        sid = hook.run(sinks.create("Test", f"{receiver.url}/events")).sid
        assert hook.run(sinks.fetch(sid)).status == "initialized"
        assert hook.run(sinks.test(sid)).result == "submitted"
        assert hook.run(sinks.fetch(sid)).status == "validating"
        until(lambda: receiver.events)
        with pytest.raises(ApiError):
            hook.run(sinks.validate(sid, "guess"))
        assert hook.run(sinks.validate(sid, receiver.events[0]["data"]["test_id"])).result == "valid"
    assert hook.run(sinks.fetch(sid)).status == "active"


def test_nothing_leaves_this_machine(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    emulator.twilio.change(pace=0)
    subscribed(ADDRESS, COMPLETED)
    sent("+12025550100")
    until(lambda: "No events are delivered to other machines" in caplog.text)


def test_sinks_and_subscriptions_are_listed_changed_and_deleted(emulator: Running) -> None:
    hook = TwilioHook()
    sid = subscribed(ADDRESS, COMPLETED, DELIVERED)
    spare = hook.run(sinks.create("Spare", ADDRESS)).sid
    assert hook.run(sinks.update(spare, "Other")).description == "Other"
    assert [each.sid for each in hook.run(every_item(sinks.list(in_use=False)))] == [spare]
    (subscription,) = hook.run(every_item(subscriptions.list(sink_sid=sid)))
    assert hook.run(subscriptions.fetch(subscription.sid)) == subscription
    hook.run(subscriptions.delete_event(subscription.sid, DELIVERED))
    hook.run(subscriptions.create_event(subscription.sid, UNDELIVERED, 3))
    shown = hook.run(every_item(subscriptions.list_events(subscription.sid)))
    assert [(each.type, each.schema_version) for each in shown] == [(COMPLETED, 2), (UNDELIVERED, 3)]
    assert hook.run(subscriptions.update(subscription.sid, sink_sid=spare)).sink_sid == spare
    hook.run(sinks.delete(sid))
    hook.run(subscriptions.delete(subscription.sid))
    hook.run(sinks.delete(spare))
    assert hook.run(every_item(sinks.list())) == []


def test_types_are_listed(emulator: Running) -> None:
    hook = TwilioHook()
    known = {each.type for each in hook.run(every_item(types.list(page_size=5)))}
    assert {COMPLETED, DELIVERED, UNDELIVERED} <= known
    assert hook.run(types.fetch(COMPLETED)).schema_id == "CommsApi.OperationCompleted"
    (one,) = hook.run(every_item(types.list(schema_id="CommsApi.MessageRead")))
    assert one.type.endswith("message.read")


def test_what_twilio_would_refuse_is_refused(emulator: Running) -> None:
    hook = TwilioHook()
    sid = subscribed(ADDRESS, COMPLETED)
    (subscription,) = hook.run(every_item(subscriptions.list()))
    nobody = f"DG{0:032x}"
    for call in (
        sinks.fetch(nobody),
        sinks.delete(sid),  # in use
        subscriptions.create("Test", nobody, {COMPLETED: None}),
        subscriptions.create("Test", sid, {"com.twilio.nothing": None}),
        subscriptions.create("Test", sid, {COMPLETED: 99}),
        subscriptions.create_event(subscription.sid, COMPLETED),
        subscriptions.delete_event(subscription.sid, COMPLETED),  # the last one
        subscriptions.delete_event(subscription.sid, DELIVERED),
        types.fetch("com.twilio.nothing"),
    ):
        with pytest.raises(ApiError):
            hook.run(call)
