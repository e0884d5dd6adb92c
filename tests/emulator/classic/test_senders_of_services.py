"""Messaging services choose senders, and keywords opt out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from airflow_provider_twilio_comms.api.classic import incoming_numbers, messages
from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.classic.inventory import (
    NUMBER_SID,
    SECOND_NUMBER_SID,
    SHORT_CODE_SID,
)
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.classic.resources import FROM, TO, CallRunner, code_of, send

SECOND = "+15005550010"
WASHINGTON, VANCOUVER, LONDON = "+12025550101", "+16045550101", "+442079460101"


@pytest.fixture
def add(run: CallRunner) -> Callable[..., str]:
    """Create a service with these numbers, which are bought."""

    def add(*numbers: str, **settings: bool) -> str:
        sid = run(services.create("Pool", **settings)).sid
        for number in numbers:
            run(senders.create_phone_number(sid, run(incoming_numbers.buy(phone_number=number)).sid))
        return sid

    return add


def sender_of(run: CallRunner, to: str, service: str) -> str | None:
    """Send through a service, and tell which sender it chose."""
    sid = send(run, to, messaging_service_sid=service).sid
    run.twilio.clock.advance(20)
    return run(messages.fetch(sid)).from_


@pytest.mark.parametrize(
    ("to", "sender"),
    [
        ("+12025550177", WASHINGTON),
        ("+16045550177", VANCOUVER),
        ("+442079460177", LONDON),
    ],
)
def test_the_nearest_sender_is_chosen(run: CallRunner, add: Callable[..., str], to: str, sender: str) -> None:
    service = add(LONDON, VANCOUVER, WASHINGTON)
    assert {sender_of(run, to, service) for _ in range(3)} == {sender}


def test_without_a_match_by_area_code_the_country_decides(run: CallRunner, add: Callable[..., str]) -> None:
    near, far = "+12025550102", "+14155550102"
    service = add(LONDON, near, far, area_code_geomatch=False)
    chosen = Counter(sender_of(run, f"+120255501{number:02d}", service) for number in range(10, 20))
    assert chosen == {near: 5, far: 5}


def test_load_is_spread_and_a_sender_sticks(run: CallRunner, service: str) -> None:
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    people = [f"+120255501{number:02d}" for number in range(40)]
    first = {person: sender_of(run, person, service) for person in people}
    assert Counter(first.values()) == {FROM: 20, SECOND: 20}
    odd = people[::2]
    assert {person: sender_of(run, person, service) for person in odd} == {each: first[each] for each in odd}


def test_a_sender_that_left_the_service_sticks_no_more(run: CallRunner, service: str) -> None:
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    before = sender_of(run, TO, service)
    run(senders.delete_phone_number(service, NUMBER_SID if before == FROM else SECOND_NUMBER_SID))
    assert sender_of(run, TO, service) == ({FROM, SECOND} - {before}).pop()


def test_a_sender_sticks_though_a_nearer_one_is_added(run: CallRunner, add: Callable[..., str]) -> None:
    service = add(LONDON)
    assert sender_of(run, TO, service) == LONDON
    near = run(incoming_numbers.buy(phone_number=WASHINGTON)).sid
    run(senders.create_phone_number(service, near))
    assert sender_of(run, TO, service) == LONDON
    assert sender_of(run, "+12025550199", service) == WASHINGTON


def test_without_sticky_senders_they_take_turns(run: CallRunner, service: str) -> None:
    run(services.update(service, sticky_sender=False))
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    assert Counter(sender_of(run, TO, service) for _ in range(6)) == {FROM: 3, SECOND: 3}


# opt-outs


def answer(twilio: Twilio, word: str, to: str = FROM) -> None:
    receive(twilio, Arrival(from_=TO, to=to, body=word))


@pytest.mark.parametrize("word", ["STOP", " stop\n", "Unsubscribe", "QUIT"])
def test_who_says_stop_is_refused_until_start(twilio: Twilio, run: CallRunner, word: str) -> None:
    answer(twilio, word)
    assert code_of(lambda: send(run)) == 21610
    assert send(run, from_=SECOND).status == "queued", "it counts for one sender"
    assert send(run, "+12025550199").status == "queued", "and for one person"
    answer(twilio, "START")
    assert send(run).status == "queued"


@pytest.mark.parametrize("text", ["STOP please", "Please stop", "", "HELP"])
def test_other_texts_opt_nobody_out(twilio: Twilio, run: CallRunner, text: str) -> None:
    answer(twilio, text)
    assert send(run).status == "queued"


def test_stop_counts_for_all_senders_of_a_service(twilio: Twilio, run: CallRunner, service: str) -> None:
    run(senders.create_phone_number(service, SECOND_NUMBER_SID))
    run(senders.create_short_code(service, SHORT_CODE_SID))
    answer(twilio, "STOP", to=SECOND)
    message = send(run, messaging_service_sid=service)
    twilio.clock.advance(20)
    failed = run(messages.fetch(message.sid))
    assert (failed.status, failed.error_code) == ("failed", 21610)
    assert code_of(lambda: send(run, from_=FROM)) == 21610
    answer(twilio, "UNSTOP", to="12345")
    assert send(run, from_=FROM).status == "queued"
