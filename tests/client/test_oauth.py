"""Access tokens: fetched when needed, kept while good, and never the reason for an uncertain send."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages, senders
from airflow_provider_twilio_comms.api.oauth import token
from airflow_provider_twilio_comms.emulator.credentials import CLIENT_ID, CLIENT_SECRET, Tokens
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import AuthenticationFailed, SendUncertain, TransportFailed
from tests.client.conftest import Connect, Runner

SEND = messages.send([{"address": "+12025550100", "channel": "PHONE"}], "Hello")


@pytest.fixture
def client(connect: Connect, server: Running) -> Runner:
    return connect(login=CLIENT_ID, secret=CLIENT_SECRET)


def issued(server: Running) -> int:
    return server.twilio.part(Tokens).issued


def sends(server: Running) -> int:
    return server.twilio.journal.counts["POST /comms/v1/Messages"]


def fault(server: Running, kind: str, path: str = "oauth", **more: Any) -> None:
    server.twilio.faults.add(Fault(**{"kind": kind, "path": path, **more}))  # type: ignore[arg-type]


def test_a_token_serves_many_calls(server: Running, client: Runner) -> None:
    for _ in range(3):
        client.run(senders.list())
    assert client.run(SEND).operation_id
    assert issued(server) == 1


@pytest.mark.parametrize(("lifetime", "tokens"), [(59, 3), (600, 1)])
def test_a_token_is_renewed_a_minute_before_it_ends(
    server: Running, client: Runner, lifetime: int, tokens: int
) -> None:
    server.twilio.change(token_lifetime=lifetime)
    for _ in range(3):
        client.run(senders.list())
    assert issued(server) == tokens
    assert {entry["status"] for entry in server.twilio.journal.recent} == {200}


def test_a_revoked_token_is_renewed_once(server: Running, client: Runner) -> None:
    client.run(senders.list())
    server.twilio.part(Tokens).revoke_all()
    assert client.run(SEND).operation_id
    assert (issued(server), sends(server)) == (2, 2)
    assert server.twilio.ledger.messages == 1


def test_a_token_that_is_never_taken_ends_in_an_error(server: Running, connect: Connect) -> None:
    client = connect(login=CLIENT_ID, secret=CLIENT_SECRET, account_sid="AC" + "9" * 32)
    from airflow_provider_twilio_comms.api.classic import accounts

    with pytest.raises(AuthenticationFailed) as caught:
        client.run(accounts.fetch())
    assert caught.value.code == 20003
    assert issued(server) == 2


@pytest.mark.parametrize("work", [SEND, senders.list()], ids=["send", "read"])
def test_a_wrong_secret_is_told_and_nothing_else_asked(server: Running, connect: Connect, work: Any) -> None:
    with pytest.raises(AuthenticationFailed, match="invalid client credentials") as caught:
        connect(login=CLIENT_ID, secret="wrong-secret").run(work)
    assert "wrong-secret" not in str(caught.value)
    assert server.twilio.journal.counts == {"POST /oauth/v2/token": 1}


@pytest.mark.parametrize(
    "kind", ["error_before", "error_after", "bad_gateway", "unavailable", "drop_before", "drop_after", "cut"]
)
def test_a_flaky_token_endpoint_does_not_make_a_send_uncertain(
    server: Running, client: Runner, kind: str
) -> None:
    fault(server, kind)
    assert client.run(SEND).operation_id
    assert sends(server) == 1
    assert server.twilio.journal.counts["POST /oauth/v2/token"] == 2


@pytest.mark.parametrize("kind", ["error_before", "drop_after", "proxy_429"])
def test_without_a_token_nothing_was_sent(server: Running, client: Runner, kind: str) -> None:
    fault(server, kind, times=None)
    with pytest.raises(TransportFailed) as caught:
        client.run(SEND)
    assert caught.value.sent is False
    assert sends(server) == 0


def test_with_a_token_the_usual_rule_holds(server: Running, client: Runner) -> None:
    fault(server, "error_after", path="comms")
    with pytest.raises(SendUncertain):
        client.run(SEND)
    assert sends(server) == 1


def test_a_token_is_not_shown() -> None:
    from airflow_provider_twilio_comms.api.oauth import Token

    assert "secret" not in repr(Token("secret-token", 60))
    assert "secret" not in repr(token("OQ1", "my-secret"))
