"""Traces of an alert on a real Airflow: texts at Twilio, and lines in the triggerers' logs."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.demo.emulation import Emulation
from tests.notifications.alert_process import config

__all__ = ["begun_by_both", "texts"]

BEGUN = re.compile(r"trigger ID (\d+) starting")


def texts(twilio: Emulation | None, to: str) -> list[str]:
    """Texts that this number got, oldest first."""
    assert twilio is not None
    client = Client(config(f"{twilio.url}/{{product}}"))
    try:
        found = client.run(messages.list(to=to)).items
    finally:
        client.close()
    return [message.body or "" for message in reversed(found)]


def begun_by_both(home: Path) -> set[str]:
    """The triggers that both triggerers have begun to run.

    With callbacks this happens in Airflow 3.3: they take one from each other, since nobody asks whether the
    other lives; so either of them may finish it.
    """
    logs = [(home / name).read_text(errors="replace") for name in ("triggerer.log", "triggerer-2.log")]
    return set.intersection(*(set(BEGUN.findall(log)) for log in logs))
