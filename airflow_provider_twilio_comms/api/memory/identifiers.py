"""Identifiers of a profile, such as its phone numbers: https://www.twilio.com/docs/api/memory/v1/identifiers"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._resources import nothing
from airflow_provider_twilio_comms.api.comms._paging import filters
from airflow_provider_twilio_comms.api.memory._shared import PROFILE, at_profile, unless_merged
from airflow_provider_twilio_comms.api.memory.profiles import IdType, IdValue
from airflow_provider_twilio_comms.api.wire import Call, Method, Reply, decoded

__all__ = ["Identifiers", "create", "delete", "fetch", "list", "update"]

T = TypeVar("T")
ALL = f"{PROFILE}/Identifiers"
ONE = f"{PROFILE}/Identifiers/{{idType}}"


class Identifiers(msgspec.Struct, frozen=True, rename="camel"):
    """The values of one identifier type. Its repr hides them."""

    id_type: str
    values: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Identifiers(id_type={self.id_type!r}, {len(self.values)} values)"


class _Listed(msgspec.Struct):
    identifiers: tuple[Identifiers, ...] = ()


def list(store_id: str, profile_id: str) -> Call[Sequence[Identifiers]]:
    """List all identifiers: ``GET /v1/Stores/{storeId}/Profiles/{profileId}/Identifiers``."""
    return _call("GET", ALL, lambda reply: decoded(reply, _Listed).identifiers, store_id, profile_id)


def create(store_id: str, profile_id: str, id_type: str, value: str) -> Call[None]:
    """Add an identifier: ``POST /v1/Stores/{storeId}/Profiles/{profileId}/Identifiers``."""
    body = {"idType": valid("id_type", id_type, IdType), "value": valid("value", value, IdValue)}
    return _call("POST", ALL, nothing, store_id, profile_id, json=body)


def fetch(store_id: str, profile_id: str, id_type: str) -> Call[Identifiers]:
    """Read those of a type: ``GET /v1/Stores/{storeId}/Profiles/{profileId}/Identifiers/{idType}``."""
    return _call("GET", ONE, lambda reply: decoded(reply, Identifiers), store_id, profile_id, id_type)


def update(store_id: str, profile_id: str, id_type: str, old_value: str, new_value: str) -> Call[None]:
    """Replace one: ``PATCH /v1/Stores/{storeId}/Profiles/{profileId}/Identifiers/{idType}``."""
    body = {
        "idType": id_type,
        "oldValue": valid("old_value", old_value, IdValue),
        "newValue": valid("new_value", new_value, IdValue),
    }
    return _call("PATCH", ONE, nothing, store_id, profile_id, id_type, json=body)


def delete(store_id: str, profile_id: str, id_type: str, *, remove_all: bool | None = None) -> Call[None]:
    """Remove those of a type: ``DELETE /v1/Stores/{storeId}/Profiles/{profileId}/Identifiers/{idType}``."""
    query = filters(remove_all=None if remove_all is None else str(remove_all).lower())
    return _call("DELETE", ONE, nothing, store_id, profile_id, id_type, query=query)


def _call(
    method: Method,
    path: str,
    read: Callable[[Reply], T],
    store_id: str,
    profile_id: str,
    id_type: str | None = None,
    **request: Any,
) -> Call[T]:
    typed: Mapping[str, str] = {"idType": valid("id_type", id_type, IdType)} if id_type is not None else {}
    values = at_profile(store_id, profile_id, **typed)
    return Call(method, path, unless_merged(read), "memory", values, redirects=True, **request)
