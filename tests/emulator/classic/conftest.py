from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.classic.inventory import NUMBER_SID
from airflow_provider_twilio_comms.emulator.twilio import Twilio
from tests.emulator.classic.resources import CallRunner


@pytest.fixture
def run(twilio: Twilio) -> CallRunner:
    return CallRunner(twilio)


@pytest.fixture
def as_someone(twilio: Twilio) -> Callable[[str, str], CallRunner]:
    return lambda login, password: CallRunner(twilio, login, password)


@pytest.fixture
def service(run: CallRunner) -> str:
    """A messaging service with a number in it."""
    sid = run(services.create("Shop")).sid
    run(senders.create_phone_number(sid, NUMBER_SID))
    return sid
