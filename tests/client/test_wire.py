"""Requests on the wire, and what never is there: other hosts, other credentials, a second of anything."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

import airflow_provider_twilio_comms
from airflow_provider_twilio_comms.api.classic import messages as classic
from airflow_provider_twilio_comms.api.comms import messages, operations, senders
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    Refused,
    SendUncertain,
    ServerFailed,
    TransportFailed,
    TwilioError,
)
from tests.client.conftest import Connect, Runner, Scripted
from tests.conftest import environment

TO = "+12025550100"
SEND = messages.send([{"address": TO, "channel": "PHONE"}], "Hello from Ada")
BASIC = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers, body."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    return line, {name.lower(): value for name, _, value in (h.partition(": ") for h in headers)}, body


def test_a_send_on_the_wire(connect: Connect, scripted: Scripted) -> None:
    scripted.says("202 Accepted", b'{"operationId": "comms_operation_1"}')
    assert connect(base_url=scripted.base_url).run(SEND).operation_id == "comms_operation_1"
    line, headers, body = parts(scripted.requests[0])
    assert line == "POST /comms/v1/Messages HTTP/1.1"
    assert headers["authorization"] == f"Basic {BASIC}"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == (
        f"airflow-provider-twilio-comms/{airflow_provider_twilio_comms.__version__}"
    )
    assert headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in headers
    assert body == SEND.content()[1]


def test_a_read_on_the_wire(connect: Connect, scripted: Scripted) -> None:
    scripted.says("200 OK", b'{"messages": []}')
    connect(base_url=scripted.base_url, comms_version="preview").run(messages.list(tags={"a": "b"}))
    line, headers, body = parts(scripted.requests[0])
    assert line == "GET /comms/preview/Messages?tags=a%3Ab%3B HTTP/1.1"
    assert (headers.get("content-length", "0"), body) == ("0", b"")


def test_a_form_on_the_wire(connect: Connect, scripted: Scripted) -> None:
    sid = "SM" + "1" * 32
    scripted.says("201 Created", msgspec.json.encode({"sid": sid, "status": "queued"}))
    call = classic.send(TO, from_="+15005550006", body="ü & ü")
    assert connect(base_url=scripted.base_url).run(call).sid == sid
    line, headers, body = parts(scripted.requests[0])
    assert line == f"POST /api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json HTTP/1.1"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body == b"To=%2B12025550100&From=%2B15005550006&Body=%C3%BC+%26+%C3%BC"


def test_ten_megabytes_go_through(server: Running, runner: Runner) -> None:
    to = [
        {"address": f"+1202555{number:04}", "channel": "PHONE", "variables": {"text": "x" * 900}}
        for number in range(9_000)
    ]
    assert runner.run(messages.send(to, "Hello")).operation_id
    assert server.twilio.ledger.messages == 9_000


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"])
def test_a_redirect_is_not_followed(connect: Connect, scripted: Scripted, status: str) -> None:
    other = Scripted()
    try:
        for _ in range(9):
            scripted.says(status, b"", f"Location: http://127.0.0.1:{other.port}/comms/v1/Messages")
        client = connect(base_url=scripted.base_url)
        with pytest.raises(ServerFailed):
            client.run(senders.list())
        with pytest.raises(SendUncertain):
            client.run(SEND)
        assert other.requests == []
    finally:
        other.close()


def test_seek_reads_the_address_and_goes_nowhere(connect: Connect, scripted: Scripted) -> None:
    scripted.says("301 Moved", b"", "Location: http://elsewhere.invalid/v1/Messages/comms_message_1")
    found = connect(base_url=scripted.base_url).run(messages.seek("SM" + "1" * 32))
    assert found == "comms_message_1"
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    "following", ["http://elsewhere.invalid/v1/Messages?pageToken=T_1", "//elsewhere.invalid/?pageToken=T_1"]
)
def test_the_next_page_is_asked_of_our_own_host(connect: Connect, scripted: Scripted, following: str) -> None:
    first = {"messages": [{"id": "comms_message_1"}], "pagination": {"next": following}}
    scripted.says("200 OK", msgspec.json.encode(first))
    scripted.says("200 OK", b'{"messages": [{"id": "comms_message_2"}], "pagination": {"next": null}}')
    rows = connect(base_url=scripted.base_url).run(every_item(messages.list()))
    assert [row.id for row in rows] == ["comms_message_1", "comms_message_2"]
    assert parts(scripted.requests[1])[0] == "GET /comms/v1/Messages?pageToken=T_1 HTTP/1.1"


def test_pages_of_the_emulator_are_followed_though_they_name_other_hosts(
    server: Running, runner: Runner
) -> None:
    to = [{"address": f"+1202555{number:04}", "channel": "PHONE"} for number in range(7)]
    operation = runner.run(messages.send(to, "Hello")).operation_id
    rows = runner.run(every_item(messages.list(operation_id=operation, page_size=2)))
    assert len({row.id for row in rows}) == 7
    assert server.twilio.journal.counts["GET /comms/v1/Messages"] == 4


def test_what_lies_in_netrc_is_nobodys_credentials(
    connect: Connect, scripted: Scripted, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password secret\n")
    netrc.chmod(0o600)
    scripted.says("200 OK", b'{"senders": []}')
    with environment(NETRC=str(netrc)):
        connect(base_url=scripted.base_url).run(senders.list())
    assert parts(scripted.requests[0])[1]["authorization"] == f"Basic {BASIC}"


def test_cookies_are_not_kept(connect: Connect, scripted: Scripted) -> None:
    for _ in range(2):
        scripted.says("200 OK", b'{"senders": []}', "Set-Cookie: a=b; Path=/")
    client = connect(base_url=scripted.base_url)
    client.run(senders.list())
    client.run(senders.list())
    assert "cookie" not in parts(scripted.requests[1])[1]


def test_a_proxy_of_the_environment_is_used(connect: Connect, scripted: Scripted) -> None:
    scripted.says("200 OK", b'{"senders": []}')
    proxy = f"http://127.0.0.1:{scripted.port}"
    with environment(http_proxy=proxy, HTTP_PROXY=proxy):
        connect(base_url="http://{product}.twilio.invalid").run(senders.list())
    line, headers, _ = parts(scripted.requests[0])
    assert line == "GET http://comms.twilio.invalid/v1/Senders HTTP/1.1"
    assert headers["authorization"] == f"Basic {BASIC}"


def test_a_proxy_that_refuses_the_tunnel_gets_no_credentials_but_its_own(
    connect: Connect, scripted: Scripted
) -> None:
    scripted.says("403 Forbidden")
    proxy = f"http://me:pass%20word@127.0.0.1:{scripted.port}"
    with environment(https_proxy=proxy, HTTPS_PROXY=proxy), pytest.raises(TransportFailed) as caught:
        connect(base_url="https://{product}.twilio.invalid", max_attempts=1).run(SEND)
    assert caught.value.sent is False
    line, headers, body = parts(scripted.requests[0])
    assert line.startswith("CONNECT comms.twilio.invalid:443 ")
    assert headers["proxy-authorization"] == "Basic " + b64encode(b"me:pass word").decode()
    assert "authorization" not in headers
    assert body == b""


def test_a_proxy_is_passed_by_where_the_environment_says_so(connect: Connect, server: Running) -> None:
    with environment(http_proxy="http://127.0.0.1:9", no_proxy=os.environ["no_proxy"]):
        assert connect().run(senders.list()).items


def test_what_is_refused_leaves_no_trace(server: Running, connect: Connect) -> None:
    for changes in ({"dry_run": True}, {"allowed_recipients": ("+1500*",)}):
        with pytest.raises(Refused):
            connect(**changes).run(SEND)
    assert server.twilio.journal.counts == {}


def test_logs_and_errors_name_no_person_and_no_secret(
    server: Running, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "airflow_provider_twilio_comms")
    told: list[str] = []
    calls: list[Any] = [
        SEND,
        senders.search(TO, "SMS"),
        messages.list(tags={"person": "Ada"}),
        operations.fetch(f"comms_operation_{TO}"),
    ]
    for kind in ("rate_limited", "drop_after", "bad_gateway", "slow"):
        server.twilio.faults.clear()
        server.twilio.faults.add(Fault(kind=kind, seconds=0.3, times=None))  # type: ignore[arg-type]
        for call in calls:
            with pytest.raises(TwilioError) as caught:
                connect(timeout=0.1, max_attempts=2).run(call)
            told += [str(caught.value), repr(caught.value), repr(caught.value.to_dict())]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
    assert any("the next follows in" in line for line in ours)
    for line in [*told, *ours]:
        for secret in ("2025550100", "Ada", AUTH_TOKEN, BASIC, "person"):
            assert secret not in line


def test_an_error_body_that_repeats_the_number_is_scrubbed(connect: Connect, scripted: Scripted) -> None:
    body = {"errors": [{"code": 21211, "message": f"{TO} is not a number", "context": f"$['{TO}']"}]}
    scripted.says("400 Bad Request", msgspec.json.encode(body))
    with pytest.raises(ApiError) as caught:
        connect(base_url=scripted.base_url).run(SEND)
    assert "2025550100" not in repr(caught.value.to_dict())
    assert caught.value.code == 21211
