"""Accounts and OAuth tokens, which the connection test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import rfc2822
from airflow_provider_twilio_comms.emulator.credentials import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    SUSPENDED_SID,
    SUSPENDED_TOKEN,
    Tokens,
)
from airflow_provider_twilio_comms.emulator.http import Problem, Request, form, json_reply
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["accounts", "oauth"]

accounts: Routes = Routes("api", "/2010-04-01")
oauth: Routes = Routes("oauth")

_SUBRESOURCES = {
    "available_phone_numbers": "AvailablePhoneNumbers",
    "incoming_phone_numbers": "IncomingPhoneNumbers",
    "messages": "Messages",
    "short_codes": "SMS/ShortCodes",
}


@accounts("GET", "/Accounts/{AccountSid}.json", access="owner")
def fetch(twilio: State, request: Request, account_sid: str) -> Reply:
    """Read the account. The reply holds ``auth_token``, as Twilio's does: a client must drop it."""
    base = f"/2010-04-01/Accounts/{account_sid}"
    suspended = account_sid == SUSPENDED_SID
    return json_reply(
        {
            "auth_token": SUSPENDED_TOKEN if suspended else AUTH_TOKEN,
            "date_created": rfc2822(1_600_000_000),
            "date_updated": rfc2822(1_700_000_000),
            "friendly_name": "Emulated account",
            "owner_account_sid": account_sid,
            "sid": account_sid,
            "status": "suspended" if suspended else "active",
            "subresource_uris": {name: f"{base}/{part}.json" for name, part in _SUBRESOURCES.items()},
            "type": "Full",
            "uri": f"{base}.json",
        }
    )


@oauth("POST", "/v2/token", access="anyone")
def token(twilio: State, request: Request) -> Reply:
    """Issue an OAuth token, for client credentials only and without a refresh token.

    https://www.twilio.com/docs/iam/oauth-apps"""
    given = dict(form(request))
    if given.get("grant_type") != "client_credentials":
        raise Problem(400, 400, "unsupported grant_type")
    if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
        raise Problem(401, 20003, "invalid client credentials")
    if request.values.get("account_sid", ACCOUNT_SID) != ACCOUNT_SID:
        raise Problem(400, 400, "the client may not act for this account")
    return json_reply(
        {
            "access_token": twilio.part(Tokens).issue(),
            "token_type": "Bearer",
            "expires_in": twilio.options.token_lifetime,
        }
    )
