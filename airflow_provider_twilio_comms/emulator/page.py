"""The outbox page."""

from __future__ import annotations

from starlette.routing import Route

from airflow_provider_twilio_comms.emulator.twilio import Twilio

__all__ = ["routes"]


def routes(twilio: Twilio) -> list[Route]:
    return []
