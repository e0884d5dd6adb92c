"""The pytest fixture for the tests of DAGs."""

from __future__ import annotations

import json
import os

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.emulator.testing import SENDER, twilio_emulator
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["twilio_emulator"]

TO = "+12025550101"


def test_the_connection_names_it_and_it_is_each_test_s_own(twilio_emulator: Running) -> None:
    hook = TwilioHook()
    assert hook.config.default_sender == SENDER
    assert twilio_emulator.twilio.ledger.messages == 0
    sent = hook.run(messages.send(TO, from_=SENDER, body="Hi"))
    assert twilio_emulator.twilio.ledger.to_dict()["recipients"] == {TO: 1}
    assert hook.run(messages.fetch(sent.sid)).status == "delivered"


def test_another_connection_can_name_it(twilio_emulator: Running) -> None:
    assert twilio_emulator.twilio.ledger.messages == 0
    assert twilio_emulator.url in json.loads(twilio_emulator.connection)["extra"]["base_url"]


def test_afterwards_the_connection_is_gone() -> None:
    assert "AIRFLOW_CONN_TWILIO_DEFAULT" not in os.environ
