"""Faults on real sockets: the client's view, and if Twilio has sent."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.demo.processes import until
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running, running
from tests.emulator.callers import message


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(pace=0) as started:
        yield started


@pytest.fixture
def emulator(server: Running) -> Running:
    server.twilio.reset()
    return server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = (ACCOUNT_SID, AUTH_TOKEN)
        session.trust_env = False
        yield session


def send(emulator: Running, session: requests.Session, **options: Any) -> requests.Response:
    return session.post(f"{emulator.url}/comms/v1/Messages", json=message(), timeout=5, **options)


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "code", "sent"),
    [
        (Fault(kind="rate_limited"), 429, None, 20429, 0),
        (Fault(kind="rate_limited", retry_after=2), 429, "2", 20429, 0),
        (Fault(kind="rate_limited", retry_after="Thu, 01 Oct 2026 17:00:00 GMT"), 429, "Thu, ", 20429, 0),
        (Fault(kind="proxy_429"), 429, None, None, 0),
        (Fault(kind="unavailable"), 503, None, 20503, 0),
        (Fault(kind="unavailable", retry_after=0.5), 503, "0.5", 20503, 0),
        (Fault(kind="error_before"), 500, None, 20500, 0),
        (Fault(kind="error_after"), 500, None, 20500, 1),
        (Fault(kind="bad_gateway"), 502, None, None, 0),
        (Fault(kind="bad_gateway", processed=True), 502, None, None, 1),
    ],
)
def test_a_reply_in_place_of_the_true_one(
    emulator: Running,
    session: requests.Session,
    fault: Fault,
    status: int,
    retry_after: str | None,
    code: int | None,
    sent: int,
) -> None:
    emulator.twilio.faults.add(fault)
    reply = send(emulator, session)
    assert reply.status_code == status
    assert (reply.headers.get("Retry-After") or "").startswith(retry_after or "")
    assert ("Retry-After" in reply.headers) == (retry_after is not None)
    if code:
        assert reply.json()["errors"][0]["code"] == code
    else:
        assert reply.text.startswith("<html>")
    assert emulator.twilio.ledger.messages == sent
    assert send(emulator, session).status_code == 202


def test_the_classic_generation_has_its_own_shape(emulator: Running, session: requests.Session) -> None:
    emulator.twilio.faults.add(Fault(kind="rate_limited", path="^/api/"))
    reply = session.get(f"{emulator.url}/api/2010-04-01/Accounts/{ACCOUNT_SID}.json", timeout=5)
    assert reply.json() == {
        "code": 20429,
        "message": "Too Many Requests",
        "more_info": "https://www.twilio.com/docs/errors/20429",
        "status": 429,
    }


@pytest.mark.parametrize(
    ("kind", "error", "sent"),
    [
        ("drop_before", requests.ConnectionError, 0),
        ("drop_after", requests.ConnectionError, 1),
        ("cut", requests.exceptions.ChunkedEncodingError, 1),
    ],
)
def test_a_connection_that_breaks(
    emulator: Running, session: requests.Session, kind: Any, error: type[Exception], sent: int
) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, method="POST"))
    with pytest.raises(error):
        send(emulator, session)
    assert emulator.twilio.ledger.recipients == ({"+12025550100": 1} if sent else {})
    assert send(emulator, session).status_code == 202


def test_a_reply_can_be_late_though_it_was_processed_at_once(
    emulator: Running, session: requests.Session
) -> None:
    emulator.twilio.faults.add(Fault(kind="slow", seconds=0.4))
    with pytest.raises(requests.ReadTimeout):
        session.post(f"{emulator.url}/comms/v1/Messages", json=message(), timeout=0.1)
    until(lambda: emulator.twilio.ledger.messages == 1, timeout=30, what="the message")


def test_a_slow_reply_is_whole(emulator: Running, session: requests.Session) -> None:
    emulator.twilio.faults.add(Fault(kind="slow", seconds=0.2))
    began = time.monotonic()
    assert send(emulator, session).json()["operationId"]
    assert time.monotonic() - began >= 0.2


def raw(emulator: Running, head: str, body: bytes) -> bytes:
    """Read everything that comes back before the connection ends."""
    port = int(emulator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "cut"])
def test_what_is_on_the_wire(emulator: Running, kind: Any) -> None:
    emulator.twilio.faults.add(Fault(kind=kind))
    body = json.dumps(message()).encode()
    head = (
        "POST /comms/v1/Messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: {requests.auth._basic_auth_str(ACCOUNT_SID, AUTH_TOKEN)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    received = raw(emulator, head, body)
    if kind == "cut":
        start, _, rest = received.partition(b"\r\n\r\n")
        (length,) = (
            line.split(b":")[1] for line in start.split(b"\r\n") if line.startswith(b"content-length")
        )
        assert start.startswith(b"HTTP/1.1 202")
        assert 0 < len(rest) < int(length)
    else:
        assert received == b""


def test_a_drop_before_the_body_does_not_wait_for_it(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="drop_before"))
    head = "POST /comms/v1/Messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
    assert raw(emulator, head, b"{") == b""
    assert emulator.twilio.journal.recent[-1]["fault"] == "drop_before"


def test_which_requests_a_fault_strikes(emulator: Running, session: requests.Session) -> None:
    faults = emulator.twilio.faults
    faults.add(Fault(kind="error_before", method="GET", path="/Operations/", skip=1, times=2))
    operation = send(emulator, session).json()["operationId"]
    url = f"{emulator.url}/comms/v1/Messages/Operations/{operation}"
    assert [session.get(url, timeout=5).status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    faults.add(Fault(kind="unavailable", times=None, path="Messages$"))
    assert [send(emulator, session).status_code for _ in range(3)] == [503] * 3
    faults.clear()
    assert send(emulator, session).status_code == 202


def test_a_list_that_lags(emulator: Running, session: requests.Session) -> None:
    emulator.twilio.faults.add(Fault(kind="lag", method="GET", seconds=60))
    send(emulator, session)
    url = f"{emulator.url}/comms/v1/Messages"
    assert [len(session.get(url, timeout=5).json()["messages"]) for _ in range(2)] == [0, 1]


def test_every_reply_has_a_request_id(emulator: Running, session: requests.Session) -> None:
    emulator.twilio.faults.add(Fault(kind="bad_gateway"))
    ids = {send(emulator, session).headers["Twilio-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(each.startswith("RQ") and len(each) == 34 for each in ids)
