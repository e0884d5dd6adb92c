from __future__ import annotations

import pytest

from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.callers import CoreClient

NOON = 1_790_000_000.0  # a whole second


@pytest.fixture
def twilio() -> Twilio:
    """A Twilio whose clock stands still."""
    return Twilio(Clock(NOON), seed=1, pace=10)


@pytest.fixture
def ask(twilio: Twilio) -> CoreClient:
    return CoreClient(twilio)
