"""Credentials: the emulator's made-up accounts and keys, and the authentication of a request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms.emulator.http import Caller, Problem, Request
from airflow_provider_twilio_comms.emulator.subaccounts import Subaccounts

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.routes import Route
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["ACCOUNT_SID", "AUTH_TOKEN", "SENDER", "Tokens", "admit"]

ACCOUNT_SID, AUTH_TOKEN = "AC" + "e0" * 16, "emulator-auth-token"
SENDER = "+15005550006"  # Twilio's magic number that may send to everybody
STANDARD_KEY = ("SK" + "a1" * 16, "emulator-standard-secret")
MAIN_KEY = ("SK" + "b2" * 16, "emulator-main-secret")
RESTRICTED_KEY = ("SK" + "c3" * 16, "emulator-restricted-secret")
TEST_SID, TEST_TOKEN = "AC" + "7e" * 16, "emulator-test-token"
SUSPENDED_SID, SUSPENDED_TOKEN = "AC" + "5d" * 16, "emulator-suspended-token"
CLIENT_ID, CLIENT_SECRET = "OQ" + "d4" * 16, "emulator-client-secret"

_KNOWN: dict[tuple[str, str], Caller] = {
    (ACCOUNT_SID, AUTH_TOKEN): Caller(ACCOUNT_SID, "token"),
    MAIN_KEY: Caller(ACCOUNT_SID, "main"),
    STANDARD_KEY: Caller(ACCOUNT_SID, "standard"),
    RESTRICTED_KEY: Caller(ACCOUNT_SID, "restricted"),
    (TEST_SID, TEST_TOKEN): Caller(TEST_SID, "test"),
    (SUSPENDED_SID, SUSPENDED_TOKEN): Caller(SUSPENDED_SID, "suspended"),
}


class Tokens:
    """Issued OAuth tokens with the time when each ends. An old one stays valid beside a new one."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._ends: dict[str, float] = {}
        self.issued: int = 0

    def issue(self) -> str:
        self.issued += 1
        now, bits = self._twilio.clock.now(), self._twilio.random.getrandbits
        ends = now + self._twilio.options.token_lifetime
        claims = {"jti": f"{bits(128):032x}", "iss": CLIENT_ID, "iat": int(now), "exp": int(ends)}
        token = _jwt(claims, f"{bits(128):032x}")
        self._ends[token] = ends
        return token

    def valid(self, token: str) -> bool:
        return self._ends.get(token, 0.0) > self._twilio.clock.now()

    def revoke_all(self) -> int:
        """Revoke all tokens; returns how many there were."""
        count = len(self._ends)
        self._ends.clear()
        return count


def _jwt(claims: Mapping[str, Any], secret: str) -> str:
    """Write a JSON Web Token: the official client reads its ``exp``, and keeps it until then."""
    parts = [_base64(msgspec.json.encode(each)) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    return f"{text}.{_base64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def admit(twilio: State, request: Request, route: Route, account_sid: str | None) -> Caller | None:
    """Authenticate the caller and check that they may use this route on this account. Raises 401 and 403.

        account, auth token   everything, of its subaccounts too
        Main API key          everything, of the account's subaccounts too
        Standard API key      everything but accounts and keys (401, 20003)
        Restricted API key    nothing: it lacks every permission (403, 70051)
        test credentials      the few documented calls; else 403, 20008
        suspended account     its own account resource; else 403, 20005
        OAuth client          a bearer token from /oauth/v2/token, which ends on the emulator's clock

    https://www.twilio.com/docs/iam/api-keys, https://www.twilio.com/docs/iam/test-credentials
    """
    if route.access == "anyone":
        return None
    caller = _caller(twilio, request.headers.get("authorization", ""))
    if caller is None or (account_sid is not None and not _may_act_for(twilio, caller, account_sid)):
        problem = Problem(401, 20003, "Authenticate")
        problem.headers["www-authenticate"] = 'Basic realm="Twilio API"'
        raise problem
    if caller.kind == "standard" and route.access == "owner":
        raise Problem(401, 20003, "Authenticate")
    if caller.kind == "restricted":
        raise Problem(403, 70051, "Authorization error: the API key lacks the permission for this")
    if caller.kind == "test" and not route.test:
        raise Problem(403, 20008, "Resource not accessible with Test Account Credentials")
    if caller.kind == "suspended" and route.access != "owner":
        raise Problem(403, 20005, "Account not active")
    return caller


def _may_act_for(twilio: State, caller: Caller, account_sid: str) -> bool:
    """Tell if it is the caller's account, or a subaccount of it: a parent's credentials do for all."""
    parent = caller.account_sid == ACCOUNT_SID and caller.kind in ("token", "main")
    return account_sid == caller.account_sid or (parent and account_sid in twilio.part(Subaccounts).by_sid)


def _caller(twilio: State, header: str) -> Caller | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return Caller(ACCOUNT_SID, "oauth") if twilio.part(Tokens).valid(value.strip()) else None
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if twilio.part(Subaccounts).owner_of(user, password):
        return Caller(user, "token")
    return _KNOWN.get((user, password))
