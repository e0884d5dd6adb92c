"""Profiles and their identifiers: https://www.twilio.com/docs/api/memory/v1/profiles"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Problem, Request, body_as, json_reply
from airflow_provider_twilio_comms.emulator.memory.people import Profile
from airflow_provider_twilio_comms.emulator.memory.schema import (
    Bulk,
    CountedBulk,
    Identifier,
    IdentifierChange,
    ProfileData,
)
from airflow_provider_twilio_comms.emulator.memory.store import Memory, Store, listed, page, profile_of
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("memory", "/v1/Stores/{storeId}/Profiles")
_DATA, _BULK = msgspec.json.Decoder(ProfileData), msgspec.json.Decoder(Bulk)
_COUNTED = msgspec.json.Decoder(CountedBulk)
_IDENTIFIER, _CHANGE = msgspec.json.Decoder(Identifier), msgspec.json.Decoder(IdentifierChange)
_NO_IDENTIFIER = "$.traits: no trait is promoted to an identifier, or its value is not valid"


def _taken(message: str = "Accepted") -> Reply:
    return json_reply({"message": message}, 202)


def _store(twilio: State, store_id: str) -> Store:
    memory = twilio.part(Memory)
    memory.limit()
    return memory.store(store_id)


@routes("POST", "")
def create(twilio: State, request: Request, store_id: str) -> Reply:
    """Create a profile or add to a known one; the id is answered at once, the values may come later."""
    store, asked = _store(twilio, store_id), body_as(request, _DATA)
    store.people.check(asked.traits)
    if not store.people.identifiers_in(asked.traits):
        raise Problem(400, 20001, _NO_IDENTIFIER)
    identified = {
        group: {name: value for name, value in values.items() if _identifies(store, group, name, value)}
        for group, values in asked.traits.items()
    }
    now = twilio.clock.now()
    profile = store.people.upsert(identified, now)
    assert profile is not None
    twilio.part(Memory).write(lambda: store.people.upsert(asked.traits, now))
    return json_reply({"id": profile.id, "message": "Accepted"}, 202)


def _identifies(store: Store, group: str, name: str, value: Any) -> bool:
    return bool(store.people.identifiers_in({group: {name: value}}))


@routes("PUT", "/Bulk")
def update_bulk(twilio: State, request: Request, store_id: str) -> Reply:
    """Take up to 1,000 profiles. A row without a valid identifier is dropped without a word (assumed)."""
    store = _store(twilio, store_id)
    if twilio.options.null_sink:
        twilio.journal.counts["profiles"] += len(body_as(request, _COUNTED).profiles)
        return _taken()
    asked, now = body_as(request, _BULK), twilio.clock.now()
    for index, each in enumerate(asked.profiles):
        store.people.check(each.traits, f"$.profiles[{index}].traits")

    def write() -> None:
        for each in asked.profiles:
            store.people.upsert(each.traits, now)

    twilio.part(Memory).write(write)
    return _taken("Profiles batch accepted.")


@routes("GET", "")
def list_profiles(twilio: State, request: Request, store_id: str) -> Reply:
    store, (size, newest_first) = _store(twilio, store_id), listed(request)
    ids = [*store.people.profiles]
    items, meta = page(request, "profiles", ids[::-1] if newest_first else ids, size)
    return json_reply({"profiles": items, "meta": meta})


@routes("POST", "/Lookup")
def lookup(twilio: State, request: Request, store_id: str) -> Reply:
    store, asked = _store(twilio, store_id), body_as(request, _IDENTIFIER)
    normal = store.people.normal(asked.id_type, asked.value)
    if normal is None:
        raise Problem(400, 20001, f"$.value: not a valid {asked.id_type} of this store")
    found = store.people.find(asked.id_type, normal)
    return json_reply({"normalizedValue": normal, "profiles": [found] if found else []})


@routes("GET", "/{profileId}")
def fetch(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    profile = profile_of(_store(twilio, store_id), request, profile_id)
    groups = _groups(request)
    traits = {name: values for name, values in profile.traits.items() if groups is None or name in groups}
    return json_reply({"id": profile.id, "createdAt": iso(profile.created), "traits": traits})


def _groups(request: Request) -> set[str] | None:
    text = request.values.get("traitGroups")
    if text is not None and not 1 <= len(text) <= 256:
        raise Problem(400, 20001, "traitGroups has 1 to 256 characters")
    return None if text is None else set(text.split(","))


@routes("PATCH", "/{profileId}")
def update(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    store = _store(twilio, store_id)
    profile, asked = profile_of(store, request, profile_id), body_as(request, _DATA)
    store.people.check(asked.traits)
    now = twilio.clock.now()
    twilio.part(Memory).write(lambda: store.people.write(profile, asked.traits, now))
    return _taken()


@routes("DELETE", "/{profileId}")
def delete(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    store = _store(twilio, store_id)
    store.people.delete(profile_of(store, request, profile_id))
    return _taken()


@routes("GET", "/{profileId}/Traits")
def list_traits(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    profile = profile_of(_store(twilio, store_id), request, profile_id)
    (size, newest_first), groups = listed(request), _groups(request)
    rows = [
        {"name": name, "traitGroup": group, "value": value, "timestamp": iso(profile.since[group, name])}
        for group, values in profile.traits.items()
        if groups is None or group in groups
        for name, value in values.items()
    ]
    items, meta = page(request, "traits", rows[::-1] if newest_first else rows, min(size, 100))
    return json_reply({"traits": items, "meta": meta})


@routes("GET", "/{profileId}/Identifiers")
def list_identifiers(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    profile = profile_of(_store(twilio, store_id), request, profile_id)
    rows = [{"idType": id_type, "values": values} for id_type, values in profile.identifiers.items()]
    return json_reply({"identifiers": rows})


@routes("POST", "/{profileId}/Identifiers")
def create_identifier(twilio: State, request: Request, store_id: str, profile_id: str) -> Reply:
    store = _store(twilio, store_id)
    profile, asked = profile_of(store, request, profile_id), body_as(request, _IDENTIFIER)
    _identify(store, profile, asked.id_type, asked.value)
    return _taken()


@routes("GET", "/{profileId}/Identifiers/{idType}")
def fetch_identifiers(twilio: State, request: Request, store_id: str, profile_id: str, id_type: str) -> Reply:
    profile = profile_of(_store(twilio, store_id), request, profile_id)
    return json_reply({"idType": id_type, "values": _values(profile, id_type)})


@routes("PATCH", "/{profileId}/Identifiers/{idType}")
def update_identifier(twilio: State, request: Request, store_id: str, profile_id: str, id_type: str) -> Reply:
    store = _store(twilio, store_id)
    profile, asked = profile_of(store, request, profile_id), body_as(request, _CHANGE)
    old = store.people.normal(id_type, asked.old_value)
    if asked.id_type != id_type or old not in _values(profile, id_type) or old is None:
        raise Problem(404, 20404, "The identifier was not found")
    _identify(store, profile, id_type, asked.new_value)
    store.people.forget(profile, id_type, old)
    return _taken()


@routes("DELETE", "/{profileId}/Identifiers/{idType}")
def delete_identifier(twilio: State, request: Request, store_id: str, profile_id: str, id_type: str) -> Reply:
    """Remove the newest identifier of a type, or all of them."""
    store = _store(twilio, store_id)
    profile, everything = profile_of(store, request, profile_id), request.values.get("removeAll", "false")
    if everything not in ("true", "false"):
        raise Problem(400, 20001, "removeAll is true or false")
    values = _values(profile, id_type)
    for value in [*values] if everything == "true" else values[-1:]:
        store.people.forget(profile, id_type, value)
    return _taken()


def _values(profile: Profile, id_type: str) -> list[str]:
    values = profile.identifiers.get(id_type)
    if not values:
        raise Problem(404, 20404, "The profile has no identifier of that type")
    return values


def _identify(store: Store, profile: Profile, id_type: str, value: str) -> None:
    normal = store.people.normal(id_type, value)
    if normal is None:
        raise Problem(400, 20001, f"not a valid {id_type} of this store")
    if store.people.find(id_type, normal) not in (None, profile.id):
        raise Problem(409, 20409, "Another profile has that identifier")
    store.people.identify(profile, id_type, normal)
