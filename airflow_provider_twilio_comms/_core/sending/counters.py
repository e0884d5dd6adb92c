"""Counters of messages, which a send calls without knowing where the counts go."""

from __future__ import annotations

from typing import Protocol

from airflow_provider_twilio_comms.api.error_codes import Verdict
from airflow_provider_twilio_comms.exceptions import TransportFailed


class Counting(Protocol):
    """Hears that so many messages were ``sent``, ``accepted`` ...; tags are words of a short list. Raises
    nothing."""

    def __call__(self, what: str, count: int, **tags: str) -> None: ...


def uncounted(what: str, count: int, **tags: str) -> None:
    """Counters that count nothing."""


def verdict_of(error: Exception) -> str:
    """The verdict on what was not sent."""
    if isinstance(error, TransportFailed):
        return Verdict.RETRY.value
    return str(getattr(error, "verdict", None) or Verdict.CONFIGURATION.value)
