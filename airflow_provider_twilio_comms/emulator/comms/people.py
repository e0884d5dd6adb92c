"""Stored people as recipients: profiles, and the members of cohorts and snapshots, with their addresses.

https://www.twilio.com/docs/cohorts/bulk-messaging-and-email
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UnsetType

from airflow_provider_twilio_comms.emulator.audiences.cohorts import Audiences
from airflow_provider_twilio_comms.emulator.comms.operation import Party
from airflow_provider_twilio_comms.emulator.comms.schema import Recipient
from airflow_provider_twilio_comms.emulator.http import Problem
from airflow_provider_twilio_comms.emulator.memory.people import Profile
from airflow_provider_twilio_comms.emulator.memory.store import Memory

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.memory.store import Store
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Person", "expanded"]

# A value of variables that refers to a trait; without a group it is looked for in all of them (assumed).
_TRAIT = re.compile(r"\$\{Twilio\.Profile\.(?:([\w.-]+)\.)?([\w-]+)\}")
_CHANNELS = {"phone": "PHONE", "whatsapp": "WHATSAPP"}


@dataclass(frozen=True, slots=True)
class Person:
    """A stored person as a recipient: addresses, the newest of each type first, and what replies show."""

    parties: tuple[Party, ...]
    variables: Mapping[str, str]
    view: dict[str, str]
    channel: None = None


def expanded(twilio: State, asked: list[Recipient]) -> list[Recipient | Person]:
    """Replace profiles and groups by people. Raises a 400 for a group that the account does not have."""
    if all(isinstance(each.address, str) for each in asked):
        return list(asked)
    return [each for place, recipient in enumerate(asked) for each in _people(twilio, recipient, place)]


def _people(twilio: State, recipient: Recipient, place: int) -> Iterator[Recipient | Person]:
    given = {} if isinstance(recipient.variables, UnsetType) else recipient.variables
    if isinstance(recipient.profile_id, str):
        store = twilio.part(Memory).stores.get(str(recipient.memory_store_id))
        found = store and store.people.profiles.get(store.people.canonical(recipient.profile_id))
        yield _person(store, found or recipient.profile_id, given, str(recipient.memory_store_id))
        return
    store, members = _members(twilio, recipient, place)
    if store is None:
        yield recipient
        return
    for member in members:
        profile = store.people.profiles.get(store.people.canonical(member))
        yield _person(store, profile or member, given, store.id)


def _members(twilio: State, recipient: Recipient, place: int) -> tuple[Store | None, list[str]]:
    """List a group's members: a cohort's as they are now, a snapshot's as they were."""
    audiences = twilio.part(Audiences)
    try:
        if isinstance(recipient.cohort_id, str):
            cohort = audiences.cohort(recipient.cohort_id)
            return cohort.store, audiences.members(cohort.store, cohort.criteria)
        if isinstance(recipient.cohort_snapshot_id, str):
            snapshot = audiences.snapshot(recipient.cohort_snapshot_id, complete=True)
            return snapshot.store, snapshot.members
    except Problem as problem:
        raise Problem(400, 20404, str(problem), f"$.to[{place}]") from None
    return None, []


def _person(
    store: Store | None, profile: Profile | str, variables: Mapping[str, str], store_id: str
) -> Person:
    if store is None or isinstance(profile, str):  # deleted, or never there: nobody can reach it
        profile_id = profile if isinstance(profile, str) else profile.id
        view = {"profileId": profile_id, "memoryStoreId": store_id}
        return Person((Party(profile_id, "PROFILE"),), _filled(variables, None), view)
    parties = tuple(
        Party(value, channel)
        for id_type, channel in _CHANNELS.items()
        for value in reversed(profile.identifiers.get(id_type, ()))
    )
    view = {"profileId": profile.id, "memoryStoreId": store_id}
    return Person(parties or (Party(profile.id, "PROFILE"),), _filled(variables, profile), view)


def _filled(variables: Mapping[str, str], profile: Profile | None) -> dict[str, str]:
    """Fill in traits; a variable whose trait is missing is left out, so that Liquid takes its default."""
    filled = {}
    for name, text in variables.items():
        missing = False

        def value(match: re.Match[str]) -> str:
            nonlocal missing
            found = _trait(profile, match[1], match[2]) if profile else None
            missing = missing or found is None
            return found or ""

        said = _TRAIT.sub(value, text)
        if not missing:
            filled[name] = said
    return filled


def _trait(profile: Profile, group: str | None, name: str) -> str | None:
    for each, values in profile.traits.items():
        if group in (None, each) and name in values:
            return str(values[name])
    return None
