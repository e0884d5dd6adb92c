"""Bad input is refused before there is a request, with the field and the fix."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.comms._arguments import checked_sender, checked_tags
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput

NUMBER = "+14155552671"
TO = [{"address": NUMBER, "channel": "PHONE"}]
POOL, SENDER = "comms_senderpool_01", "comms_sender_01"
MG, HX = "MG" + "a" * 32, "HX" + "a" * 32
PROFILE = "mem_profile_01h9krwprkeee8fzqspvwy6nq8"
NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
URL = "https://example.com/a.png"


def send(**given: Any) -> Call[Any]:
    return messages.send(**{"to": TO, "content": "Hi", **given})


CASES: list[tuple[str, Callable[[], Any], str, str]] = [
    # to whom
    ("nobody", lambda: send(to=[]), "to", "1 to 10,000"),
    ("too many", lambda: send(to=TO * 10_001), "to", "10001 recipients"),
    ("numbers without a channel", lambda: send(to=[NUMBER]), "to", "row 1, to: is not a recipient"),
    ("a number alone", lambda: send(to=NUMBER), "to", "is not a recipient"),
    ("a mapping without address", lambda: send(to=[*TO, {"phone": NUMBER}]), "to", "row 2"),
    ("connected, but to nothing", lambda: send(to=[{"addresses": [{}]}]), "to", "is not a recipient"),
    ("over 10 MB", lambda: send(content="x" * 10_000_001), "to", "10,000,000"),
    ("over 10 MB, encoded", lambda: send(to=msgspec.Raw(b"[" + b" " * 10**7 + b"]")), "to", "10,000,000"),
    ("a profile alone", lambda: send(to=[{"profileId": PROFILE}]), "to", "row 1, to: is not a recipient"),
    (
        "a profile elsewhere",
        lambda: send(to=[{"profileId": PROFILE, "memoryStoreId": "mem_service_1"}]),
        "to",
        "mem_store_",
    ),
    ("a sender's channel", lambda: send(to=[{"address": NUMBER, "channel": "SMS"}]), "to", "PHONE"),
    ("another key", lambda: send(to=[{**TO[0], "name": "Ines"}]), "to", "is not a recipient"),
    ("two forms", lambda: send(to=[{**TO[0], "addresses": TO}]), "to", "is not a recipient"),
    ("eleven addresses", lambda: send(to=[{"addresses": TO * 11}]), "to", "1 to 10"),
    ("no address in it", lambda: send(to=[{"address": None, "channel": "PHONE"}]), "to", "is not text"),
    ("a variable of 1", lambda: send(to=[{**TO[0], "variables": {"n": 1}}]), "to", "numbers as text"),
    # what
    ("empty", lambda: send(content=""), "content", "is empty"),
    ("blank", lambda: send(content="  \n"), "content", "is empty"),
    ("nothing in it", lambda: send(content={}), "content", "is empty"),
    ("no media in it", lambda: send(content={"media": []}), "content", "is empty"),
    ("a number", lambda: send(content={"text": 5}), "content", "text is of type int"),
    ("unknown key", lambda: send(content={"body": "Hi"}), "content", "unknown keys (body)"),
    ("mixed", lambda: send(content={"text": "Hi", "content_sid": HX}), "content", "mixes content_sid, text"),
    ("mixed", lambda: send(content={"media": [URL], "content_sid": HX}), "content", "mixes"),
    ("mixed", lambda: send(content={"text": "Hi", "modules": [{}]}), "content", "mixes modules, text"),
    ("mixed", lambda: send(content={"modules": [{}], "content_sid": HX}), "content", "mixes"),
    ("no template", lambda: send(content={"content_sid": "HX1"}), "content", "HX and 26 to 34"),
    ("too many media", lambda: send(content={"media": [URL] * 11}), "content", "has 11 media"),
    ("five modules", lambda: send(content={"modules": [{"sms": {"text": "a"}}] * 5}), "content", "1 to 4"),
    ("a module of no channel", lambda: send(content={"modules": [{"mms": {}}]}), "content", "module 1"),
    ("a module of two", lambda: send(content={"modules": [{"sms": {}, "rcs": {}}]}), "content", "module 1"),
    (
        "a file as rcs.media",
        lambda: send(content={"modules": [{"rcs": {"media": {"contentInfo": {"fileUrl": URL}}}}]}),
        "content",
        "media is a part of a card",
    ),
    # by whom
    (
        "a pool by e-mail",
        lambda: send(sender={"sender_pool_id": POOL, "channels": {"filterIn": ["SMS", "EMAIL"]}}),
        "sender.channels.filter_in",
        "EMAIL is not",
    ),
    (
        "a pool, push first",
        lambda: send(
            sender={
                "sender_pool_id": POOL,
                "channels": {"priority": [{"channel": "PUSH", "priority": 1}]},
            }
        ),
        "sender.channels.priority",
        "PUSH is not",
    ),
    (
        "a channel twice",
        lambda: send(sender={"sender_pool_id": POOL, "channels": {"filterIn": ["SMS", "SMS"]}}),
        "sender.channels.filter_in",
        "repeats",
    ),
    (
        "half a priority",
        lambda: send(
            sender={
                "sender_pool_id": POOL,
                "channels": {"priority": [{"channel": "SMS", "priority": 0.5}]},
            }
        ),
        "sender.channels.priority",
        "whole number",
    ),
    (
        "unknown controls",
        lambda: send(sender={"sender_pool_id": POOL, "channels": {"only": ["SMS"]}}),
        "sender.channels",
        "filter_in",
    ),
    ("a service", lambda: send(sender=MG), "sender", "Messaging Service"),
    ("a service, spelled out", lambda: send(sender={"address": MG}), "sender", "Messaging Service"),
    (
        "both",
        lambda: send(sender={"address": NUMBER, "sender_pool_id": POOL}),
        "sender",
        "address and sender",
    ),
    ("both ids", lambda: send(sender={"sender_id": SENDER, "sender_pool_id": POOL}), "sender", "exactly one"),
    ("nobody", lambda: send(sender={"channel": "SMS"}), "sender", "names no sender"),
    ("blank", lambda: send(sender="  "), "sender", "names no sender"),
    (
        "id and channel",
        lambda: send(sender={"sender_id": SENDER, "channel": "SMS"}),
        "sender",
        "cannot be combined with channel",
    ),
    (
        "number and channels",
        lambda: send(sender={"address": NUMBER, "channels": {}}),
        "sender",
        "cannot be combined with channels",
    ),
    ("MMS", lambda: send(sender=NUMBER, sender_channel="MMS"), "sender", "MMS is SMS with media"),
    (
        "PHONE",
        lambda: send(sender={"address": NUMBER, "channel": "phone"}),
        "sender",
        "PHONE is not a sender's channel",
    ),
    # when
    ("naive", lambda: send(send_at=datetime(2027, 1, 1)), "send_at", "no time zone"),
    ("text", lambda: send(send_at="2027-01-01T00:00:00Z"), "send_at", "a str is not a datetime"),
    ("naive start", lambda: messages.list(start_date=datetime(2027, 1, 1)), "start_date", "no time zone"),
    (
        "31 days",
        lambda: messages.schedulable(NOON + timedelta(days=30, seconds=1), NOON),
        "send_at",
        "30 days",
    ),
    ("naive", lambda: messages.schedulable(datetime(2027, 1, 1), NOON), "send_at", "no time zone"),
    # under which tags
    ("too many", lambda: send(tags={f"k{n}": "v" for n in range(11)}), "tags", "Twilio accepts up to 10"),
    (
        "ours counts",
        lambda: checked_tags({f"k{n}": "v" for n in range(10)}, 9),
        "tags",
        "1 is the provider's",
    ),
    ("colon", lambda: send(tags={"run": "manual__2026-01-01T00:00:00"}), "tags", "no colon"),
    ("plus", lambda: send(tags={"run": "a+b"}), "tags", "value of 'run'"),
    ("space in key", lambda: send(tags={"a b": "c"}), "tags", "key 'a b'"),
    ("newline at the end", lambda: send(tags={"a": "c\n"}), "tags", "value of 'a'"),
    ("long key", lambda: send(tags={"k" * 129: "v"}), "tags", "key"),
    ("long value", lambda: send(tags={"k": "v" * 257}), "tags", "1 to 256"),
    ("empty value", lambda: send(tags={"k": ""}), "tags", "1 to 256"),
    ("number", lambda: send(tags={"k": 1}), "tags", "1 to 256"),
    ("long Liquid", lambda: send(tags={"k": "{{ a }}" + "v" * 256}), "tags", "1 to 256"),
    # lists
    ("no status", lambda: messages.list(status="delivered"), "status", "DELIVERED"),
    ("no sender's channel", lambda: messages.list(channel="PHONE"), "channel", "SMS"),
    ("a tag with a colon", lambda: messages.list(tags={"run": "a:b"}), "tags", "no colon"),
    ("a tag with Liquid", lambda: messages.list(tags={"run": "{{ a }}"}), "tags", "not allowed"),
    ("eleven tags", lambda: messages.list(tags={f"k{n}": "v" for n in range(11)}), "tags", "up to 10"),
    ("no page", lambda: messages.list(page_size=0), "page_size", "1 to 1000"),
    ("huge page", lambda: operations.list(page_size=1001), "page_size", "1001 is out of range"),
    ("huge page", lambda: senders.search(NUMBER, "SMS", page_size=1001), "page_size", "1001"),
    # others
    ("no SID", lambda: messages.seek("comms_message_01"), "sid", "32 hex digits"),
    ("a call's SID", lambda: messages.seek("CA" + "1" * 32), "sid", "SM or MM"),
    ("nobody", lambda: senders.resolve([], sender_pool_id=POOL), "recipients", "1 to 100"),
    ("too many", lambda: senders.resolve(TO * 101, sender_pool_id=POOL), "recipients", "101 given"),
    ("a list of senders", lambda: senders.resolve(TO, sender=TO), "sender", "is not one sender"),
    ("both", lambda: senders.resolve(TO, sender_pool_id=POOL, sender=TO[0]), "sender_pool_id", "both"),
    ("nameless", lambda: sender_pools.create(""), "name", "is empty"),
    ("full", lambda: sender_pools.create("a", sender_ids=["s"] * 10_001), "sender_ids", "10,000"),
    ("tags", lambda: sender_pools.create("a", tags={"a:b": "c"}), "tags", "no colon"),
    ("no change", lambda: sender_pools.update(POOL), "name", "nothing to change"),
    ("nobody to add", lambda: sender_pools.add_senders(POOL, []), "sender_ids", "0 given"),
    ("too many to add", lambda: sender_pools.add_senders(POOL, ["s"] * 10_001), "sender_ids", "10001 given"),
]


@pytest.mark.parametrize(
    ("make", "field", "says"), [case[1:] for case in CASES], ids=[f"{case[2]}: {case[0]}" for case in CASES]
)
def test_bad_input_is_refused_by_field(make: Callable[[], Any], field: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()
    error = caught.value
    assert error.field == field
    assert says in str(error)
    assert NUMBER not in str(error)


def test_a_row_is_counted_as_a_person_counts() -> None:
    with pytest.raises(InvalidInput) as caught:
        send(to=[*TO, "x"])
    assert (caught.value.field, caught.value.row) == ("to", 2)


@pytest.mark.parametrize("value", ["{{ campaign }}", "{{ campaign | default: 'a b:c' }}"])
def test_liquid_in_a_tags_value_is_twilios_to_judge(value: str) -> None:
    assert checked_tags({"campaign": value}) == {"campaign": value}


def test_every_allowed_letter_of_a_tag() -> None:
    tags = {"aZ09._~-": "v" * 256, "k" * 128: "._~-"}
    assert checked_tags(tags) == tags


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (" +15005550006 ", {"address": "+15005550006", "channel": "SMS"}),
        ("12345", {"address": "12345", "channel": "SMS"}),
        ("ACME", {"address": "ACME", "channel": "SMS"}),
        ("whatsapp:+14155238886", {"address": "+14155238886", "channel": "WHATSAPP"}),
        ("rcs:agent", {"address": "agent", "channel": "RCS"}),
        (SENDER, {"senderId": SENDER}),
        (POOL, {"senderPoolId": POOL}),
        ({"sender_pool_id": POOL, "channels": None}, {"senderPoolId": POOL}),
    ],
)
def test_a_sender_is_known_by_its_looks(sender: Any, expected: dict[str, str]) -> None:
    assert checked_sender(sender) == expected
