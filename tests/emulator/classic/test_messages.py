"""Messages: magic numbers, statuses over time, scheduling, and when a message can be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.classic import accounts, feedback, media, messages, usage
from airflow_provider_twilio_comms.emulator.credentials import TEST_SID, TEST_TOKEN
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.exceptions import AuthenticationFailed
from tests.emulator.classic.resources import (
    FROM,
    NO_RECEIPT,
    OPTED_OUT,
    TO,
    UNKNOWN,
    CallRunner,
    after,
    code_of,
    refused,
    send,
)

MESSAGES = messages.MESSAGES


# Twilio's magic numbers


@pytest.mark.parametrize("test_credentials", [False, True])
@pytest.mark.parametrize(
    ("to", "from_", "code"),
    [
        (TO, "+15005550001", 21212),
        (TO, "+15005550007", 21606),
        (TO, "+15005550008", 21611),
        (TO, "+14155550123", 21606),
        ("+15005550001", FROM, 21211),
        ("+15005550002", FROM, 21612),
        ("+15005550003", FROM, 21408),
        ("+15005550004", FROM, 21610),
        ("+15005550009", FROM, 21614),
    ],
)
def test_magic_numbers(
    as_someone: Callable[..., CallRunner],
    run: CallRunner,
    to: str,
    from_: str,
    code: int,
    test_credentials: bool,
) -> None:
    runner = as_someone(TEST_SID, TEST_TOKEN) if test_credentials else run
    assert code_of(lambda: send(runner, to, from_=from_)) == code
    assert runner.twilio.ledger.messages == 0


def test_test_credentials_send_nothing(as_someone: Callable[..., CallRunner], run: CallRunner) -> None:
    tester = as_someone(TEST_SID, TEST_TOKEN)
    assert send(tester).status == "queued"
    assert code_of(lambda: send(tester, from_="+15005550010")) == 21606
    assert run.twilio.ledger.messages == 0
    with pytest.raises(AuthenticationFailed) as caught:
        tester(messages.list())
    assert caught.value.code == 20008


# with time


def test_a_message_moves_with_the_clock(twilio: Twilio, run: CallRunner) -> None:
    message = send(run)
    seen = [message.status]
    for _ in range(5):
        twilio.clock.advance(2)
        seen.append(run(messages.fetch(message.sid)).status)
    assert seen == ["queued", "queued", "sending", "sent", "sent", "delivered"]
    ended = run(messages.fetch(message.sid))
    assert (ended.price, ended.num_segments, ended.price_unit) == (Decimal("-0.00830"), 1, "USD")
    assert ended.date_sent == datetime.fromtimestamp(twilio.clock.now() - 4, timezone.utc)


def test_a_service_accepts_first_and_then_chooses(twilio: Twilio, run: CallRunner, service: str) -> None:
    message = send(run, messaging_service_sid=service)
    assert (message.status, message.from_, message.num_segments, message.price) == ("accepted", None, 0, None)
    twilio.clock.advance(10)
    assert run(messages.fetch(message.sid)).from_ == FROM


@pytest.mark.parametrize(
    ("to", "status", "code"),
    [(UNKNOWN, "undelivered", 30005), (NO_RECEIPT, "sent", None), ("+12025559034", "failed", 30034)],
)
def test_the_table_says_what_becomes_of_a_number(
    twilio: Twilio, run: CallRunner, to: str, status: str, code: int | None
) -> None:
    message = send(run, to)
    twilio.clock.advance(20)
    ended = run(messages.fetch(message.sid))
    assert (ended.status, ended.error_code) == (status, code)


def test_who_opted_out_is_refused_at_once_or_failed_by_a_service(
    twilio: Twilio, run: CallRunner, service: str
) -> None:
    assert code_of(lambda: send(run, OPTED_OUT)) == 21610
    message = send(run, OPTED_OUT, messaging_service_sid=service)
    twilio.clock.advance(20)
    assert run(messages.fetch(message.sid)).error_code == 21610


def test_whatsapp_is_read_in_the_end(twilio: Twilio, run: CallRunner) -> None:
    message = send(run, f"whatsapp:{TO}", from_="whatsapp:+14155238886")
    twilio.clock.advance(20)
    assert run(messages.fetch(message.sid)).status == "read"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 307, 3),
        ("é" * 160, 1),
        ("☃" * 70, 1),
        ("☃" * 71, 2),
        ("👍" * 35, 1),
        ("€" * 81, 2),  # counts twice
    ],
)
def test_segments(run: CallRunner, text: str, count: int) -> None:
    assert send(run, body=text).num_segments == count


# scheduling


def test_a_scheduled_message_waits_and_can_be_canceled(twilio: Twilio, run: CallRunner, service: str) -> None:
    first, second = (send(run, messaging_service_sid=service, send_at=after(twilio, 3600)) for _ in range(2))
    assert (first.status, first.date_sent) == ("scheduled", None)
    twilio.clock.advance(3000)
    assert run(messages.cancel(first.sid)).status == "canceled"
    twilio.clock.advance(700)
    assert run(messages.fetch(first.sid)).status == "canceled"
    assert run(messages.fetch(second.sid)).status == "delivered"
    for sid in (first.sid, second.sid):
        assert refused(run, messages.cancel(sid)) == 30409


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([("ScheduleType", "fixed")], 35111),
        ([("ScheduleType", "fixed"), ("SendAt", "soon")], 35114),
        ([("ScheduleType", "fixed"), ("SendAt", "+300")], 35117),
        ([("ScheduleType", "fixed"), ("SendAt", "+3024001")], 35115),
        ([("SendAt", "+3600")], 20001),
    ],
)
def test_a_time_that_cannot_be(
    twilio: Twilio, run: CallRunner, service: str, fields: list[tuple[str, str]], code: int
) -> None:
    form = [("To", TO), ("MessagingServiceSid", service), ("Body", "Hi")]
    for name, text in fields:
        at = after(twilio, float(text)).isoformat() if text[0] == "+" else text
        form.append((name, at))
    assert code_of(lambda: run.form(MESSAGES, form)) == code


def test_scheduling_without_a_service(twilio: Twilio, run: CallRunner) -> None:
    at = after(twilio, 3600).isoformat()
    form = [("To", TO), ("From", FROM), ("Body", "Hi"), ("ScheduleType", "fixed"), ("SendAt", at)]
    assert code_of(lambda: run.form(MESSAGES, form)) == 35118


# what may be done to one


def test_redacting(run: CallRunner) -> None:
    sid = send(run, body="Your code is 4711").sid
    assert run(messages.redact(sid)).body == ""
    assert run(messages.fetch(sid)).body == ""


@pytest.mark.parametrize(
    "form", [[], [("Body", ""), ("Status", "canceled")], [("Body", "New")], [("Status", "sent")]]
)
def test_an_update_is_one_thing(run: CallRunner, form: list[tuple[str, str]]) -> None:
    call = replace(messages.redact(send(run).sid), form=form)
    assert refused(run, call) == 30400


def test_deleting_waits_for_the_end_and_takes_the_media_along(twilio: Twilio, run: CallRunner) -> None:
    sid = send(run, media_url=["https://example.com/a.png"]).sid
    assert refused(run, messages.delete(sid)) == 20009
    twilio.clock.advance(20)
    run(messages.delete(sid))
    for gone in (messages.fetch(sid), messages.delete(sid), media.list(sid)):
        assert refused(run, gone) == 20404


def test_feedback_needs_to_have_been_asked_for(run: CallRunner) -> None:
    assert refused(run, feedback.create(send(run).sid, "confirmed")) == 20001
    sid = send(run, provide_feedback=True).sid
    assert run(feedback.create(sid, "unconfirmed")).outcome == "unconfirmed"


def test_a_template_becomes_text(run: CallRunner) -> None:
    made = run(
        content.create(
            {"twilio/text": {"body": "Hello {{1}}, {{2}}!"}}, language="en", variables={"1": "x", "2": "bye"}
        )
    )
    assert (
        send(run, body=None, content_sid=made.sid, content_variables={"1": "Ada"}).body == "Hello Ada, bye!"
    )


# the account


def test_every_message_is_in_the_ledger_once(run: CallRunner, service: str) -> None:
    send(run)
    send(run, messaging_service_sid=service)
    send(run, f"whatsapp:{UNKNOWN}", from_="whatsapp:+14155238886")
    assert run.twilio.ledger.to_dict() == {
        "requests": 3,
        "messages": 3,
        "distinct": 2,
        "twice": 1,
        "recipients": {TO: 2, UNKNOWN: 1},
    }


def test_money_goes_when_messages_go(twilio: Twilio, run: CallRunner) -> None:
    send(run, body="x" * 161)
    assert run(usage.balance()).balance == 100
    twilio.clock.advance(20)
    assert run(usage.balance()).balance == Decimal("99.98340")
    (record,) = run(usage.records("today", category="sms-outbound")).items
    assert [record.count, record.usage, record.price] == [1, 2, Decimal("0.0166")]
    (record,) = run(usage.records("yesterday", category="sms-outbound")).items
    assert record.count == 0


@pytest.mark.parametrize(("period", "count"), [("daily", 30), ("monthly", 2), ("yearly", 1)])
def test_usage_by_period(run: CallRunner, period: Any, count: int) -> None:
    days = (datetime.fromtimestamp(run.twilio.clock.now(), timezone.utc) - timedelta(days=29)).date()
    page = run(usage.records(period, category="totalprice", start_date=days))
    assert len(page.items) == count
    assert page.items[-1].start_date == days


def test_an_account_knows_its_own_things_only(as_someone: Callable[..., CallRunner], run: CallRunner) -> None:
    with pytest.raises(AuthenticationFailed):
        as_someone(TEST_SID, TEST_TOKEN)(accounts.fetch(run.login))


def test_filters(twilio: Twilio, run: CallRunner) -> None:
    first = send(run).sid
    second = send(run, UNKNOWN).sid
    assert [each.sid for each in run(messages.list()).items] == [second, first]
    assert [each.sid for each in run(messages.list(to=TO)).items] == [first]
    assert run(messages.list(from_="+15005550010")).items == []
    day = datetime.fromtimestamp(twilio.clock.now(), timezone.utc).date()
    assert run(messages.list(sent_on=day)).items == []  # not sent yet
    twilio.clock.advance(20)
    assert len(run(messages.list(sent_on=day)).items) == 2
    assert len(run(messages.list(sent_on_or_after=day, sent_on_or_before=day)).items) == 2
    assert run(messages.list(sent_on_or_after=day + timedelta(days=1))).items == []
    moment = run(messages.fetch(first)).date_sent
    assert moment is not None
    assert len(run(messages.list(sent_on_or_after=moment, sent_on_or_before=moment)).items) == 2
    assert run(messages.list(sent_on_or_before=moment - timedelta(seconds=1))).items == []
    twilio.change(list_lag=60)
    assert run(messages.list()).items == []
