"""Made-up people, seeded on demand into a store of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_twilio_comms.emulator.memory.people import TraitGroup
from airflow_provider_twilio_comms.emulator.memory.schema import Trait
from airflow_provider_twilio_comms.emulator.memory.store import Memory, Store

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Seed", "seed"]

CITIES = ("Lisbon", "Porto", "Madrid", "Paris", "Berlin")
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia")


class Seed(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """So many people in a new store of this name."""

    count: int = 1000
    display_name: str = "people"


def seed(twilio: State, asked: Seed) -> Store:
    """Create a store of people with a number, a name, a city, and ``Orders.lapsed``, true of every third."""
    store = twilio.part(Memory).create(asked.display_name)
    now = twilio.clock.now()
    flag = {"lapsed": Trait(data_type="BOOLEAN")}
    store.people.groups["Orders"] = TraitGroup("Orders", "Made up", flag, now)
    for number in range(asked.count):
        contact = {
            "phone": f"+1202{5_600_000 + number:07d}",
            "firstName": NAMES[number % len(NAMES)],
            "city": CITIES[number % len(CITIES)],
        }
        store.people.upsert({"Contact": contact, "Orders": {"lapsed": number % 3 == 0}}, now)
    return store
