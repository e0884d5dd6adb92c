"""The classic generation: 2010-04-01, messaging, pricing, lookups and content, on one account's state."""

from __future__ import annotations

from airflow_provider_twilio_comms.emulator.classic import (
    content,
    lookups,
    media,
    messages,
    numbers,
    pricing,
    senders,
    services,
    short_codes,
    usage,
)
from airflow_provider_twilio_comms.emulator.routes import Routes

__all__ = ["ROUTES"]

ROUTES: tuple[Routes, ...] = (
    messages.routes,
    media.media,
    media.deactivations,
    media.storage,
    numbers.routes,
    short_codes.routes,
    usage.routes,
    services.routes,
    senders.routes,
    pricing.routes,
    lookups.routes,
    content.routes,
)
