"""Credentials and permissions, with the error format of each generation."""

from __future__ import annotations

import base64
import json
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


def test_a_token_is_a_jwt_that_says_when_it_ends(twilio: Twilio) -> None:
    """The official client reads ``exp`` and keeps the token until then."""
    _, claims, signature = bearer(twilio).headers["authorization"].removeprefix("Bearer ").split(".")
    padded = claims + "=" * (-len(claims) % 4)
    said = json.loads(base64.urlsafe_b64decode(padded))
    assert said["exp"] - said["iat"] == twilio.options.token_lifetime
    assert said["exp"] == twilio.clock.now() + twilio.options.token_lifetime
    assert signature


ACCOUNTS = "/api/2010-04-01/Accounts.json"


def subaccount(twilio: Twilio, name: str = "Shop") -> dict[str, Any]:
    reply = CoreClient(twilio)("POST", ACCOUNTS, form={"FriendlyName": name})
    assert reply.status == 201, reply.body
    created: dict[str, Any] = reply.json()
    return created


def test_a_parents_credentials_act_for_its_subaccounts(twilio: Twilio) -> None:
    created = subaccount(twilio)
    sid, own = created["sid"], (created["sid"], created["auth_token"])
    form = {"To": "+12025550100", "From": "+15005550006", "Body": "Hi"}
    for credentials in (TOKEN, known.MAIN_KEY, own):
        assert CoreClient(twilio, credentials)("GET", of(ACCOUNT, sid)).json()["friendly_name"] == "Shop"
        assert CoreClient(twilio, credentials)("POST", of(CLASSIC, sid), form=form).status == 201
    assert len(CoreClient(twilio)("GET", of(CLASSIC, sid)).json()["messages"]) == 3
    assert CoreClient(twilio)("GET", CLASSIC).json()["messages"] == [], "those are not its own"
    other = subaccount(twilio, "Other")["sid"]
    for credentials, path in ((own, ACCOUNT), (own, of(CLASSIC, other)), (SUSPENDED, of(CLASSIC, sid))):
        assert CoreClient(twilio, credentials)("GET", path).status == 401


def test_accounts_are_listed_with_their_owner(twilio: Twilio) -> None:
    names = [subaccount(twilio, name)["friendly_name"] for name in ("Shop", "Other")]
    listed = CoreClient(twilio)("GET", ACCOUNTS).json()["accounts"]
    assert [each["friendly_name"] for each in listed] == [*reversed(names), "Emulated account"]
    assert {each["owner_account_sid"] for each in listed} == {known.ACCOUNT_SID}
    assert len(CoreClient(twilio)("GET", ACCOUNTS, FriendlyName="Shop").json()["accounts"]) == 1
    assert CoreClient(twilio)("GET", ACCOUNTS, Status="closed").json()["accounts"] == []
    assert CoreClient(twilio, known.STANDARD_KEY)("GET", ACCOUNTS).status == 401
    assert CoreClient(twilio, TEST)("GET", ACCOUNTS).status == 403


def test_a_subaccount_has_no_subaccounts(twilio: Twilio) -> None:
    created = subaccount(twilio)
    own = CoreClient(twilio, (created["sid"], created["auth_token"]))
    assert [each["sid"] for each in own("GET", ACCOUNTS).json()["accounts"]] == [created["sid"]]
    assert own("POST", ACCOUNTS, form={}).status == 403
