"""A pytest fixture for the tests of DAGs: the emulator, which the connection ``twilio_default`` names.

In a ``conftest.py``::

    from airflow_provider_twilio_comms.emulator.testing import twilio_emulator
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_twilio_comms.emulator.server import Running, running

__all__ = ["SENDER", "twilio_emulator"]

SENDER = "+15005550006"  # Twilio's magic number that may send to everybody


@pytest.fixture
def twilio_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A Twilio of each test's own, on a free loopback port. Its operations end, and receipts are in, at once.

    Until the test ends, ``AIRFLOW_CONN_TWILIO_DEFAULT`` names it, with ``SENDER`` as the default sender; a
    process that the test starts inherits that. ``.twilio.ledger`` knows who was texted, ``.twilio.change``
    its options, ``.twilio.faults`` what goes wrong, ``.connection`` the value for another connection's
    variable.
    """
    with running(pace=0) as emulator:
        connection = emulator.connection_json(default_sender=SENDER)
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
        yield emulator
