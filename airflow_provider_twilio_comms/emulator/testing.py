"""Pytest fixture for the tests of DAGs: the emulator as the connection ``twilio_default``.

In a ``conftest.py``::

    from airflow_provider_twilio_comms.emulator.testing import twilio_emulator
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_twilio_comms.emulator.credentials import SENDER
from airflow_provider_twilio_comms.emulator.server import Running, running

__all__ = ["SENDER", "twilio_emulator"]


@pytest.fixture
def twilio_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Run an emulator for one test, on a free loopback port. Operations complete at once, with all receipts.

    Until the test ends, ``AIRFLOW_CONN_TWILIO_DEFAULT`` names it, with ``SENDER`` as the default sender; a
    process that the test starts inherits that. ``.twilio.ledger`` counts the recipients, ``.twilio.change``
    sets options, ``.twilio.faults`` adds faults, and ``.connection`` is the value for the variable of another
    connection.
    """
    with running(pace=0) as emulator:
        connection = emulator.connection_json(default_sender=SENDER)
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
        yield emulator
