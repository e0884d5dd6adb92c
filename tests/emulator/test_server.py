"""The server: the control API, the ledger it shows, the outbox page, and the command."""

from __future__ import annotations

import ast
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.credentials import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    SENDER,
)
from airflow_provider_twilio_comms.emulator.server import Running, running
from tests.emulator.callers import message, phone


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(pace=0) as started:
        yield started


@pytest.fixture
def emulator(server: Running) -> Iterator[Running]:
    before = server.twilio.options
    server.twilio.reset()
    yield server
    server.twilio.options = before


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = (ACCOUNT_SID, AUTH_TOKEN)
        session.trust_env = False
        yield session


def send(emulator: Running, session: requests.Session, *to: str | dict[str, Any], **others: Any) -> Any:
    return session.post(f"{emulator.url}/comms/v1/Messages", json=message(*to, **others), timeout=10)


def own(emulator: Running, session: requests.Session, method: str, path: str, body: Any = None) -> Any:
    reply = session.request(method, f"{emulator.url}/_emulator/{path}", json=body, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_ledger_is_exact_whatever_became_of_the_replies(
    emulator: Running, session: requests.Session
) -> None:
    kinds = ["drop_before", "drop_after", "cut", "error_before", "error_after", "rate_limited", "bad_gateway"]
    own(emulator, session, "POST", "faults", [{"kind": kind, "method": "POST", "skip": 1} for kind in kinds])
    expected: Counter[str] = Counter()
    for number in range(40):
        to = [f"+1202555{number:04}", "+12025550100", "+12025559006"]
        fault = next(
            (each for each in emulator.twilio.faults.waiting() if not each.hits and not each.skip), None
        )
        try:
            status = send(emulator, session, *to).status_code
        except requests.RequestException:
            status = 0
        if status == 202 or (fault and fault.kind in ("drop_after", "cut", "error_after")):
            expected.update(to)
    ledger = own(emulator, session, "GET", "ledger")
    assert ledger["recipients"] == expected
    assert ledger["messages"] == sum(expected.values())
    assert ledger["distinct"] == len(expected)
    assert ledger["twice"] == 2 + (expected["+12025550100"] != expected["+12025559006"])
    assert "recipients" not in own(emulator, session, "GET", "ledger?recipients=0")


def test_the_ledger_counts_every_request_of_many_at_once(emulator: Running) -> None:
    local = threading.local()

    def one(number: int) -> int:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.auth, local.session.trust_env = (ACCOUNT_SID, AUTH_TOKEN), False
            sessions.append(local.session)
        status: int = send(emulator, local.session, f"+1202555{number % 50:04}").status_code
        return status

    sessions: list[requests.Session] = []
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(200))) == {202}
    for session in sessions:
        session.close()
    assert emulator.twilio.ledger.recipients == {f"+1202555{number:04}": 4 for number in range(50)}


def test_requests_are_counted_and_logged_without_bodies(emulator: Running, session: requests.Session) -> None:
    operation = send(emulator, session).json()["operationId"]
    for _ in range(3):
        session.get(f"{emulator.url}/comms/v1/Messages/Operations/{operation}?a=b", timeout=5)
    seen = own(emulator, session, "GET", "requests")
    assert seen["total"] == 4
    assert seen["counts"] == {
        "POST /comms/v1/Messages": 1,
        "GET /comms/v1/Messages/Operations/{operationId}": 3,
    }
    last = seen["recent"][-1]
    assert (last["method"], last["status"], last["query"]) == ("GET", 200, [["a", "b"]])
    assert last["path"].endswith(operation)
    assert "+12025550100" not in json.dumps(seen)


def test_faults_are_set_shown_and_taken_away(emulator: Running, session: requests.Session) -> None:
    own(emulator, session, "POST", "faults", {"kind": "unavailable", "times": None, "retry_after": 1})
    assert send(emulator, session).status_code == 503
    (fault,) = own(emulator, session, "GET", "faults")
    assert (fault["kind"], fault["hits"]) == ("unavailable", 1)
    own(emulator, session, "DELETE", "faults")
    assert send(emulator, session).status_code == 202


