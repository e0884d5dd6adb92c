"""Readers of replies: both date formats, numbers in strings, both paging styles, redirects."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pendulum
import pytest

from airflow_provider_twilio_comms.api import pricing
from airflow_provider_twilio_comms.api.classic import (
    accounts,
    available_numbers,
    incoming_numbers,
    media,
    messages,
    usage,
)
from airflow_provider_twilio_comms.api.flows import Done, advance, every_item
from airflow_provider_twilio_comms.api.messaging import deactivations, services
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, checked
from airflow_provider_twilio_comms.exceptions import ApiError, ServerFailed
from tests.contract.world import World

W = World()


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, headers, msgspec.json.encode(body))


def message(**values: Any) -> dict[str, Any]:
    return {"sid": W.message, "status": "queued", **values}


def read(**values: Any) -> messages.Message:
    return checked(messages.fetch(W.message), reply(message(**values)))


# one resource


def test_both_styles_of_dates_become_aware_and_utc() -> None:
    created = read(date_created="Thu, 24 Aug 2023 07:01:45 +0200").date_created
    assert created == datetime(2023, 8, 24, 5, 1, 45, tzinfo=timezone.utc)
    service = checked(
        services.fetch(W.service), reply({"sid": W.service, "date_created": "2015-07-30T20:12:31Z"})
    )
    assert service.date_created == datetime(2015, 7, 30, 20, 12, 31, tzinfo=timezone.utc)


@pytest.mark.parametrize("rubbish", ["", "soon", None, 5])
def test_a_date_that_is_none_is_none(rubbish: Any) -> None:
    assert read(date_sent=rubbish).date_sent is None


def test_numbers_come_out_of_their_strings() -> None:
    got = read(num_segments="2", num_media="0", price="-0.00750", error_code=30003)
    assert (got.num_segments, got.num_media, got.price, got.error_code) == (2, 0, Decimal("-0.00750"), 30003)
    assert read(price=None, num_segments="").num_segments is None


def test_what_is_unknown_does_not_harm() -> None:
    got = read(status="teleported", colour={"red": True})
    assert got.status == "teleported"
    assert not got.final


@pytest.mark.parametrize("status", sorted(messages.FINAL))
def test_a_final_status_is_final(status: str) -> None:
    assert read(status=status).final


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent", "receiving"])
def test_any_other_is_not(status: str) -> None:
    assert not read(status=status).final


def test_a_message_shows_no_number_and_no_text() -> None:
    got = read(to=W.to, body="Your code is 4711", **{"from": W.sender})
    assert (got.to, got.from_) == (W.to, W.sender)
    assert repr(got) == f"<Message sid={W.message} status=queued>"


def test_the_auth_token_is_dropped_where_it_is_read() -> None:
    call = accounts.fetch()
    account = checked(call, reply({"sid": W.account, "auth_token": "secret", "status": "active"}))
    assert "secret" not in str(msgspec.to_builtins(account)) + repr(account)
    assert "auth_token" not in dir(account)


def test_prices_that_are_null_or_empty_are_none() -> None:
    price = {"number_type": "local", "base_price": "", "current_price": None}
    body = {
        "iso_country": "US",
        "outbound_sms_prices": [{"carrier": "", "prices": None}, {"prices": [price]}, None],
        "inbound_sms_prices": None,
    }
    prices = checked(pricing.fetch("US"), reply(body))
    assert prices.inbound_sms_prices == ()
    assert [to.prices for to in prices.outbound_sms_prices] == [(), (pricing.Price("local"),)]


def test_a_resource_without_its_sid_is_an_error_however_lenient() -> None:
    with pytest.raises(ServerFailed):
        checked(messages.fetch(W.message), reply({"sid": None, "status": "queued"}))


@pytest.mark.parametrize(
    "capabilities",
    [{"sms": True, "mms": False}, {"SMS": True, "MMS": False}, {"SMS": True, "mms": False, "fax": None}],
)
def test_capabilities_are_read_in_either_case(capabilities: dict[str, bool]) -> None:
    number = checked(incoming_numbers.fetch(W.number), reply({"sid": W.number, "capabilities": capabilities}))
    assert number.capabilities == {"sms": True, "mms": False}


def test_coordinates_are_numbers_although_they_are_text() -> None:
    row = {"phone_number": W.for_sale, "latitude": "19.72", "longitude": "-155.09"}
    page = checked(available_numbers.search("US"), reply({"available_phone_numbers": [row], "uri": "/x"}))
    assert (page.items[0].latitude, page.items[0].longitude) == (19.72, -155.09)
    assert page.next is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"status": "queued"}', b'{"sid": 5}'])
def test_a_reply_that_is_no_message_proves_nothing(body: bytes) -> None:
    """It may have been sent all the same."""
    call = messages.send(W.to, from_=W.sender, body="Hi")
    with pytest.raises(ServerFailed):
        checked(call, Reply(201, body=body))


def test_a_deletion_says_nothing() -> None:
    checked(messages.delete(W.message), Reply(204))
    with pytest.raises(ApiError) as caught:
        checked(messages.delete(W.message), reply({"code": 20404, "message": "gone", "status": 404}, 404))
    assert caught.value.code == 20404


# pages


def classic(*items: Any, following: str | None = None) -> Reply:
    return reply({"messages": list(items), "next_page_uri": following, "page": 0})


def newer(*items: Any, following: str | None = None) -> Reply:
    return reply({"services": list(items), "meta": {"next_page_url": following, "key": "services"}})


def next_of(call: Call[Page[Any]], got: Reply) -> Call[Page[Any]]:
    following = checked(call, got).next
    assert following is not None
    return following


def test_the_classic_next_page() -> None:
    uri = "/2010-04-01/Accounts/ACx/Messages.json?To=%2B1415&DateSent%3E=2008-01-02&Page=1&PageToken=PAM1"
    following = next_of(messages.list(to=W.to), classic(message(), following=uri))
    assert following.target(W.account) == (
        f"/2010-04-01/Accounts/{W.account}/Messages.json"
        "?To=%2B1415&DateSent%3E=2008-01-02&Page=1&PageToken=PAM1"
    )


def test_the_newer_next_page_never_leaves_the_configured_host() -> None:
    url = "https://evil.example.com/steal/credentials?PageSize=1&Page=1&PageToken=x"
    following = next_of(services.list(), newer({"sid": W.service}, following=url))
    assert (following.product, following.path) == ("messaging", "/v1/Services")
    assert following.target(W.account) == "/v1/Services?PageSize=1&Page=1&PageToken=x"


def test_a_page_that_names_itself_or_an_earlier_one_is_the_last() -> None:
    first = services.list()
    second = next_of(first, newer(following="https://messaging.twilio.com/v1/Services?Page=1&PageToken=a"))
    third = next_of(second, newer(following="https://messaging.twilio.com/v1/Services?Page=2&PageToken=b"))
    for repeated in ("Page=2&PageToken=b", "Page=1&PageToken=a"):
        page = checked(third, newer(following=f"https://messaging.twilio.com/v1/Services?{repeated}"))
        assert page.next is None


def test_every_item_of_two_pages() -> None:
    flow = every_item(messages.list())
    advance(flow)
    first = checked(
        messages.list(), classic(message(), following="/2010-04-01/Messages.json?Page=1&PageToken=a")
    )
    second = advance(flow, first)
    assert isinstance(second, Call)
    done = advance(flow, checked(second, classic(message(sid=W.scheduled))))
    assert isinstance(done, Done)
    assert [item.sid for item in done.value] == [W.message, W.scheduled]


@pytest.mark.parametrize("body", [{}, [], {"messages": None}, {"messages": ["x"]}])
def test_a_reply_that_is_no_page_is_an_error(body: Any) -> None:
    with pytest.raises(ServerFailed):
        checked(messages.list(), reply(body))


# addresses elsewhere


@pytest.mark.parametrize("status", [200, 302, 307])
def test_a_redirect_is_read_and_not_followed(status: int) -> None:
    address = "https://bucket.s3.example.com/report.txt?Signature=abc"
    call = deactivations.fetch(date(2026, 6, 30))
    assert checked(call, reply({"redirect_to": address}, status)).url == address
    assert checked(call, Reply(status, {"location": address})).url == address
    assert "Signature" not in repr(checked(call, Reply(status, {"location": address})))


@pytest.mark.parametrize("address", ["", "/elsewhere", "file:///etc/passwd"])
def test_a_redirect_to_nowhere_is_an_error(address: str) -> None:
    with pytest.raises(ServerFailed):
        checked(media.download(W.with_media, W.media), Reply(307, {"location": address}, b"{}"))


def test_other_calls_take_a_redirect_for_an_error() -> None:
    with pytest.raises(ServerFailed):
        checked(messages.fetch(W.message), Reply(307, {"location": "https://example.com/"}))


# what is asked for


def test_pendulum_and_text_are_times_too() -> None:
    at = pendulum.datetime(2026, 7, 1, 9, tz="America/New_York")
    for given in (at, "2026-07-01T09:00:00-04:00", "2026-07-01T13:00:00Z"):
        call = messages.send(W.to, messaging_service_sid=W.service, body="Hi", send_at=given)  # type: ignore[arg-type]
        assert ("SendAt", "2026-07-01T13:00:00Z") in (call.form or ())
    for day in (pendulum.date(2026, 7, 1), "2026-07-01"):
        assert list(usage.records(start_date=day).query) == [("StartDate", "2026-07-01")]  # type: ignore[arg-type]


def test_prices_as_rows() -> None:
    got = checked(
        pricing.fetch("US"),
        reply(
            {
                "iso_country": "US",
                "country": "United States",
                "price_unit": "USD",
                "outbound_sms_prices": [
                    {
                        "carrier": "att",
                        "mcc": "310",
                        "mnc": "410",
                        "prices": [{"number_type": "mobile", "base_price": "0.05", "current_price": "0.04"}],
                    }
                ],
                "inbound_sms_prices": [{"number_type": "local", "base_price": 0.01, "current_price": "0.01"}],
            }
        ),
    )
    outbound, inbound = pricing.rows(got)
    assert outbound.keys() == inbound.keys()
    assert (outbound["direction"], outbound["carrier"], outbound["current_price"]) == (
        "outbound",
        "att",
        Decimal("0.04"),
    )
    assert (inbound["direction"], inbound["carrier"], inbound["number_type"]) == ("inbound", None, "local")
