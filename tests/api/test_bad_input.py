"""Bad input is refused before there is a request, with the field but without the value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_twilio_comms.api import content, lookups, pricing
from airflow_provider_twilio_comms.api.classic import (
    accounts,
    available_numbers,
    feedback,
    incoming_numbers,
    media,
    messages,
    short_codes,
    usage,
)
from airflow_provider_twilio_comms.api.messaging import deactivations, senders, services
from airflow_provider_twilio_comms.exceptions import InvalidInput
from tests.contract.world import URL, World

W = World()
TO, FROM, SERVICE = W.to, W.sender, W.service
TEXT = {"twilio/text": {"body": "Hello"}}
NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
SECRET = "+14155550199"  # given where it does not belong; no error may show it

CASES: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    # who it goes to, who from
    (messages.send, {"to": "", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": "4155550199", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": "+04155550199", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": "+1 415 555 0199", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": f"{SECRET}\n", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": "whatsapp:", "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": None, "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": [SECRET], "from_": FROM, "body": "Hi"}, "to"),
    (messages.send, {"to": TO, "body": "Hi"}, "from_"),
    (messages.send, {"to": TO, "from_": "", "body": "Hi"}, "from_"),
    (messages.send, {"to": TO, "from_": "A sender much too long", "body": "Hi"}, "from_"),
    (messages.send, {"to": TO, "messaging_service_sid": "MG1", "body": "Hi"}, "messaging_service_sid"),
    (messages.send, {"to": TO, "messaging_service_sid": W.message, "body": "Hi"}, "messaging_service_sid"),
    # what it says
    (messages.send, {"to": TO, "from_": FROM}, "body"),
    (messages.send, {"to": TO, "from_": FROM, "body": ""}, "body"),
    (messages.send, {"to": TO, "from_": FROM, "body": "x" * 1601}, "body"),
    (messages.send, {"to": TO, "from_": FROM, "body": 5}, "body"),
    (messages.send, {"to": TO, "from_": FROM, "media_url": []}, "body"),
    (messages.send, {"to": TO, "from_": FROM, "media_url": URL}, "media_url"),
    (messages.send, {"to": TO, "from_": FROM, "media_url": [URL] * 11}, "media_url"),
    (messages.send, {"to": TO, "from_": FROM, "media_url": ["ftp://example.com/a"]}, "media_url"),
    (messages.send, {"to": TO, "from_": FROM, "content_sid": "HX12"}, "content_sid"),
    (
        messages.send,
        {"to": TO, "from_": FROM, "body": "Hi", "content_variables": {"1": "Ada"}},
        "content_variables",
    ),
    (
        messages.send,
        {"to": TO, "from_": FROM, "content_sid": W.content, "content_variables": {"1": 5}},
        "content_variables",
    ),
    (
        messages.send,
        {"to": TO, "from_": FROM, "content_sid": W.content, "content_variables": '{"1": "Ada"}'},
        "content_variables",
    ),
    # how it is sent
    (
        messages.send,
        {"to": TO, "from_": FROM, "body": "Hi", "status_callback": "example.com"},
        "status_callback",
    ),
    (
        messages.send,
        {"to": TO, "from_": FROM, "body": "Hi", "status_callback": "https://my_host.example.com/"},
        "status_callback",
    ),
    (
        messages.send,
        {"to": TO, "from_": FROM, "body": "Hi", "status_callback": "https://example.com/" + "x" * 4000},
        "status_callback",
    ),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "application_sid": SERVICE}, "application_sid"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "validity_period": 0}, "validity_period"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "validity_period": 36_001}, "validity_period"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "validity_period": "600"}, "validity_period"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "send_at": NOW}, "send_at"),
    (
        messages.send,
        {"to": TO, "messaging_service_sid": SERVICE, "body": "Hi", "send_at": datetime(2026, 7, 1)},
        "send_at",
    ),
    (
        messages.send,
        {"to": TO, "messaging_service_sid": SERVICE, "body": "Hi", "send_at": date(2026, 7, 1)},
        "send_at",
    ),
    (
        messages.send,
        {"to": TO, "messaging_service_sid": SERVICE, "body": "Hi", "send_at": "2026-07-01T09:00:00"},
        "send_at",
    ),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "shorten_urls": True}, "shorten_urls"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "fallback_from": FROM}, "fallback_from"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "provide_feedback": "yes"}, "provide_feedback"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "smart_encoded": 1}, "smart_encoded"),
    (
        messages.send,
        {"to": TO, "from_": FROM, "body": "Hi", "content_retention": SECRET},
        "content_retention",
    ),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "address_retention": "x"}, "address_retention"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "risk_check": True}, "risk_check"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "message_intent": "spam"}, "message_intent"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "persistent_action": "x"}, "persistent_action"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "traffic_type": "paid"}, "traffic_type"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "attempt": 0}, "attempt"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "max_price": "much"}, "max_price"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "tags": {"a": 1}}, "tags"),
    (messages.send, {"to": TO, "from_": FROM, "body": "Hi", "colour": "red"}, "colour"),
    (messages.schedulable, {"send_at": NOW + timedelta(minutes=5), "now": NOW}, "send_at"),
    (messages.schedulable, {"send_at": NOW + timedelta(days=35, seconds=1), "now": NOW}, "send_at"),
    (messages.schedulable, {"send_at": datetime(2026, 7, 2), "now": NOW}, "send_at"),
    # the other calls on messages
    (messages.redact, {"sid": "SM1"}, "sid"),
    (messages.cancel, {"sid": W.service}, "sid"),
    (messages.delete, {"sid": W.message + "\n"}, "sid"),
    (messages.fetch, {"sid": ".."}, "sid"),
    (messages.list, {"page_size": 1001}, "page_size"),
    (messages.list, {"page_size": 0}, "page_size"),
    (messages.list, {"status": "sent"}, "status"),
    (messages.list, {"sent_on": datetime(2026, 7, 1)}, "sent_on"),
    (messages.list, {"sent_on_or_after": "yesterday"}, "sent_on_or_after"),
    (media.list, {"message_sid": "ME1"}, "message_sid"),
    (media.delete, {"message_sid": W.with_media, "sid": W.message}, "sid"),
    (media.download, {"message_sid": W.media, "sid": W.media}, "message_sid"),
    (feedback.create, {"message_sid": W.message, "outcome": "maybe"}, "outcome"),
    (feedback.create, {"message_sid": SECRET, "outcome": "confirmed"}, "message_sid"),
    (accounts.fetch, {"sid": "AC1"}, "sid"),
    (accounts.list, {"status": "sleeping"}, "status"),
    (accounts.list, {"name": "Shop"}, "name"),
    (messages.send, {"to": "+1415", "from_": FROM, "body": "Hi"}, "to"),
    # numbers and short codes
    (short_codes.update, {"sid": "12345", "friendly_name": "x"}, "sid"),
    (short_codes.update, {"sid": W.short_code, "sms_method": "PUT"}, "sms_method"),
    (short_codes.update, {"sid": W.short_code, "sms_url": "example.com"}, "sms_url"),
    (short_codes.list, {"short_code": "abc"}, "short_code"),
    (available_numbers.country, {"country_code": "us"}, "country_code"),
    (available_numbers.search, {"country_code": "US", "kind": "premium"}, "kind"),
    (available_numbers.search, {"country_code": "US", "contains": "5"}, "contains"),
    (available_numbers.search, {"country_code": "US", "area_code": "202"}, "area_code"),
    (available_numbers.search, {"country_code": "US", "distance": 10}, "near_number"),
    (
        available_numbers.search,
        {"country_code": "US", "near_number": W.for_sale, "distance": 501},
        "distance",
    ),
    (available_numbers.search, {"country_code": "US", "near_lat_long": "Rome"}, "near_lat_long"),
    (available_numbers.search, {"country_code": "US", "in_rate_center": "X"}, "in_lata"),
    (available_numbers.search, {"country_code": "US", "sms_enabled": "true"}, "sms_enabled"),
    (incoming_numbers.buy, {}, "phone_number"),
    (incoming_numbers.buy, {"phone_number": W.for_sale, "area_code": "500"}, "phone_number"),
    (incoming_numbers.buy, {"area_code": "500", "kind": "local"}, "phone_number"),
    (incoming_numbers.buy, {"area_code": 500}, "area_code"),
    (incoming_numbers.buy, {"phone_number": "500 555 0006"}, "phone_number"),
    (incoming_numbers.buy, {"phone_number": W.for_sale, "kind": "national"}, "kind"),
    (incoming_numbers.buy, {"phone_number": W.for_sale, "account_sid": W.account}, "account_sid"),
    (incoming_numbers.buy, {"phone_number": W.for_sale, "bundle_sid": "BU1"}, "bundle_sid"),
    (incoming_numbers.buy, {"phone_number": W.for_sale, "address_sid": W.account}, "address_sid"),
    (incoming_numbers.update, {"sid": W.number, "emergency_status": "active"}, "emergency_status"),
    (incoming_numbers.update, {"sid": W.number, "voice_receive_mode": "telex"}, "voice_receive_mode"),
    (incoming_numbers.update, {"sid": W.number, "trunk_sid": SECRET}, "trunk_sid"),
    (incoming_numbers.update, {"sid": SECRET, "friendly_name": "x"}, "sid"),
    (incoming_numbers.release, {"sid": ""}, "sid"),
    (usage.records, {"period": "weekly"}, "period"),
    (usage.records, {"start_date": NOW}, "start_date"),
    # services and their senders
    (services.create, {"friendly_name": ""}, "friendly_name"),
    (services.create, {"friendly_name": "x" * 65}, "friendly_name"),
    (services.create, {"friendly_name": "x", "validity_period": 40_000}, "validity_period"),
    (services.create, {"friendly_name": "x", "usecase": "fun"}, "usecase"),
    (services.create, {"friendly_name": "x", "scan_message_content": "on"}, "scan_message_content"),
    (services.create, {"friendly_name": "x", "inbound_method": "get"}, "inbound_method"),
    (services.update, {"sid": "MG1", "friendly_name": "x"}, "sid"),
    (services.update, {"sid": SERVICE, "sticky_sender": "true"}, "sticky_sender"),
    (services.update, {"sid": SERVICE, "fallback_url": "/here"}, "fallback_url"),
    (services.delete, {"sid": W.number}, "sid"),
    (senders.create_phone_number, {"service_sid": SERVICE, "phone_number_sid": SECRET}, "phone_number_sid"),
    (senders.create_phone_number, {"service_sid": "MG", "phone_number_sid": W.number}, "service_sid"),
    (senders.create_short_code, {"service_sid": SERVICE, "short_code_sid": "12345"}, "short_code_sid"),
    (senders.create_alpha_sender, {"service_sid": SERVICE, "alpha_sender": "TwelveLetter"}, "alpha_sender"),
    (senders.create_alpha_sender, {"service_sid": SERVICE, "alpha_sender": "12345"}, "alpha_sender"),
    (senders.create_alpha_sender, {"service_sid": SERVICE, "alpha_sender": "Café"}, "alpha_sender"),
    (
        senders.create_destination_alpha_sender,
        {"service_sid": SERVICE, "alpha_sender": "Shop", "iso_country_code": "DEU"},
        "iso_country_code",
    ),
    (
        senders.create_channel_sender,
        {"service_sid": SERVICE, "channel_sender_sid": "whatsapp:+1"},
        "channel_sender_sid",
    ),
    (senders.delete_alpha_sender, {"service_sid": SERVICE, "sid": W.number}, "sid"),
    (deactivations.fetch, {"day": NOW}, "day"),
    (deactivations.fetch, {"day": "01/07/2026"}, "day"),
    (pricing.fetch, {"iso_country": "USA"}, "iso_country"),
    # lookups and templates
    (lookups.fetch, {"phone_number": "nobody"}, "phone_number"),
    (lookups.fetch, {"phone_number": TO, "fields": ["horoscope"]}, "fields"),
    (lookups.fetch, {"phone_number": TO, "fields": "sim_swap"}, "fields"),
    (lookups.fetch, {"phone_number": TO, "date_of_birth": "1815-12-10"}, "date_of_birth"),
    (content.create, {"types": {}, "language": "en"}, "types"),
    (content.create, {"types": {"text": {"body": "Hi"}}, "language": "en"}, "types"),
    (content.create, {"types": {"twilio/text": {}}, "language": "en"}, "types"),
    (content.create, {"types": TEXT, "language": "English"}, "language"),
    (content.create, {"types": TEXT, "language": "en", "variables": {"1": 5}}, "variables"),
    (content.update, {"sid": W.content, "types": TEXT, "friendly_name": 5}, "friendly_name"),
    (content.delete, {"sid": "HX"}, "sid"),
    (content.request_approval, {"sid": W.content, "name": "Hello", "category": "UTILITY"}, "name"),
    (content.request_approval, {"sid": W.content, "name": "hello", "category": "FUN"}, "category"),
]


@pytest.mark.parametrize(
    ("call", "arguments", "field"),
    CASES,
    ids=[f"{call.__module__.rpartition('.')[2]}.{call.__name__}-{field}" for call, _, field in CASES],
)
def test_bad_input_is_refused_with_its_field(
    call: Callable[..., Any], arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        call(**arguments)
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert str(caught.value).count(". ") >= 1, "it says how to fix it"


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_good_input_passes_where_bad_input_is_near() -> None:
    messages.schedulable(NOW + timedelta(minutes=5, seconds=1), NOW)
    messages.schedulable(NOW + timedelta(days=35), NOW)
    messages.send(TO, from_="12345", body="x" * 1600, max_price=Decimal("1.5"))
    messages.send("messenger:104794531907950", from_="Shop & Co", body="Hi", validity_period=36_000)
    messages.send(TO, from_=SERVICE, media_url=("https://my_bucket.example.com/a.png",))
    senders.create_alpha_sender(SERVICE, "1st Shop")