def test_options_the_clock_and_a_reset(emulator: Running, session: requests.Session) -> None:
    assert own(emulator, session, "POST", "options", {"pace": 100})["pace"] == 100
    operation = send(emulator, session).json()["operationId"]
    url = f"{emulator.url}/comms/v1/Messages/Operations/{operation}"
    assert session.get(url, timeout=5).json()["status"] == "PROCESSING"
    own(emulator, session, "POST", "clock", {"advance": 100})
    assert session.get(url, timeout=5).json()["status"] == "COMPLETED"
    own(emulator, session, "POST", "reset")
    assert session.get(url, timeout=5).status_code == 404
    assert own(emulator, session, "GET", "options")["pace"] == 100
    assert own(emulator, session, "GET", "health")["ok"] is True


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example.com"},
        {"host": "127.0.0.1.example.com:80"},
        {"host": ""},
        {"origin": "https://evil.example.com", "content-type": "text/plain"},
        {"origin": "http://localhost:1"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "callbacks"), ("GET", "outbox"), ("POST", "reset")])
def test_other_sites_in_a_browser_do_not_reach_the_control_api(
    emulator: Running, session: requests.Session, method: str, path: str, headers: dict[str, str]
) -> None:
    send(emulator, session)
    url = f"{emulator.url}/_emulator/{path}"
    reply = session.request(method, url, headers=headers, data=b"{}", timeout=10)
    assert (reply.status_code, list(reply.json())) == (403, ["error"])
    assert session.get(f"{emulator.url}/", headers=headers, timeout=10).status_code == 403
    assert own(emulator, session, "GET", "requests")["total"] == 1, "nothing was done"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_the_emulators_own_page_reaches_the_control_api(
    emulator: Running, session: requests.Session, name: str
) -> None:
    host = f"{name}:{emulator.url.rpartition(':')[2]}"
    headers = {"host": host, "origin": f"http://{host}"}
    assert session.get(f"{emulator.url}/", headers=headers, timeout=10).status_code == 200
    assert session.post(f"{emulator.url}/_emulator/reset", headers=headers, timeout=10).status_code == 200


def test_an_operation_can_be_cancelled(emulator: Running, session: requests.Session) -> None:
    later = {"sendAt": [iso(emulator.twilio.clock.now() + 3600)]}
    operation = send(emulator, session, schedule=later).json()["operationId"]
    own(emulator, session, "POST", "cancel", {"operationId": operation})
    url = f"{emulator.url}/comms/v1/Messages/Operations/{operation}"
    assert session.get(url, timeout=5).json()["status"] == "CANCELED"


def test_tokens_are_revoked(emulator: Running, session: requests.Session) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    session.auth = None
    token = session.post(f"{emulator.url}/oauth/v2/token", data=form, timeout=5).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    assert session.get(f"{emulator.url}/comms/v1/Messages", timeout=5).status_code == 200
    assert own(emulator, session, "POST", "revoke-tokens") == {"revoked": 1}
    assert session.get(f"{emulator.url}/comms/v1/Messages", timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("options", {"pase": 1}),
        ("options", {"pace": -1}),
        ("options", {"outcomes": [{"match": "("}]}),
        ("faults", {"kind": "fire"}),
        ("faults", {"kind": "slow", "path": "("}),
        ("clock", {"advance": -1}),
        ("cancel", {"operationId": "x"}),
    ],
)
def test_nonsense_is_refused(emulator: Running, session: requests.Session, path: str, body: Any) -> None:
    reply = session.post(f"{emulator.url}/_emulator/{path}", json=body, timeout=5)
    assert (reply.status_code, list(reply.json())) == (400, ["error"])


def test_replies_can_be_delayed_all_at_once(emulator: Running, session: requests.Session) -> None:
    own(emulator, session, "POST", "options", {"reply_delay": 0.2})
    began = time.monotonic()
    assert send(emulator, session).status_code == 202
    assert time.monotonic() - began >= 0.2


