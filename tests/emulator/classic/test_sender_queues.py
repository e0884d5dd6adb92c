"""Queue and rate of each sender, on the emulator's clock."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms.api.classic import incoming_numbers, messages
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.classic.inventory import SECOND_NUMBER_SID
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.classic.resources import FROM, TO, CallRunner, after, code_of, send

THREE_SEGMENTS = "x" * 400


@pytest.fixture
def run(run: CallRunner) -> CallRunner:
    run.twilio.change(sender_rates=True, pace=0)
    return run


def delivered(twilio: Twilio) -> int:
    now = twilio.clock.now()
    return sum(message.status(now) == "delivered" for message in twilio.part(Messages).by_sid.values())


def sent_by_second(run: CallRunner, count: int, seconds: int, **options: Any) -> list[int]:
    """Send so many at once; returns how many are delivered after 0, 1, 2 ... seconds."""
    for _ in range(count):
        send(run, **options)
    counts = [delivered(run.twilio)]
    for _ in range(seconds):
        run.twilio.clock.advance(1)
        counts.append(delivered(run.twilio))
    return counts


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [1, 2, 3, 4]),  # a long code: one segment a second
        ({"body": THREE_SEGMENTS}, [1, 1, 1, 2]),
        ({"from_": "+18005550101"}, [1, 4, 7, 10]),  # toll-free
        ({"from_": "12345"}, [1, 101, 201, 250]),
        ({"from_": "Shop"}, [1, 11, 21, 31]),
    ],
)
def test_a_sender_keeps_its_rate(run: CallRunner, options: dict[str, Any], counts: list[int]) -> None:
    if options.get("from_", "").startswith("+1800"):
        run(incoming_numbers.buy(phone_number=options["from_"]))
    assert sent_by_second(run, 250, 3, **options) == counts


def test_senders_do_not_wait_for_each_other(run: CallRunner) -> None:
    send(run, body=THREE_SEGMENTS)
    assert sent_by_second(run, 2, 1, from_="+15005550010") == [2, 3]


def test_a_service_sends_at_the_rates_of_all_its_senders(run: CallRunner, service: str) -> None:
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    run(services.update(service, sticky_sender=False))
    assert sent_by_second(run, 20, 3, messaging_service_sid=service) == [2, 4, 6, 8]


def test_what_waits_is_queued(twilio: Twilio, run: CallRunner) -> None:
    send(run)
    second = send(run).sid
    assert (run(messages.fetch(second)).status, run(messages.fetch(second)).date_sent) == ("queued", None)
    twilio.clock.advance(1)
    assert run(messages.fetch(second)).status == "delivered"


def test_a_full_queue_refuses_or_fails(twilio: Twilio, run: CallRunner, service: str) -> None:
    for _ in range(3_273):  # of eleven segments each: 36,003 seconds
        send(run, body="x" * 1600)
    assert code_of(lambda: send(run)) == 21611
    taken = send(run, "+12025550199", messaging_service_sid=service)
    assert taken.status == "accepted"
    failed = run(messages.fetch(taken.sid))
    assert (failed.status, failed.error_code) == ("failed", 30001)
    twilio.clock.advance(3)
    assert send(run).status == "queued", "there is room for one again"
    assert run.twilio.ledger.recipients[TO] == 3_274


def test_who_waits_for_too_long_fails_and_takes_no_time(twilio: Twilio, run: CallRunner) -> None:
    send(run, body=THREE_SEGMENTS)
    late, patient = send(run, validity_period=2).sid, send(run, validity_period=3).sid
    assert run(messages.fetch(late)).status == "queued"
    twilio.clock.advance(2)
    failed = run(messages.fetch(late))
    assert (failed.status, failed.error_code, failed.date_sent) == ("failed", 30036, None)
    assert run(messages.fetch(patient)).status == "queued"
    twilio.clock.advance(1)
    assert run(messages.fetch(patient)).status == "delivered"


def test_a_service_has_a_validity_period_of_its_own(twilio: Twilio, run: CallRunner, service: str) -> None:
    run(services.update(service, validity_period=2))
    send(run, body=THREE_SEGMENTS)
    late = send(run, messaging_service_sid=service).sid
    patient = send(run, messaging_service_sid=service, validity_period=10).sid
    twilio.clock.advance(3)
    assert run(messages.fetch(late)).error_code == 30036
    assert run(messages.fetch(patient)).status == "delivered"


def test_scheduled_messages_join_the_queue_when_their_time_comes(
    twilio: Twilio, run: CallRunner, service: str
) -> None:
    at = after(twilio, 3600)
    first, second, third = (send(run, messaging_service_sid=service, send_at=at).sid for _ in range(3))
    run(messages.cancel(first))
    assert sent_by_second(run, 2, 1) == [1, 2]
    twilio.clock.advance(3599)
    assert [run(messages.fetch(each)).status for each in (first, second, third)] == [
        "canceled",
        "delivered",
        "accepted",
    ]
    twilio.clock.advance(1)
    assert [row.sid for row in run(messages.list(from_=FROM)).items][2:] == [third, second]
