"""Settings of a number or a short code, changed where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.wire import Call


def different(resource: Any, wanted: Mapping[str, Any]) -> list[str]:
    """The settings that are not as wanted. To Twilio, None and "" are the same."""
    return [name for name, value in wanted.items() if (getattr(resource, name) or None) != (value or None)]


def updated(
    fetch: Callable[[str], Call[Any]], update: Callable[..., Call[Any]], sid: str, wanted: Mapping[str, Any]
) -> Flow[list[str]]:
    """Change what differs; returns the settings that did."""
    update(sid, **wanted)  # checked before anything is read
    names = different((yield from made(fetch(sid))), wanted)
    if names:
        yield from made(update(sid, **{name: wanted[name] for name in names}))
    return names
