"""Testing a connection: one sentence for every kind of credential, nothing written, no secret told."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator import credentials as known
from airflow_provider_twilio_comms.emulator.credentials import Tokens
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment

OWNER = {"account_sid": known.ACCOUNT_SID}
OF_TEST = {"account_sid": known.TEST_SID}
REFUSED = (
    "Twilio does not accept this {} (20003): the secret is wrong, or it belongs to another account or region."
)
RESTRICTED = (
    "The API key is valid but restricted: it may not read messages (70051), "
    "which sending once and waiting for delivery need."
)

CASES: list[tuple[str, tuple[str, str], dict[str, Any], bool, str]] = [
    (
        "auth token",
        (known.ACCOUNT_SID, known.AUTH_TOKEN),
        {},
        True,
        f"Connected to account {known.ACCOUNT_SID} (Full, active).",
    ),
    ("Main key", known.MAIN_KEY, OWNER, True, f"Connected to account {known.ACCOUNT_SID} (Full, active)."),
    (
        "Standard key",
        known.STANDARD_KEY,
        OWNER,
        True,
        f"The API key is valid for account {known.ACCOUNT_SID}.",
    ),
    ("Restricted key", known.RESTRICTED_KEY, OWNER, True, RESTRICTED),
    (
        "test credentials",
        (known.TEST_SID, known.TEST_TOKEN),
        {},
        True,
        "The test credentials are valid; they send to nobody and wait for nothing.",
    ),
    (
        "suspended account",
        (known.SUSPENDED_SID, known.SUSPENDED_TOKEN),
        {},
        False,
        f"The credentials are valid, but account {known.SUSPENDED_SID} is suspended.",
    ),
    ("OAuth", (known.CLIENT_ID, known.CLIENT_SECRET), OWNER, True, ""),
    ("wrong token", (known.ACCOUNT_SID, "wrong"), {}, False, REFUSED.format("auth token")),
    ("wrong key secret", (known.STANDARD_KEY[0], "wrong"), OWNER, False, REFUSED.format("API key")),
    ("another's key", known.STANDARD_KEY, OF_TEST, False, REFUSED.format("API key")),
    ("wrong client secret", (known.CLIENT_ID, "wrong"), OWNER, False, REFUSED.format("OAuth client")),
    (
        "key without account",
        known.STANDARD_KEY,
        {},
        False,
        "account_sid: is missing, and API key credentials do not say whose they are. "
        "Set it in the connection's extra",
    ),
    (
        "no login",
        ("", "x"),
        {},
        False,
        "login: is empty. Give an account SID with its auth token, or an API key ",
    ),
    (
        "a bad field",
        (known.ACCOUNT_SID, known.AUTH_TOKEN),
        {"region": "eu1"},
        False,
        "region: is not valid. Expected one of us1, ie1, au1, jp1",
    ),
]


@pytest.mark.parametrize(
    ("login", "extra", "good", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_connection_is_tested_in_one_sentence(
    emulator: Running, login: tuple[str, str], extra: dict[str, Any], good: bool, sentence: str
) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(*login, **extra)):
        status, message = TwilioHook().test_connection()
    assert status is good, message
    assert message.startswith(sentence)
    for secret in (login[1] if len(login[1]) > 1 else "-", known.AUTH_TOKEN, "emulated."):
        assert secret not in message.replace("the secret is wrong", "")
    assert {entry["method"] for entry in emulator.twilio.journal.recent} <= {"GET", "POST"}
    posts = [key for key in emulator.twilio.journal.counts if key.startswith("POST")]
    assert posts in ([], ["POST /oauth/v2/token"])
    assert emulator.twilio.ledger.requests == 0


def test_oauth_is_good_for_the_account(emulator: Running) -> None:
    text = emulator.connection_json(known.CLIENT_ID, known.CLIENT_SECRET, **OWNER)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=text):
        hook = TwilioHook()
        assert hook.test_connection() == (True, f"Connected to account {known.ACCOUNT_SID} (Full, active).")
        assert hook.test_connection()[0]
    assert emulator.twilio.part(Tokens).issued == 1


def unreachable() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_host_that_is_not_there() -> None:
    text = json.dumps(
        {
            "conn_type": "twilio",
            "login": known.ACCOUNT_SID,
            "password": "secret",
            "extra": {"base_url": unreachable(), "max_attempts": 2},
        }
    )
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=text):
        status, message = TwilioHook().test_connection()
    assert status is False
    assert message.startswith("Twilio was not reached (GET 127.0.0.1:")
    assert message.endswith("the host could not be reached); check the host, base_url, edge and region.")


@pytest.mark.parametrize(
    ("path", "login"),
    [("Accounts/[^/]*$", (known.ACCOUNT_SID, known.AUTH_TOKEN)), ("Messages.json", known.STANDARD_KEY)],
)
def test_a_twilio_that_is_broken_is_not_the_credentials_fault(
    emulator: Running, path: str, login: tuple[str, str]
) -> None:
    emulator.twilio.faults.add(Fault(kind="error_before", path=path, times=None))
    text = emulator.connection_json(*login, max_attempts=2, **OWNER)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=text):
        status, message = TwilioHook().test_connection()
    assert (status, message) == (False, "Twilio answered 500 (20500): Internal server error")


def test_a_line_that_breaks_while_the_key_is_tested(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_after", path="Messages.json", times=None))
    text = emulator.connection_json(*known.STANDARD_KEY, max_attempts=2, **OWNER)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=text):
        status, message = TwilioHook().test_connection()
    assert status is False
    assert message.startswith("Twilio was not reached (GET 127.0.0.1:")


def test_a_dry_run_can_be_tested_too(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(dry_run=True)):
        assert TwilioHook().test_connection()[0]
