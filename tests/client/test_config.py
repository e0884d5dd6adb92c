"""A connection, read: every field good and bad, and the hosts that come of it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import InvalidInput, Refused

AC, SK, OQ = "AC" + "a" * 32, "SK" + "b" * 32, "OQ" + "c" * 32
SECRET = "the-secret"


def connection(login: str | None = AC, password: str | None = SECRET, extra: Any = None) -> Any:
    text = extra if isinstance(extra, str) or extra is None else json.dumps(extra)
    return SimpleNamespace(conn_id="twilio_default", login=login, password=password, extra=text)


def read(extra: Any = None, **fields: Any) -> Config:
    return Config.from_connection(connection(extra=extra, **fields))


@pytest.mark.parametrize(
    ("login", "extra", "kind", "account_sid"),
    [
        (AC, None, "auth token", AC),
        (f" {AC}\n", {}, "auth token", AC),
        (AC, {"account_sid": "AC" + "9" * 32}, "auth token", "AC" + "9" * 32),
        (SK, {"account_sid": AC}, "API key", AC),
        (OQ, {"account_sid": AC}, "OAuth client", AC),
    ],
)
def test_every_kind_of_credential(login: str, extra: Any, kind: str, account_sid: str) -> None:
    config = read(extra, login=login)
    assert (config.kind, config.account_sid, config.uses_oauth) == (kind, account_sid, login == OQ)
    assert base64.b64decode(config.basic.partition(" ")[2]).decode() == f"{login.strip()}:{SECRET}"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"login": None}, "login"),
        ({"login": "  "}, "login"),
        ({"password": None}, "password"),
        ({"password": ""}, "password"),
        ({"login": "me@example.com"}, "login"),
        ({"login": SK}, "account_sid"),
        ({"login": OQ}, "account_sid"),
        ({"extra": "{"}, "extra"),
        ({"extra": "[]"}, "extra"),
    ],
)
def test_what_is_missing_or_wrong_is_named(fields: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Config.from_connection(connection(**fields))
    assert caught.value.field == field
    assert SECRET not in str(caught.value)


GOOD: list[tuple[str, Any, Any]] = [
    ("edge", "dublin", "dublin"),
    ("region", "ie1", "ie1"),
    ("comms_version", "preview", "preview"),
    ("comms_version", " v1 ", "v1"),
    ("base_url", "http://127.0.0.1:8025/{product}", "http://127.0.0.1:8025/{product}"),
    ("timeout", 5, 5.0),
    ("timeout", "0.5", 0.5),
    ("max_attempts", 3, 3),
    ("max_attempts", "20", 20),
    ("default_sender", " +15005550006 ", "+15005550006"),
    ("allowed_recipients", "+1500*, +1600*;+1700*\n+1800*", ("+1500*", "+1600*", "+1700*", "+1800*")),
    ("allowed_recipients", ["+1500*"], ("+1500*",)),
    ("allowed_recipients", "", ()),
    ("dry_run", True, True),
    ("dry_run", "False", False),
    ("dry_run", 1, True),
]


@pytest.mark.parametrize(("name", "given", "expected"), GOOD)
def test_an_extra_field_is_read(name: str, given: Any, expected: Any) -> None:
    value = getattr(read({name: given}), name)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize("name", sorted({row[0] for row in GOOD}))
@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_field_is_not_there(name: str, nothing: Any) -> None:
    assert read({name: nothing}) == read()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("account_sid", "AC12"),
        ("account_sid", SK),
        ("edge", "https://dublin"),
        ("edge", 5),
        ("region", "eu1"),
        ("region", ["ie1"]),
        ("comms_version", "v2"),
        ("base_url", "twilio.example.com"),
        ("base_url", "ftp://example.com"),
        ("base_url", "http://example.com/?a=b"),
        ("base_url", "http://exam ple.com"),
        ("timeout", 0),
        ("timeout", 601),
        ("timeout", "soon"),
        ("timeout", "nan"),
        ("timeout", True),
        ("max_attempts", 0),
        ("max_attempts", 21),
        ("max_attempts", 2.5),
        ("max_attempts", "many"),
        ("default_sender", 15005550006),
        ("default_sender", "  "),
        ("allowed_recipients", 5),
        ("allowed_recipients", " , "),
        ("allowed_recipients", []),
        ("dry_run", "perhaps"),
        ("dry_run", {}),
    ],
)
def test_a_bad_field_is_named_with_what_is_expected(name: str, given: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{name}: is not valid. Expected ") as caught:
        read({name: given})
    assert caught.value.field == name


def test_no_secret_is_shown_anywhere() -> None:
    config = read({"default_sender": "+15005550006", "allowed_recipients": "+1415*"})
    assert config.basic
    for secret in (SECRET, "555", "1415", config.basic.partition(" ")[2]):
        assert secret not in repr(config)


def test_equal_connections_are_equal() -> None:
    one, other = read({"timeout": 5}), read({"timeout": "5"})
    assert one == other
    assert hash(one) == hash(other)
    assert one != read({"timeout": 6})
    assert one != read({"timeout": 5}, password="another")


@pytest.mark.parametrize(
    ("edge", "region", "api", "comms"),
    [
        (None, None, "https://api.twilio.com", "https://comms.twilio.com/v1"),
        ("dublin", None, "https://api.dublin.us1.twilio.com", "https://comms.twilio.com/v1"),
        ("ashburn", "us1", "https://api.ashburn.us1.twilio.com", "https://comms.twilio.com/v1"),
        ("sydney", "ie1", "https://api.sydney.ie1.twilio.com", "https://comms.twilio.com/v1"),
        # a region alone is a dead host: it gets its own edge
        (None, "us1", "https://api.ashburn.us1.twilio.com", "https://comms.twilio.com/v1"),
        (None, "ie1", "https://api.dublin.ie1.twilio.com", "https://comms.twilio.com/v1"),
        (None, "au1", "https://api.sydney.au1.twilio.com", "https://comms.twilio.com/v1"),
        (None, "jp1", "https://api.tokyo.jp1.twilio.com", "https://comms.twilio.com/v1"),
    ],
)
def test_hosts_by_edge_and_region(edge: str | None, region: str | None, api: str, comms: str) -> None:
    config = read({"edge": edge, "region": region})
    assert (config.base("api"), config.base("comms")) == (api, comms)
    assert config.base("oauth") == "https://oauth.twilio.com"


@pytest.mark.parametrize(
    ("base_url", "api", "comms"),
    [
        (
            "http://127.0.0.1:8025/{product}",
            "http://127.0.0.1:8025/api",
            "http://127.0.0.1:8025/comms/preview",
        ),
        (
            "https://{product}.proxy.example/",
            "https://api.proxy.example",
            "https://comms.proxy.example/preview",
        ),
        (
            "https://proxy.example/twilio",
            "https://proxy.example/twilio",
            "https://proxy.example/twilio/preview",
        ),
    ],
)
def test_a_base_url_replaces_every_host(base_url: str, api: str, comms: str) -> None:
    config = read({"base_url": base_url, "region": "ie1", "comms_version": "preview"})
    assert (config.base("api"), config.base("comms")) == (api, comms)


def test_the_address_of_a_call() -> None:
    config = read()
    assert config.url(operations.fetch("x/y")) == "https://comms.twilio.com/v1/Messages/Operations/x%2Fy"
    listed = config.url(classic.list(page_size=1))
    assert listed == f"https://api.twilio.com/2010-04-01/Accounts/{AC}/Messages.json?PageSize=1"


@pytest.mark.parametrize(
    ("base_url", "page"),
    [
        (None, "https://console.twilio.com/us1/monitor/logs/sms?operationId=comms_operation_1"),
        ("http://127.0.0.1:8025/{product}", "http://127.0.0.1:8025/?search=comms_operation_1"),
        (
            "https://proxy.example/{product}",
            "https://console.twilio.com/us1/monitor/logs/sms?operationId=comms_operation_1",
        ),
    ],
)
def test_the_page_for_a_person(base_url: str | None, page: str) -> None:
    assert read({"base_url": base_url}).messages_page("comms_operation_1") == page


@pytest.mark.parametrize(
    ("patterns", "address", "allowed"),
    [
        ((), "+14155552671", True),
        (("+1500555*",), "+15005550006", True),
        (("+1500555*",), "+15015550006", False),
        (("+1500555*",), "whatsapp:+15005550006", True),
        (("+1500555*",), "+150055", False),
        (("+1?005550006",), "+15005550006", True),
        (("+15005550006", "+1600*"), "+16005550000", True),
        (("+15005550006",), "+150055500067", False),
        (("+15005550006",), "+15005550006\n", False),
        (("+1500.*",), "+15005550006", False),
        (("+1500*",), "mem_profile_1", False),
        (("+1500*", "mem_profile_*"), "mem_profile_1", True),
    ],
)
def test_who_may_be_texted(patterns: tuple[str, ...], address: str, allowed: bool) -> None:
    assert replace(read(), allowed_recipients=patterns).allows(address) == allowed


def test_what_a_connection_forbids_is_refused_without_a_number() -> None:
    config = read({"allowed_recipients": "+1500*"})
    to = [{"address": "+14155552671", "channel": "PHONE"}, {"address": "+15005550006", "channel": "PHONE"}]
    with pytest.raises(Refused, match="1 of 2 recipients are outside") as caught:
        config.permit(messages.send(to, "Hi"))
    assert "4155" not in str(caught.value)
    config.permit(messages.send(to[1:], "Hi"))
    with pytest.raises(Refused, match="1 of 1"):
        config.permit(messages.send([{"profileId": "mem_profile_1", "memoryStoreId": "mem_store_1"}], "Hi"))


def test_a_dry_run_reads_and_does_nothing_else() -> None:
    config = read({"dry_run": "true"})
    config.permit(operations.list())
    for call in (messages.send([{"address": "+1", "channel": "PHONE"}], "Hi"), sender_pools.delete("p")):
        with pytest.raises(Refused, match="dry_run is on"):
            config.permit(call)


def test_a_mistyped_extra_is_refused() -> None:
    """``allowed_recipient`` would otherwise protect nobody."""
    with pytest.raises(InvalidInput, match=r"extra: does not know allowed_recipient\. .*allowed_recipients"):
        read(extra={"allowed_recipient": "+1555*"})
