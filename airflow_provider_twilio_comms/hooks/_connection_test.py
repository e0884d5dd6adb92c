"""Connection test: check the credentials at Twilio without writing anything, and answer in one sentence.

Each kind of credential needs its own request: a Standard API key may not read the account, a Restricted one
may lack the right to read messages, and test credentials may read nothing at all.
https://www.twilio.com/docs/iam/api-keys
"""

from __future__ import annotations

from airflow_provider_twilio_comms.api.classic import accounts, messages
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import ApiError, AuthenticationFailed, TransportFailed


def connection_checked(config: Config) -> Flow[tuple[bool, str]]:
    """Check the credentials; yields True if they work, and a sentence that says so."""
    try:
        account = yield from made(accounts.fetch())
    except TransportFailed as error:
        return False, f"Twilio was not reached ({error}); check the host, base_url, edge and region."
    except ApiError as error:
        if error.code == 20008:
            return True, "The test credentials are valid; they send to nobody and wait for nothing."
        if error.code == 70051:
            return True, _RESTRICTED
        if isinstance(error, AuthenticationFailed) and not config.login.startswith("AC"):
            return (yield from _key_checked(config))
        return False, _refused(config, error)
    if account.status != "active":
        return False, f"The credentials are valid, but account {account.sid} is {account.status}."
    return True, f"Connected to account {account.sid} ({account.type or 'type unknown'}, active)."


def _key_checked(config: Config) -> Flow[tuple[bool, str]]:
    """Check an API key by listing a message, since a Standard key may not read the account resource."""
    try:
        yield from made(messages.list(page_size=1))
    except TransportFailed as error:
        return False, f"Twilio was not reached ({error}); check the host, base_url, edge and region."
    except ApiError as error:
        if error.code == 70051:
            return True, _RESTRICTED
        return False, _refused(config, error)
    return True, f"The {config.kind} is valid for account {config.account_sid}."


_RESTRICTED = (
    "The API key is valid but restricted: it may not read messages (70051), "
    "which sending once and waiting for delivery need."
)


def _refused(config: Config, error: ApiError) -> str:
    if error.status == 401:
        return (
            f"Twilio does not accept this {config.kind} ({error.code or 401}): the secret is wrong, "
            "or it belongs to another account or region."
        )
    if error.status == 403:
        return f"The {config.kind} is known but has no permission here ({error.code or 403}): {error.detail}"
    return f"Twilio answered {error.status} ({error.code or 'no code'}): {error.detail}"
