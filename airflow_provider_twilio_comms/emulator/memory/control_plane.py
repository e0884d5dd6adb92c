"""Stores, trait groups, identity resolution and operations, below ``/v1/ControlPlane``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.http import Problem, Request, body_as, json_reply
from airflow_provider_twilio_comms.emulator.memory.people import TraitGroup
from airflow_provider_twilio_comms.emulator.memory.schema import (
    GroupChange,
    NewGroup,
    NewStore,
    Settings,
    StoreChange,
    Trait,
)
from airflow_provider_twilio_comms.emulator.memory.store import (
    MOST_GROUPS,
    MOST_STORES,
    MOST_TRAITS,
    Memory,
    accept,
    listed,
    page,
)
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("memory", "/v1/ControlPlane")
_NEW_STORE, _STORE = msgspec.json.Decoder(NewStore), msgspec.json.Decoder(StoreChange)
_NEW_GROUP, _GROUP = msgspec.json.Decoder(NewGroup), msgspec.json.Decoder(GroupChange)
_SETTINGS = msgspec.json.Decoder(Settings)
_GROUP_PATH = "/Stores/{storeId}/TraitGroups/{traitGroupName}"
_SETTINGS_PATH = "/Stores/{storeId}/IdentityResolutionSettings"


def _match(request: Request, etag: str) -> None:
    asked = request.headers.get("if-match")
    if asked is not None and asked != etag:
        raise Problem(412, 20412, "The resource was changed since")


def _text(value: str | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value


@routes("POST", "/Stores")
def create_store(twilio: State, request: Request) -> Reply:
    asked, memory = body_as(request, _NEW_STORE), twilio.part(Memory)
    if any(store.name == asked.display_name for store in memory.stores.values()):
        raise Problem(400, 20001, "There is a store of that displayName")
    if len(memory.stores) >= MOST_STORES:
        raise Problem(400, 520044, "The account has as many stores as it may have")
    ready = twilio.clock.now() + twilio.options.pace
    store = memory.create(asked.display_name, _text(asked.description), ready)
    return accept(twilio, {"type": "RESOURCE_ID", "id": store.id})


@routes("GET", "/Stores")
def list_stores(twilio: State, request: Request) -> Reply:
    size, newest_first = listed(request, most=100)
    ids = [*twilio.part(Memory).stores]
    items, meta = page(request, "stores", ids[::-1] if newest_first else ids, size)
    return json_reply({"stores": items, "meta": meta})


@routes("GET", "/Stores/{storeId}")
def fetch_store(twilio: State, request: Request, store_id: str) -> Reply:
    store = twilio.part(Memory).store(store_id, active=False)
    return json_reply(store.view(twilio.clock.now()), headers={"etag": store.etag})


@routes("PATCH", "/Stores/{storeId}")
def update_store(twilio: State, request: Request, store_id: str) -> Reply:
    store, asked = twilio.part(Memory).store(store_id), body_as(request, _STORE)
    _match(request, store.etag)
    store.name = _text(asked.display_name) or store.name
    store.description = _text(asked.description) or store.description
    store.version += 1
    return accept(twilio)


@routes("DELETE", "/Stores/{storeId}")
def delete_store(twilio: State, request: Request, store_id: str) -> Reply:
    memory = twilio.part(Memory)
    del memory.stores[memory.store(store_id).id]
    return accept(twilio)


@routes("GET", _SETTINGS_PATH)
def fetch_settings(twilio: State, request: Request, store_id: str) -> Reply:
    people = twilio.part(Memory).store(store_id).people
    body = {
        "identifierConfigs": [*people.configs.values()],
        "matchingRules": people.rules,
        "version": people.settings_version,
    }
    return json_reply(body, headers={"etag": f'"{people.settings_version}"'})


@routes("PUT", _SETTINGS_PATH)
def update_settings(twilio: State, request: Request, store_id: str) -> Reply:
    people, asked = twilio.part(Memory).store(store_id).people, body_as(request, _SETTINGS)
    _match(request, f'"{people.settings_version}"')
    configs = {config.id_type: config for config in asked.identifier_configs}
    unknown = set(asked.matching_rules) - configs.keys()
    if unknown:
        raise Problem(400, 20001, f"matchingRules: {', '.join(sorted(unknown))} has no identifierConfig")
    people.configs, people.rules = configs, asked.matching_rules
    people.settings_version += 1
    return accept(twilio)


def _view(group: TraitGroup, traits: dict[str, Trait] | None) -> dict[str, Any]:
    return {
        "displayName": group.name,
        "version": group.version,
        **({"description": group.description} if group.description else {}),
        **({"traits": traits} if traits is not None else {}),
    }


def _flag(request: Request, otherwise: bool) -> bool:
    text = request.values.get("includeTraits", str(otherwise).lower())
    if text not in ("true", "false"):
        raise Problem(400, 20001, "includeTraits is true or false")
    return text == "true"


@routes("POST", "/Stores/{storeId}/TraitGroups")
def create_group(twilio: State, request: Request, store_id: str) -> Reply:
    people, asked = twilio.part(Memory).store(store_id).people, body_as(request, _NEW_GROUP)
    if asked.display_name in people.groups:
        raise Problem(400, 20001, "There is a trait group of that displayName")
    if len(people.groups) >= MOST_GROUPS:
        raise Problem(400, 520053, "The store has as many trait groups as it may have")
    if any(not trait.data_type for trait in asked.traits.values()):
        raise Problem(400, 20001, "dataType may be empty only to remove a trait")
    created = twilio.clock.now()
    group = TraitGroup(asked.display_name, _text(asked.description), dict(asked.traits), created)
    people.groups[group.name] = group
    return accept(twilio)


@routes("GET", "/Stores/{storeId}/TraitGroups")
def list_groups(twilio: State, request: Request, store_id: str) -> Reply:
    people, (size, newest_first) = twilio.part(Memory).store(store_id).people, listed(request, most=100)
    groups = [*people.groups.values()]
    items, meta = page(request, "traitGroups", groups[::-1] if newest_first else groups, size)
    with_traits = _flag(request, False)
    rows = [_view(group, group.traits if with_traits else None) for group in items]
    return json_reply({"traitGroups": rows, "meta": meta})


@routes("GET", _GROUP_PATH)
def fetch_group(twilio: State, request: Request, store_id: str, trait_group_name: str) -> Reply:
    group, (size, _) = _group(twilio, store_id, trait_group_name), listed(request, most=100)
    items, meta = page(request, "traits", [*group.traits.items()], size)
    shown = _view(group, dict(items) if _flag(request, True) else None)
    return json_reply({"traitGroup": shown, "meta": meta}, headers={"etag": group.etag})


@routes("PATCH", _GROUP_PATH)
def update_group(twilio: State, request: Request, store_id: str, trait_group_name: str) -> Reply:
    group, asked = _group(twilio, store_id, trait_group_name), body_as(request, _GROUP)
    _match(request, group.etag)
    traits = {**group.traits, **asked.traits}
    traits = {name: trait for name, trait in traits.items() if trait.data_type}
    if len(traits) > MOST_TRAITS:
        raise Problem(400, 520054, "The trait group has as many traits as it may have")
    group.traits = traits
    if asked.description is not UNSET:
        group.description = _text(asked.description)
    group.version += 1
    return accept(twilio)


@routes("DELETE", _GROUP_PATH)
def delete_group(twilio: State, request: Request, store_id: str, trait_group_name: str) -> Reply:
    group = _group(twilio, store_id, trait_group_name)
    if group.name == "Contact":
        raise Problem(409, 20409, "The trait group Contact cannot be deleted")
    del twilio.part(Memory).stores[store_id].people.groups[group.name]
    return accept(twilio)


def _group(twilio: State, store_id: str, name: str) -> TraitGroup:
    group = twilio.part(Memory).store(store_id).people.groups.get(name)
    if group is None:
        raise Problem(404, 20404, "The trait group was not found")
    return group


@routes("GET", "/Operations/{operationId}")
def fetch_operation(twilio: State, request: Request, operation_id: str) -> Reply:
    operation = twilio.part(Memory).operations.get(operation_id)
    if operation is None:
        raise Problem(404, 20404, "The operation was not found")
    prefix = "https://memory.twilio.invalid/v1/ControlPlane/Operations"
    shown = operation.view(twilio.clock.now(), prefix)
    return json_reply(shown, headers={"operation-id": operation.id, "retry-after": "1"})
