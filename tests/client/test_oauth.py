"""Access tokens: fetched when needed, kept while good, and never the reason for an uncertain send."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages, senders
from airflow_provider_twilio_comms.api.flows import Ended, Flow, Group
from airflow_provider_twilio_comms.api.oauth import token
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.credentials import CLIENT_ID, CLIENT_SECRET, Tokens
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import (
    AuthenticationFailed,
    RateLimited,
    SendUncertain,
    TransportFailed,
)
from tests.client.conftest import Connect, Runner
from tests.triggers.conftest import until

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


def together(count: int) -> Flow[list[Ended]]:
    """So many calls, all of them under way at a time."""
    group, found = Group(((n, senders.list()) for n in range(count)), count), list[Ended]()
    while ended := (yield group):
        found += ended
    return found


def test_calls_that_begin_together_have_one_token(server: Running, client: Runner) -> None:
    fault(server, "slow", seconds=0.2)
    assert [each.error for each in client.run(together(20))] == [None] * 20
    client.run(senders.list())
    assert issued(server) == 1


def test_a_token_that_is_revoked_under_calls_together_is_renewed_once(
    server: Running, client: Runner
) -> None:
    client.run(together(2))
    server.twilio.part(Tokens).revoke_all()
    fault(server, "slow", seconds=0.2)
    assert [each.error for each in client.run(together(20))] == [None] * 20
    assert issued(server) == 2


def test_calls_together_are_told_of_one_refusal(server: Running, connect: Connect) -> None:
    # So that the last call of the 20 has begun when the refusal comes.
    fault(server, "slow", seconds=1.0)
    found = connect(login=CLIENT_ID, secret="wrong-secret").run(together(20))
    assert [type(each.error) for each in found] == [AuthenticationFailed] * 20
    assert len({id(each.error) for each in found}) == 20  # each has a traceback of its own
    assert server.twilio.journal.counts == {"POST /oauth/v2/token": 1}


@pytest.mark.parametrize("kind", ["error_before", "drop_after", "rate_limited"])
def test_calls_together_try_no_more_often_than_one_alone(server: Running, client: Runner, kind: str) -> None:
    """The fetch is repeated, as often as any request is, and by none of the calls that wait for it."""
    fault(server, kind, times=None)
    found = client.run(together(20))
    assert {type(each.error) for each in found} == {
        RateLimited if kind == "rate_limited" else TransportFailed
    }
    assert server.twilio.journal.counts == {"POST /oauth/v2/token": 3}


def test_after_an_outage_a_token_is_fetched_again(server: Running, client: Runner) -> None:
    fault(server, "error_before", times=3)
    with pytest.raises(TransportFailed):
        client.run(senders.list())
    client.run(senders.list())
    assert issued(server) == 1


def test_threads_have_one_token(server: Running, config: Config) -> None:
    fault(server, "slow", seconds=0.2)
    client = sync.Client(replace(config, login=CLIENT_ID, secret=CLIENT_SECRET))
    start = threading.Barrier(8)

    def work(number: int) -> Any:
        start.wait()
        return client.run(together(4) if number % 2 else senders.list())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    client.close()
    assert issued(server) == 1


async def test_whoever_fetches_and_is_cancelled_leaves_it_to_the_others(
    server: Running, config: Config
) -> None:
    fault(server, "slow", seconds=60)
    async with aio.connected(replace(config, login=CLIENT_ID, secret=CLIENT_SECRET, timeout=120)) as client:
        first, *others = [asyncio.create_task(client.run(senders.list())) for _ in range(3)]
        await until(lambda: server.twilio.journal.counts["POST /oauth/v2/token"])
        others[-1].cancel()  # who waits takes nothing with it
        first.cancel()
        await others[0]
    assert issued(server) == 2
    assert server.twilio.journal.counts["GET /comms/v1/Senders"] == 1
