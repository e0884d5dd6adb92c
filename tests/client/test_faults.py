"""Faults of the network and of Twilio, on real sockets: both runners do the same about them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms import messages, sender_pools, senders
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    RateLimited,
    SendUncertain,
    ServerFailed,
    TransportFailed,
    TwilioError,
)
from tests.client.conftest import Connect, Runner, Scripted

TO = "+12025550100"
SEND = messages.send([{"address": TO, "channel": "PHONE"}], "Hello")


def fault(server: Running, kind: str, **more: Any) -> None:
    server.twilio.faults.add(Fault(**{"kind": kind, **more}))  # type: ignore[arg-type]


def asked(server: Running, route: str = "/comms/v1/Messages", method: str = "POST") -> int:
    """Count how many requests arrived."""
    return server.twilio.journal.counts[f"{method} {route}"]


# kind, more of the fault, whether a send is made again, whether Twilio took the first one
FAULTS: list[tuple[str, dict[str, Any], bool, int]] = [
    ("rate_limited", {}, True, 0),
    ("rate_limited", {"retry_after": 0}, True, 0),
    ("proxy_429", {}, False, 0),
    ("unavailable", {"retry_after": 0}, True, 0),
    ("unavailable", {}, False, 0),
    ("unavailable", {"processed": True}, False, 1),
    ("error_before", {}, False, 0),
    ("error_after", {}, False, 1),
    ("bad_gateway", {}, False, 0),
    ("bad_gateway", {"processed": True}, False, 1),
    ("drop_before", {}, False, 0),
    ("drop_after", {}, False, 1),
    ("cut", {}, False, 1),
    ("slow", {"seconds": 2.0}, False, 1),
]
IDS = [" ".join([kind, *map(str, more)]) for kind, more, _, _ in FAULTS]


@pytest.fixture
def hasty(connect: Connect, kind: str) -> Runner:
    """A runner that does not wait for a slow reply."""
    return connect(timeout=1.0 if kind == "slow" else 30)


@pytest.mark.parametrize(("kind", "more", "again", "taken"), FAULTS, ids=IDS)
def test_a_read_is_made_again_and_succeeds(
    server: Running, hasty: Runner, kind: str, more: dict[str, Any], again: bool, taken: int
) -> None:
    fault(server, kind, **more)
    assert len(hasty.run(senders.list()).items) == 6
    assert asked(server, "/comms/v1/Senders", "GET") == 2


@pytest.mark.parametrize(("kind", "more", "again", "taken"), FAULTS, ids=IDS)
def test_a_send_is_made_again_only_where_it_cannot_have_happened(
    server: Running, hasty: Runner, kind: str, more: dict[str, Any], again: bool, taken: int
) -> None:
    fault(server, kind, method="POST", **more)
    if again:
        assert hasty.run(SEND).operation_id
    else:
        with pytest.raises(SendUncertain) as caught:
            hasty.run(SEND)
        assert caught.value.part == "/Messages"
        assert TO not in str(caught.value)
    assert asked(server) == (2 if again else 1)
    assert server.twilio.ledger.recipients[TO] == (1 if again else taken)


@pytest.mark.parametrize(("kind", "more", "again", "taken"), FAULTS, ids=IDS)
def test_a_post_that_creates_is_not_made_again_either(
    server: Running, hasty: Runner, kind: str, more: dict[str, Any], again: bool, taken: int
) -> None:
    fault(server, kind, method="POST", **more)
    if again:
        hasty.run(sender_pools.create("North"))
    else:
        with pytest.raises((ServerFailed, TransportFailed)) as caught:
            hasty.run(sender_pools.create("North"))
        assert not isinstance(caught.value, TransportFailed) or caught.value.sent
    assert asked(server, "/comms/v1/SenderPools") == (2 if again else 1)


@pytest.mark.parametrize(("kind", "more", "again", "taken"), FAULTS, ids=IDS)
def test_a_post_that_reads_is_made_again(
    server: Running, hasty: Runner, kind: str, more: dict[str, Any], again: bool, taken: int
) -> None:
    fault(server, kind, **more)
    assert len(hasty.run(senders.search("+15005550006", "SMS")).items) == 1
    assert asked(server, "/comms/v1/Senders/Search") == 2


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rate_limited", RateLimited),
        ("proxy_429", ServerFailed),
        ("unavailable", ServerFailed),
        ("error_before", ServerFailed),
        ("bad_gateway", ServerFailed),
        ("drop_after", TransportFailed),
        ("cut", TransportFailed),
    ],
)
def test_what_does_not_get_better_is_told_after_the_last_attempt(
    server: Running, connect: Connect, kind: str, error: type[TwilioError]
) -> None:
    fault(server, kind, times=None)
    with pytest.raises(error):
        connect(max_attempts=4).run(senders.list())
    assert asked(server, "/comms/v1/Senders", "GET") == 4


def test_a_rate_limit_without_end_is_told_as_such_and_sends_nothing(server: Running, runner: Runner) -> None:
    fault(server, "rate_limited", times=None)
    with pytest.raises(RateLimited) as caught:
        runner.run(SEND)
    assert (caught.value.status, caught.value.code, caught.value.verdict) == (429, 20429, "retry")
    assert (asked(server), server.twilio.ledger.messages) == (3, 0)


def test_one_attempt_means_one(server: Running, connect: Connect) -> None:
    fault(server, "rate_limited")
    with pytest.raises(RateLimited):
        connect(max_attempts=1).run(senders.list())
    assert asked(server, "/comms/v1/Senders", "GET") == 1


@pytest.mark.parametrize("kind", ["rate_limited", "unavailable"])
def test_retry_after_is_waited_for(server: Running, runner: Runner, kind: str) -> None:
    fault(server, kind, retry_after=0.6)
    began = time.monotonic()
    runner.run(SEND)
    assert time.monotonic() - began >= 0.6
    assert asked(server) == 2


def test_a_retry_after_beyond_patience_is_left_to_airflow(server: Running, runner: Runner) -> None:
    fault(server, "rate_limited", retry_after=301, times=None)
    with pytest.raises(RateLimited) as caught:
        runner.run(senders.list())
    assert caught.value.retry_after == 301
    assert asked(server, "/comms/v1/Senders", "GET") == 1


def test_a_refused_connection_is_repeated_and_nothing_was_sent(connect: Connect, scripted: Scripted) -> None:
    scripted.close()
    for work in (SEND, senders.list()):
        with pytest.raises(TransportFailed, match="could not be reached") as caught:
            connect(base_url=scripted.base_url).run(work)
        assert caught.value.sent is False


def test_a_host_without_an_address_is_no_uncertain_send(connect: Connect) -> None:
    with pytest.raises(TransportFailed, match=r"comms\.twilio\.invalid: the host could not") as caught:
        connect(base_url="http://{product}.twilio.invalid").run(SEND)
    assert caught.value.sent is False


def test_a_tls_handshake_that_fails_sends_nothing(connect: Connect, server: Running) -> None:
    with pytest.raises(TransportFailed) as caught:
        connect(base_url=server.base_url.replace("http:", "https:")).run(SEND)
    assert caught.value.sent is False
    assert server.twilio.journal.counts == {}


def test_a_slow_reply_is_told_with_the_time_that_was_waited(server: Running, connect: Connect) -> None:
    fault(server, "slow", seconds=1.0, times=None)
    with pytest.raises(TransportFailed, match=r"no answer within 0\.2 s") as caught:
        connect(timeout=0.2, max_attempts=1).run(senders.list())
    assert caught.value.sent is True


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"no HTTP at all\r\n\r\n"])
def test_a_connection_that_breaks_leaves_a_send_uncertain(
    connect: Connect, scripted: Scripted, answer: bytes
) -> None:
    scripted.replies = [answer]
    with pytest.raises(SendUncertain):
        connect(base_url=scripted.base_url).run(SEND)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>cut", b'{"operationId": "comms_op'], ids=["HTML", "cut JSON of the right length"]
)
def test_an_accepted_send_with_an_unreadable_body_is_accepted(
    connect: Connect, scripted: Scripted, body: bytes
) -> None:
    scripted.says("202 Accepted", body, "operationId: comms_operation_1")
    assert connect(base_url=scripted.base_url).run(SEND).operation_id == "comms_operation_1"


def test_errors_that_repeating_does_not_mend_are_told_at_once(server: Running, runner: Runner) -> None:
    unknown: Call[Any] = messages.fetch("comms_message_0" + "0" * 25)
    with pytest.raises(ApiError) as caught:
        runner.run(unknown)
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert (caught.value.request_id or "").startswith("RQ")
    assert server.twilio.journal.to_dict()["total"] == 1


@pytest.mark.parametrize("status", ["408 Request Timeout", "425 Too Early", "499 Client Closed Request"])
def test_a_gateways_4xx_after_forwarding_leaves_a_send_uncertain(
    connect: Connect, scripted: Scripted, status: str
) -> None:
    runner = connect(base_url=scripted.base_url)
    scripted.says(status, b"<html>upstream request timeout</html>")
    with pytest.raises(SendUncertain, match=f"Twilio answered {status[:3]}"):
        runner.run(SEND)
    assert len(scripted.requests) == 1


def test_a_gateways_408_to_a_read_is_tried_again(connect: Connect, scripted: Scripted) -> None:
    runner = connect(base_url=scripted.base_url)
    scripted.says("408 Request Timeout")
    scripted.says("200 OK", b'{"id": "comms_message_1"}')
    assert runner.run(messages.fetch("comms_message_1")).id == "comms_message_1"
