"""Status callbacks of messages with ``StatusCallback``: signed, in order, on this machine alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from airflow_provider_twilio_comms.emulator.callbacks import post_due
from airflow_provider_twilio_comms.emulator.classic import status_callbacks
from airflow_provider_twilio_comms.emulator.classic.status_callbacks import StatusCallbacks
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import running
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.plugins.webhooks.signature import Secret, genuine, parameters
from tests.emulator.callers import CoreClient

LIST = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages"


class Received:
    """A server on this machine that keeps the callbacks that it gets."""

    def __init__(self, url: str, queue: Queue[tuple[str, dict[str, str], bytes]]) -> None:
        self.url, self._queue = url, queue

    def __call__(self, wait: float = 0.0) -> dict[str, str]:
        """Return the next callback's fields, after a check of its signature."""
        url, headers, body = self._queue.get(timeout=wait or 0.001)
        pairs = parameters(headers, body)
        assert genuine([Secret(AUTH_TOKEN)], url, headers, body, pairs)
        return dict(parse_qsl(body.decode(), keep_blank_values=True))

    def statuses(self) -> list[str]:
        return [self()["MessageStatus"] for _ in range(self._queue.qsize())]


@contextmanager
def receiving(answer: int = 204, **headers: str) -> Iterator[Received]:
    queue: Queue[tuple[str, dict[str, str], bytes]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            queue.put((f"http://{self.headers['host']}{self.path}", named, body))
            self.send_response(answer)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Received(f"http://127.0.0.1:{server.server_port}/status", queue)
        finally:
            server.shutdown()
            thread.join()


def send(ask: CoreClient, url: str, to: str = "+12025550100", **more: Any) -> str:
    sender = {} if "MessagingServiceSid" in more else {"From": "+15005550006"}
    form = {"To": to, "Body": "Hi", "StatusCallback": url, **sender, **more}
    reply = ask("POST", f"{LIST}.json", form=form)
    assert reply.status == 201, reply.body
    sid: str = reply.json()["sid"]
    return sid


def counts(twilio: Twilio) -> dict[str, int]:
    return {name: count for name, count in twilio.part(StatusCallbacks).to_dict().items() if count}


def test_a_callback_comes_with_each_status_when_it_is_due(ask: CoreClient) -> None:
    with receiving() as received:
        sid = send(ask, received.url)
        assert post_due(ask.twilio), "none is due, since the reply has said that it is queued"
        ask.twilio.clock.advance(4)
        assert post_due(ask.twilio)
        assert received()["MessageStatus"] == "sending"
        ask.twilio.clock.advance(10)
        assert not post_due(ask.twilio)
        assert received()["MessageStatus"] == "sent"
        last = received()
    assert (last["MessageSid"], last["MessageStatus"], last["To"]) == (sid, "delivered", "+12025550100")
    assert last["RawDlrDoneDate"].isdecimal()
    assert counts(ask.twilio) == {"answered": 3}


@pytest.mark.parametrize(("ending", "code"), [("9003", "30003"), ("9007", "30007"), ("9001", "30001")])
def test_the_code_of_a_callback_is_the_messages(ask: CoreClient, ending: str, code: str) -> None:
    with receiving() as received:
        sid = send(ask, received.url, f"+1202555{ending}")
        ask.twilio.clock.advance(20)
        post_due(ask.twilio)
        fields = {}
        for _ in range(counts(ask.twilio)["answered"]):
            fields = received()
    assert fields["ErrorCode"] == code
    assert str(ask("GET", f"{LIST}/{sid}.json").json()["error_code"]) == code


def test_a_services_callback_is_called_unless_the_message_has_its_own(ask: CoreClient) -> None:
    with receiving() as own, receiving() as general:
        form = {"FriendlyName": "Shop", "StatusCallback": general.url}
        service = ask("POST", "/messaging/v1/Services", form=form).json()["sid"]
        number = {"PhoneNumberSid": "PN" + "06" * 16}
        ask("POST", f"/messaging/v1/Services/{service}/PhoneNumbers", form=number)
        send(ask, own.url, MessagingServiceSid=service)
        ask("POST", f"{LIST}.json", form={"To": "+12025550101", "Body": "Hi", "MessagingServiceSid": service})
        ask.twilio.clock.advance(20)
        post_due(ask.twilio)
        assert own.statuses() == general.statuses() == ["sending", "sent", "delivered"]


def test_a_deleted_or_canceled_message_reports_no_further(ask: CoreClient) -> None:
    with receiving() as received:
        service = ask("POST", "/messaging/v1/Services", form={"FriendlyName": "Shop"}).json()["sid"]
        number = {"PhoneNumberSid": "PN" + "06" * 16}
        ask("POST", f"/messaging/v1/Services/{service}/PhoneNumbers", form=number)
        later = {"ScheduleType": "fixed", "SendAt": "2026-09-21T15:00:00Z", "MessagingServiceSid": service}
        canceled = send(ask, received.url, **later)
        ask("POST", f"{LIST}/{canceled}.json", form={"Status": "canceled"})
        deleted = send(ask, received.url)
        ask.twilio.clock.advance(7)
        post_due(ask.twilio)
        assert received.statuses() == ["canceled", "sending", "sent"]
        assert ask("DELETE", f"{LIST}/{deleted}.json").status == 204
        ask.twilio.clock.advance(7200)
        assert not post_due(ask.twilio)
        assert received.statuses() == []


@pytest.mark.parametrize(
    ("url", "allowed", "expected"),
    [
        ("https://example.com/status", "loopback", {"skipped": 3}),
        ("http://127.0.0.1.example.com/status", "loopback", {"skipped": 3}),
        ("http://localhost:1/status", "loopback", {"waiting": 3}),
        ("http://[::1]:1/status", "loopback", {"waiting": 3}),
        ("http://localhost:1/status", "off", {"skipped": 3}),
        ("https://example.com/status", "everywhere", {"waiting": 3}),
    ],
)
def test_only_this_machine_is_called_unless_allowed(
    ask: CoreClient, url: str, allowed: str, expected: dict[str, int]
) -> None:
    ask.twilio.change(status_callbacks=allowed)
    send(ask, url)
    assert counts(ask.twilio) == expected


def test_what_waits_is_bounded(ask: CoreClient) -> None:
    callbacks = ask.twilio.part(StatusCallbacks)
    for _ in range(status_callbacks.MOST // 3 + 1):
        send(ask, "http://127.0.0.1:1/")
    assert counts(ask.twilio) == {"waiting": status_callbacks.MOST, "skipped": 2}
    assert callbacks.waiting


def test_a_receiver_that_fails_is_counted_and_no_redirect_is_followed(ask: CoreClient) -> None:
    with receiving() as elsewhere, receiving(302, Location=elsewhere.url) as moved:
        send(ask, moved.url)
        send(ask, "http://127.0.0.1:1/")  # where nobody listens
        ask.twilio.clock.advance(20)
        assert not post_due(ask.twilio)
        assert (moved.statuses(), elsewhere.statuses()) == (["sending", "sent", "delivered"], [])
    assert counts(ask.twilio) == {"answered": 3, "failed": 3}


def test_the_server_calls_by_itself() -> None:
    with receiving() as received, running(pace=0) as emulator:
        form = {"To": "+12025550100", "From": "+15005550006", "Body": "Hi", "StatusCallback": received.url}
        auth = (ACCOUNT_SID, AUTH_TOKEN)
        assert (
            requests.post(f"{emulator.url}{LIST}.json", data=form, auth=auth, timeout=30).status_code == 201
        )
        assert [received(60)["MessageStatus"] for _ in range(3)] == ["sending", "sent", "delivered"]
