"""Replies, errors and forms like Twilio's recordings, and the client's way with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api._resources import nothing
from airflow_provider_twilio_comms.api.classic import incoming_numbers, messages
from airflow_provider_twilio_comms.api.messaging import services
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.exceptions import ApiError
from tests.emulator.callers import CoreClient
from tests.emulator.classic.resources import FROM, TO, CallRunner, refused, send

LIST = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


@pytest.mark.parametrize("moment", ["2026-09-21", "2026-09-21T00:00:00Z", "2026-09-21T09:30:00Z"])
def test_a_date_that_a_message_was_sent_on_is_a_day(run: CallRunner, moment: str) -> None:
    """The official clients write a day as its first moment."""
    send(run)
    run.twilio.clock.advance(20)  # 14:13 of that day
    ask = CoreClient(run.twilio)
    assert len(ask("GET", LIST, DateSent=moment).json()["messages"]) == 1
    assert ask("GET", LIST, DateSent="2026-09-20").json()["messages"] == []


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("2026-09-21 14:13:20.000", True),
        ("2026-09-21 14:14:20", False),
        ("Mon, 21 Sep 2026 14:13:20 +0000", True),
        ("Mon, 21 Sep 2026 16:14:20 +0200", False),
        ("09/21/2026 07:13:20 MST", True),
        ("09/21/2026 07:14:20 MST", False),
    ],
)
def test_dates_are_taken_as_twilios_examples_write_them(run: CallRunner, text: str, hit: bool) -> None:
    send(run)
    run.twilio.clock.advance(20)
    found = CoreClient(run.twilio)("GET", LIST, **{"DateSent>": text}).json()["messages"]
    assert bool(found) == hit


@pytest.mark.parametrize(
    "text", ["13/21/2026 07:13:20 MST", "21.09.2026", "Monday, or so", "2026-99-99 10:00:00"]
)
def test_other_dates_are_refused(ask: CoreClient, text: str) -> None:
    assert ask("GET", LIST, **{"DateSent>": text}).json()["code"] == 20001


NUMBERED: list[tuple[str, Callable[[], Any], int]] = [
    ("+15005550001", lambda: messages.send("+15005550001", from_=FROM, body="Hi"), 21211),
    ("+15005550002", lambda: messages.send("+15005550002", from_=FROM, body="Hi"), 21612),
    ("+15005550003", lambda: messages.send("+15005550003", from_=FROM, body="Hi"), 21408),
    ("+15005550009", lambda: messages.send("+15005550009", from_=FROM, body="Hi"), 21614),
    ("+15005550008", lambda: messages.send(TO, from_="+15005550008", body="Hi"), 21611),
    ("+14155550123", lambda: messages.send(TO, from_="+14155550123", body="Hi"), 21606),
    ("whatsapp:+14155550123", lambda: messages.send(TO, from_="whatsapp:+14155550123", body="Hi"), 63007),
    (FROM, lambda: messages.send(FROM, from_=FROM, body="Hi"), 21266),
    ("+4930123456", lambda: Call("GET", "/v2/Nobody/+4930123456", nothing, "lookups"), 20404),
]


@pytest.mark.parametrize(("number", "call", "code"), NUMBERED, ids=[str(case[2]) for case in NUMBERED])
def test_an_error_names_the_number_and_the_client_does_not(
    run: CallRunner, number: str, call: Callable[[], Any], code: int
) -> None:
    replies = []
    handle = run.twilio.handle

    def kept(request: Request) -> Any:
        replies.append(handle(request))
        return replies[-1]

    run.twilio.handle = kept  # type: ignore[method-assign]
    with pytest.raises(ApiError) as caught:
        run(call())
    assert caught.value.code == code
    assert number in replies[0].json()["message"]
    assert number.rpartition("+")[2] not in f"{caught.value} {caught.value.to_dict()}"


def test_a_404_names_the_path(ask: CoreClient) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM{'0' * 32}.json"
    assert ask("GET", f"/api{path}").json()["message"] == f"The requested resource {path} was not found"


def test_a_number_for_voice_alone_can_be_bought_and_sends_nothing(run: CallRunner) -> None:
    number = run(incoming_numbers.buy(phone_number="+448430000101")).phone_number
    assert refused(run, messages.send(TO, from_=number, body="Hi")) == 21601


def test_a_list_of_one_kind_of_numbers_does_not_name_it(ask: CoreClient) -> None:
    path = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers"
    (kinds, local) = (
        ask("GET", f"{path}{part}.json").json()["incoming_phone_numbers"] for part in ("", "/Local")
    )
    assert {row["type"] for row in kinds} == {"local"}
    assert [row for row in local if "type" in row] == []


def created(ask: CoreClient, **form: str) -> Any:
    reply = ask("POST", LIST, form={"To": TO, "Body": "Hi", **form})
    assert reply.status == 201, reply.body
    return reply.json()


def test_the_reply_to_a_send(run: CallRunner) -> None:
    ask, service = CoreClient(run.twilio), run(services.create("Shop")).sid
    ask("POST", f"/messaging/v1/Services/{service}/PhoneNumbers", form={"PhoneNumberSid": f"PN{'06' * 16}"})
    plain = created(ask, From=FROM)
    assert plain["price_unit"] == "USD"
    assert set(plain["subresource_uris"]) == {"media"}
    assert created(ask, MessagingServiceSid=service)["price_unit"] is None
    channel = {"To": f"whatsapp:{TO}", "From": "whatsapp:+14155238886"}
    assert created(ask, **channel)["price_unit"] is None
    fetched = ask("GET", f"/api{plain['uri']}").json()
    assert set(fetched["subresource_uris"]) == {"media", "feedback"}


def test_a_template_is_sent_as_a_multimedia_message(run: CallRunner) -> None:
    template = run(content.create({"twilio/text": {"body": "Hello"}}, language="en"))
    assert run(messages.send(TO, from_=FROM, content_sid=template.sid)).sid.startswith("MM")
    assert send(run).sid.startswith("SM")


def test_every_reply_has_twilios_headers(ask: CoreClient) -> None:
    headers = ask("GET", LIST).headers
    assert headers["twilio-concurrent-requests"] == "1"
    assert float(headers["twilio-request-duration"]) < 60


def test_a_multipart_form_is_taken(ask: CoreClient) -> None:
    parts = {"To": TO, "From": FROM, "Body": "Olá"}
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in parts.items()
    )
    headers = {**ask.headers, "content-type": "multipart/form-data; boundary=x"}

    def post(body: bytes) -> Any:
        product, path = "api", LIST.removeprefix("/api")
        return ask.twilio.handle(Request("POST", product, path, (), headers, body))

    assert post(f"{body}--x--\r\n".encode()).json()["body"] == "Olá"
    file = b'--x\r\nContent-Disposition: form-data; name="Body"; filename="a"\r\n\r\nHi\r\n--x--\r\n'
    assert post(file).status == 400
    assert post(b"nothing of the kind").status == 400


def test_approvals_of_a_list_are_written_as_twilio_does(run: CallRunner, twilio: Twilio) -> None:
    run(content.create({"twilio/text": {"body": "Hello"}}, language="en"))
    (row,) = CoreClient(twilio)("GET", "/content/v1/ContentAndApprovals").json()["contents"]
    assert "type" not in row["approval_requests"]
    assert row["approval_requests"]["content_type"] == ""


def test_a_moment_in_a_filter_of_the_client_is_its_day(run: CallRunner) -> None:
    send(run)
    run.twilio.clock.advance(20)
    noon = datetime(2026, 9, 21, 23, 59, tzinfo=timezone.utc)
    assert len(run(messages.list(sent_on=noon)).items) == 1
    assert run(messages.list(sent_on=noon + timedelta(hours=1))).items == []
