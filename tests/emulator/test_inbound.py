"""Inbound messages and their webhooks in the emulator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest

from airflow_provider_twilio_comms.emulator.callbacks import batch, event, of_message, posted
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from airflow_provider_twilio_comms.plugins.webhooks.signature import Secret, genuine, parameters
from tests.emulator.callers import CoreClient

LIST = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages"
URL = "https://airflow.example.com/twilio/inbound"
ADA = Arrival(from_="+12025550101", to="+15005550006", body="STOP please", media=["https://files/a.png"])


def test_an_inbound_message_is_listed_with_its_media(twilio: Twilio, ask: CoreClient) -> None:
    message = receive(twilio, ADA)
    (row,) = ask("GET", f"{LIST}.json", To="+15005550006").json()["messages"]
    assert (row["sid"], row["direction"], row["status"]) == (message.sid, "inbound", "received")
    assert (row["from"], row["body"], row["num_media"]) == ("+12025550101", "STOP please", "1")
    assert row["date_sent"] == row["date_created"]
    (file,) = ask("GET", f"{LIST}/{message.sid}/Media.json").json()["media_list"]
    assert (file["content_type"], file["parent_sid"]) == ("image/png", message.sid)
    since = {"DateSent>": iso(message.created)}
    assert ask("GET", f"{LIST}.json", **since).json()["messages"][0]["sid"] == message.sid
    assert twilio.ledger.to_dict()["messages"] == 0, "it is nothing that we sent"


def test_the_webhooks_are_signed(twilio: Twilio) -> None:
    secret = Secret(AUTH_TOKEN)
    message = receive(twilio, ADA)
    for callback in (of_message(message, URL), of_message(message, URL, "undelivered")):
        pairs = parameters(callback.headers, callback.body)
        assert genuine([secret], callback.url, callback.headers, callback.body, pairs)
        assert not genuine([Secret("other")], callback.url, callback.headers, callback.body, pairs)
        fields = dict(parse_qsl(callback.body.decode(), keep_blank_values=True))
        assert fields["MessageSid"] == message.sid
    fields = dict(parse_qsl(of_message(message, URL).body.decode(), keep_blank_values=True))
    assert (fields["SmsMessageSid"], fields["NumSegments"], fields["FromCity"]) == (message.sid, "1", "")
    sent = batch(URL, [event("com.twilio.comms-api.operation.completed", {"operation_id": "x"})])
    assert genuine([secret], sent.url, sent.headers, sent.body, ())
    assert not genuine([secret], sent.url, sent.headers, sent.body + b" ", ())


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers so, one after the other: its address, and the paths that it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(statuses[len(paths)])
            self.end_headers()
            paths.append(self.path)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/twilio/status", paths
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("overrides", "statuses", "answered"),
    [
        ("", [503, 204], [503]),  # by default only a connection that fails is tried again
        ("#rc=5", [503, 204], [503]),
        ("#rp=all", [503, 204, 204], [503, 204]),
        ("#rc=2&rp=5xx", [503, 503, 503, 204], [503, 503, 503]),
        ("#rc=5&rp=all", [503, 429, 204], [503, 429, 204]),
        ("#rc=5&rp=5xx,ct", [429, 204], [429]),
        ("#rc=9&rp=all", [503] * 9, [503] * 6),
        ("#rc=5&rp=all", [204, 503], [204]),
    ],
)
def test_webhooks_are_posted_again_as_their_connection_overrides_say(
    twilio: Twilio, overrides: str, statuses: list[int], answered: list[int]
) -> None:
    with receiver(*statuses) as (url, paths):
        status = posted(of_message(receive(twilio, ADA), url + overrides, "delivered"))
    assert status == answered[-1]
    assert paths == ["/twilio/status"] * len(answered), "the fragment is not sent"
