"""Credentials and permissions, with the error format of each generation."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator import credentials as known
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.callers import CoreClient

ACCOUNT = f"/api/2010-04-01/Accounts/{known.ACCOUNT_SID}.json"
CLASSIC = f"/api/2010-04-01/Accounts/{known.ACCOUNT_SID}/Messages.json"
COMMS = "/comms/v1/Messages"
TOKEN = (known.ACCOUNT_SID, known.AUTH_TOKEN)
TEST = (known.TEST_SID, known.TEST_TOKEN)
SUSPENDED = (known.SUSPENDED_SID, known.SUSPENDED_TOKEN)
CLIENT = {
    "grant_type": "client_credentials",
    "client_id": known.CLIENT_ID,
    "client_secret": known.CLIENT_SECRET,
}


def of(path: str, account_sid: str) -> str:
    return path.replace(known.ACCOUNT_SID, account_sid)


@pytest.mark.parametrize(
    ("credentials", "path", "status", "code"),
    [
        (TOKEN, ACCOUNT, 200, None),
        (TOKEN, CLASSIC, 200, None),
        (TOKEN, COMMS, 200, None),
        (known.MAIN_KEY, ACCOUNT, 200, None),
        (known.MAIN_KEY, COMMS, 200, None),
        (known.STANDARD_KEY, ACCOUNT, 401, 20003),
        (known.STANDARD_KEY, CLASSIC, 200, None),
        (known.STANDARD_KEY, COMMS, 200, None),
        (known.RESTRICTED_KEY, ACCOUNT, 403, 70051),
        (known.RESTRICTED_KEY, CLASSIC, 403, 70051),
        (known.RESTRICTED_KEY, COMMS, 403, 70051),
        (TEST, of(ACCOUNT, known.TEST_SID), 403, 20008),
        (TEST, COMMS, 403, 20008),
        (SUSPENDED, of(ACCOUNT, known.SUSPENDED_SID), 200, None),
        (SUSPENDED, of(CLASSIC, known.SUSPENDED_SID), 403, 20005),
        (SUSPENDED, COMMS, 403, 20005),
        (None, ACCOUNT, 401, 20003),
        (None, COMMS, 401, 20003),
        ((known.ACCOUNT_SID, "wrong"), ACCOUNT, 401, 20003),
        ((known.ACCOUNT_SID, "wrong"), COMMS, 401, 20003),
        ((known.ACCOUNT_SID, known.MAIN_KEY[1]), COMMS, 401, 20003),
        (TOKEN, of(ACCOUNT, "AC" + "9" * 32), 401, 20003),
        (SUSPENDED, ACCOUNT, 401, 20003),
    ],
)
def test_access(twilio: Twilio, credentials: Any, path: str, status: int, code: int | None) -> None:
    reply = CoreClient(twilio, credentials)("GET", path)
    assert reply.status == status, reply.body
    if code:
        body = reply.json()
        error = body["errors"][0] if path == COMMS else body
        assert error["code"] == code
        assert (error["infoUrl"] if path == COMMS else error["more_info"]).endswith(str(code))
        assert path == COMMS or body["status"] == status


def test_the_account_shows_its_token_and_its_status(twilio: Twilio) -> None:
    account = CoreClient(twilio)("GET", ACCOUNT).json()
    assert (account["auth_token"], account["status"]) == (known.AUTH_TOKEN, "active")
    suspended = CoreClient(twilio, SUSPENDED)("GET", of(ACCOUNT, known.SUSPENDED_SID)).json()
    assert suspended["status"] == "suspended"


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic QQ==", "Digest x", "Bearer ", "Bearer x"])
def test_a_malformed_header_is_a_401(twilio: Twilio, header: str) -> None:
    ask = CoreClient(twilio, None)
    ask.headers["authorization"] = header
    assert ask("GET", COMMS).status == 401


def test_an_unknown_path_is_a_404_even_without_credentials(twilio: Twilio) -> None:
    assert CoreClient(twilio, None)("GET", "/comms/v1/Nothing").status == 404


def bearer(twilio: Twilio) -> CoreClient:
    ask = CoreClient(twilio, None)
    granted = ask("POST", "/oauth/v2/token", form=CLIENT).json()
    assert granted["token_type"] == "Bearer"
    assert granted["expires_in"] == twilio.options.token_lifetime
    ask.headers["authorization"] = f"Bearer {granted['access_token']}"
    return ask


def test_a_bearer_token_ends_on_the_clock(twilio: Twilio) -> None:
    twilio.change(token_lifetime=60)
    ask = bearer(twilio)
    assert ask("GET", COMMS).status == ask("GET", CLASSIC).status == ask("GET", ACCOUNT).status == 200
    twilio.clock.advance(59)
    other = bearer(twilio)
    assert ask("GET", COMMS).status == 200  # a new token does not end an old one
    twilio.clock.advance(1)
    assert (ask("GET", COMMS).status, other("GET", COMMS).status) == (401, 200)


def test_tokens_can_be_revoked(twilio: Twilio) -> None:
    ask = bearer(twilio)
    twilio.part(known.Tokens).revoke_all()
    assert ask("GET", COMMS).status == 401
    assert bearer(twilio)("GET", COMMS).status == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [({"client_secret": "wrong"}, 401), ({"grant_type": "password"}, 400), ({"client_id": ""}, 401)],
)
def test_a_token_is_not_given_to_everyone(twilio: Twilio, change: dict[str, str], status: int) -> None:
    assert CoreClient(twilio, None)("POST", "/oauth/v2/token", form={**CLIENT, **change}).status == status
