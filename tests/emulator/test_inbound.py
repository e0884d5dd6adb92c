"""Inbound messages and their webhooks in the emulator."""

from __future__ import annotations

from urllib.parse import parse_qsl

from airflow_provider_twilio_comms.emulator.callbacks import batch, event, of_message
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
        assert dict(parse_qsl(callback.body.decode()))["MessageSid"] == message.sid
    sent = batch(URL, [event("com.twilio.comms-api.operation.completed", {"operation_id": "x"})])
    assert genuine([secret], sent.url, sent.headers, sent.body, ())
    assert not genuine([secret], sent.url, sent.headers, sent.body + b" ", ())
