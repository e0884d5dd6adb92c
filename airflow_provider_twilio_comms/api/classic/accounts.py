"""Accounts: https://www.twilio.com/docs/iam/api/account"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import AccountSid, Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Account", "Filter", "fetch", "list"]


class Account(Resource, frozen=True):
    """An account. Twilio's reply also carries its auth token: it has no field here, so it is dropped."""

    sid: str
    friendly_name: str | None = None
    status: str | None = None  # active, suspended, closed
    type: str | None = None  # Trial, Full
    owner_account_sid: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Filter(Paged, total=False):
    """Filters of the list of accounts."""

    friendly_name: str
    status: Literal["active", "suspended", "closed"]


def list(**only: Unpack[Filter]) -> Call[Page[Account]]:
    """List the account and its subaccounts: ``GET /2010-04-01/Accounts.json``.

    A Standard API key may not: it gets 401 with code 20003.
    """
    call = Call("GET", "/2010-04-01/Accounts.json", nothing, "api", query=pairs(Filter, only))
    return paged(call, "accounts", Account)


def fetch(sid: AccountSid | None = None) -> Call[Account]:
    """Read an account, else the connection's own: ``GET /2010-04-01/Accounts/{Sid}.json``.

    A Standard API key may not: it gets 401 with code 20003 for accounts, and nowhere else.
    """
    if sid is None:
        return Call("GET", "/2010-04-01/Accounts/{AccountSid}.json", one(Account), "api")
    values = {"Sid": valid("sid", sid, AccountSid)}
    return Call("GET", "/2010-04-01/Accounts/{Sid}.json", one(Account), "api", values)