def outbox(emulator: Running, session: requests.Session, **query: Any) -> Any:
    return session.get(f"{emulator.url}/_emulator/outbox", params=query, timeout=10).json()


def test_the_outbox_is_searched_and_paged(emulator: Running, session: requests.Session) -> None:
    send(emulator, session, phone("+12025559003", name="Ada"), phone("+12025550101", name="Ines"))
    content = {"text": "Hi {{ name }}"}
    people = [phone(f"+1303555{number:04}", name=f"N{number}") for number in range(120)]
    operation = send(emulator, session, *people, content=content, tags={"chunk": "west-coast"}).json()[
        "operationId"
    ]
    box = outbox(emulator, session)
    assert (box["total"], len(box["rows"])) == (122, 50)
    newest = box["rows"][0]
    assert (newest["to"], newest["text"], newest["status"]) == ("+13035550119", "Hi N119", "DELIVERED")
    last = outbox(emulator, session, page=2)["rows"]
    assert [row["to"] for row in last[-2:]] == ["+12025550101", "+12025559003"]
    assert (last[-1]["code"], last[-2]["code"]) == (30003, None)
    found = {
        words: outbox(emulator, session, q=words)["total"]
        for words in ("Ines", "+1202", "west-coast", operation, "nobody", "N11")
    }
    assert found == {"Ines": 1, "+1202": 2, "west-coast": 120, operation: 120, "nobody": 0, "N11": 11}
    assert outbox(emulator, session, status="UNDELIVERED")["total"] == 1
    assert next(each["id"] for each in box["operations"]) == operation
    assert list(outbox(emulator, session, size=0)) == ["error"]


def test_the_page_loads_nothing_from_elsewhere(emulator: Running, session: requests.Session) -> None:
    page = session.get(emulator.url, timeout=5)
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text.replace("https://www.w3.org", "")
    assert "prefers-color-scheme: dark" in page.text


def test_the_command_prints_a_connection_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "airflow_provider_twilio_comms.emulator", "--port", "0", "--pace", "0"]
    process = subprocess.Popen(
        [*command, "--null-sink"], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().rpartition(" ")[2].strip()
        (setting,) = shlex.split(process.stdout.readline())
        name, _, value = setting.partition("=")
        connection = json.loads(value)
        assert (name, connection["conn_type"]) == ("AIRFLOW_CONN_TWILIO_DEFAULT", "twilio")
        assert connection["extra"]["default_sender"] == SENDER
        base = connection["extra"]["base_url"].replace("{product}", "comms")
        assert base.startswith(url)
        auth = (connection["login"], connection["password"])
        reply = requests.post(f"{base}/v1/Messages", json=message(), auth=auth, timeout=10)
        assert reply.status_code == 202
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.close()


def test_a_taken_port_is_an_error(emulator: Running) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), running(port=port):
        pass


def test_the_core_needs_neither_airflow_nor_a_server() -> None:
    program = (
        "import sys; import airflow_provider_twilio_comms.emulator.twilio; "
        "print({'airflow', 'uvicorn', 'starlette', 'requests', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout.replace("set()", "[]")) == []


def test_more_requests_than_the_account_may_make_at_a_time_are_refused(
    emulator: Running, session: requests.Session
) -> None:
    emulator.twilio.change(requests_at_once=1)
    own(emulator, session, "POST", "faults", {"kind": "slow", "seconds": 60})
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2]))) as slow:
        slow.sendall(b"GET /pricing/v1/Messaging/Countries HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not own(emulator, session, "GET", "requests")["total"]:
            time.sleep(0.01)
        refused = send(emulator, session)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 20429)
    assert refused.headers["twilio-concurrent-requests"] == "2"
    assert own(emulator, session, "GET", "ledger")["messages"] == 0
    emulator.twilio.change(requests_at_once=2)
    assert send(emulator, session).status_code == 202
