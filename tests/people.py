"""A memory store in an emulator, for the tests of operators on stored people."""

from __future__ import annotations

from typing import Any

from airflow_provider_twilio_comms.emulator.memory.people import Profile, TraitGroup
from airflow_provider_twilio_comms.emulator.memory.schema import Trait
from airflow_provider_twilio_comms.emulator.memory.store import Memory
from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["a_store", "numbers", "profiles", "requests_of"]


def a_store(emulator: Running) -> str:
    """Create a store with the trait group Orders."""
    store = emulator.twilio.part(Memory).create("shop")
    traits: dict[str, Any] = {"lapsed": "BOOLEAN", "total": "NUMBER", "tags": "ARRAY", "note": "STRING"}
    definitions = {name: Trait(data_type=kind) for name, kind in traits.items()}
    store.people.groups["Orders"] = TraitGroup("Orders", None, definitions, 0.0)
    return store.id


def profiles(emulator: Running, store_id: str) -> list[Profile]:
    return list(emulator.twilio.part(Memory).stores[store_id].people.profiles.values())


def numbers(emulator: Running, store_id: str) -> set[str]:
    return {number for profile in profiles(emulator, store_id) for number in profile.identifiers["phone"]}


def requests_of(emulator: Running, ending: str) -> int:
    """Count how many requests were made to the route that ends so."""
    counts = emulator.twilio.journal.counts
    return sum(count for route, count in counts.items() if route.endswith(ending))
