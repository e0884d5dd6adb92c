"""Sinks and subscriptions as the emulator keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import address
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Sink", "Streams", "Subscription"]


@dataclass
class Sink:
    """A sink. ``tests`` are the ids of its test events, which validate it."""

    sid: str
    account_sid: str
    description: str
    kind: str
    configuration: dict[str, Any]
    created: float
    updated: float
    status: str = "initialized"
    tests: list[str] = field(default_factory=list)

    def view(self) -> dict[str, Any]:
        url = address("events", f"/v1/Sinks/{self.sid}")
        return {
            "sid": self.sid,
            "description": self.description,
            "sink_configuration": self.configuration,
            "sink_type": self.kind,
            "status": self.status,
            "date_created": iso(self.created),
            "date_updated": iso(self.updated),
            "url": url,
            "links": {"sink_test": f"{url}/Test", "sink_validate": f"{url}/Validate"},
        }


@dataclass
class Subscription:
    """A subscription; ``types`` holds the version of each type's schema, ``since`` when it was added."""

    sid: str
    account_sid: str
    description: str
    sink_sid: str
    created: float
    updated: float
    types: dict[str, int] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        url = address("events", f"/v1/Subscriptions/{self.sid}")
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "description": self.description,
            "sink_sid": self.sink_sid,
            "date_created": iso(self.created),
            "date_updated": iso(self.updated),
            "url": url,
            "links": {"subscribed_events": f"{url}/SubscribedEvents"},
        }

    def event_view(self, name: str) -> dict[str, Any]:
        return {
            "account_sid": self.account_sid,
            "subscription_sid": self.sid,
            "type": name,
            "schema_version": self.types[name],
            "url": address("events", f"/v1/Subscriptions/{self.sid}/SubscribedEvents/{name}"),
        }


class Streams:
    """Every sink and subscription, by SID."""

    def __init__(self, twilio: State) -> None:
        self.sinks: dict[str, Sink] = {}
        self.subscriptions: dict[str, Subscription] = {}
