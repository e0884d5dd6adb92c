"""Accounts with subaccounts, and OAuth tokens: https://www.twilio.com/docs/iam/api/account"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_twilio_comms.api.classic.accounts import Filter
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given
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
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes
from airflow_provider_twilio_comms.emulator.subaccounts import Subaccounts

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


class _Creation(TypedDict, total=False):
    friendly_name: str


@accounts("GET", "/Accounts/{AccountSid}.json", access="owner")
def fetch(twilio: State, request: Request, account_sid: str) -> Reply:
    """Read an account. The reply holds ``auth_token``, as Twilio's does: a client must drop it."""
    return json_reply(_view(twilio, account_sid))


@accounts("GET", "/Accounts.json", access="owner")
def list_accounts(twilio: State, request: Request) -> Reply:
    """List the caller's account and its subaccounts, newest first, each with its ``auth_token``."""
    only, own = asked(request, Filter), _own(request)
    below = reversed(twilio.part(Subaccounts).by_sid) if own == ACCOUNT_SID else ()
    views = (_view(twilio, sid) for sid in (*below, own))
    found = [
        view
        for view in views
        if only.get("friendly_name") in (None, view["friendly_name"])
        and only.get("status") in (None, view["status"])
    ]
    return uri_page(request, "accounts", found)


@accounts("POST", "/Accounts.json", access="owner")
def create(twilio: State, request: Request) -> Reply:
    """Create a subaccount. A subaccount has none of its own."""
    wanted = given(request, _Creation)
    if _own(request) != ACCOUNT_SID:
        raise Problem(403, 20403, "A subaccount cannot create accounts")
    account = twilio.part(Subaccounts).create(wanted.get("friendly_name") or "SubAccount")
    return json_reply(_view(twilio, account.sid), 201)


def _own(request: Request) -> str:
    assert request.caller is not None
    return request.caller.account_sid


def _view(twilio: State, account_sid: str) -> dict[str, Any]:
    base, account = f"/2010-04-01/Accounts/{account_sid}", twilio.part(Subaccounts).by_sid.get(account_sid)
    suspended = account_sid == SUSPENDED_SID
    created = rfc2822(account.created if account else 1_600_000_000)
    return {
        "auth_token": account.auth_token if account else SUSPENDED_TOKEN if suspended else AUTH_TOKEN,
        "date_created": created,
        "date_updated": created if account else rfc2822(1_700_000_000),
        "friendly_name": account.friendly_name if account else "Emulated account",
        "owner_account_sid": ACCOUNT_SID if account else account_sid,
        "sid": account_sid,
        "status": "suspended" if suspended else "active",
        "subresource_uris": {name: f"{base}/{part}.json" for name, part in _SUBRESOURCES.items()},
        "type": "Full",
        "uri": f"{base}.json",
    }


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
