"""An emulator that is done at once, and a task instance that has been rescheduled."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_twilio_comms.emulator.server import Running
from tests.fakes import TaskInstance

__all__ = ["Rescheduled"]


class Rescheduled(TaskInstance):
    """A task instance that was rescheduled first so many seconds ago."""

    def __init__(self, ago: float | None = None) -> None:
        super().__init__()
        self.ago = ago

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return None if self.ago is None else datetime.now(timezone.utc) - timedelta(seconds=self.ago)


@pytest.fixture
def twilio(emulator: Running) -> Running:
    """The emulator, which has everything done at once until a test says otherwise."""
    emulator.twilio.change(pace=0)
    return emulator


@pytest.fixture(autouse=True)
def _connected(twilio: Running) -> None:
    """Every sensor here talks to it."""
