"""Trait groups, the schema of a store's profiles: https://www.twilio.com/docs/api/memory/v1/trait-groups"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from typing_extensions import Self

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.memory._shared import (
    STORE,
    Accepted,
    GroupName,
    Name,
    PageSize,
    accepted,
    at,
    given,
    if_match,
    with_etag,
)
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply

__all__ = ["Accepted", "Trait", "TraitGroup", "create", "delete", "fetch", "list", "update"]

GROUPS = f"{STORE}/TraitGroups"
GROUP = f"{STORE}/TraitGroups/{{traitGroupName}}"
_Traits = Annotated[Mapping[Name, Any], Meta(max_length=95, description="up to 95 traits by name")]
Description = Annotated[str, Meta(max_length=1024, description="up to 1,024 characters")]


class Trait(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The definition of a trait.

    ``data_type`` is STRING, NUMBER, BOOLEAN, ARRAY, or, in :func:`update`, "" to remove it.
    ``id_type_promotion`` makes its values identifiers of that type, such as ``phone``. ``validation_rule`` is
    in Twilio's form: ``{"ruleType": "STRING", "maxLength": 2}``.
    """

    data_type: Literal["STRING", "NUMBER", "BOOLEAN", "ARRAY", ""]
    description: str | None = None
    validation_rule: dict[str, Any] | None = None
    id_type_promotion: str | None = None

    @classmethod
    def read(cls, name: str, given: Trait | str | Mapping[str, Any]) -> Self:
        """Validate a definition: a :class:`Trait`, a data type, or a mapping in Twilio's form."""
        mapping: Any = {"dataType": given} if isinstance(given, str) else msgspec.to_builtins(given)
        trait: Self = valid(f"traits.{name}", mapping, cls)
        return trait


class TraitGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A trait group. ``traits`` is empty unless they were asked for."""

    display_name: str
    description: str | None = None
    traits: dict[str, Trait] = {}
    version: int | None = None
    etag: str | None = None


class _Wrapped(msgspec.Struct, rename="camel"):
    trait_group: TraitGroup
    etag: str | None = None


def create(
    store_id: str,
    display_name: str,
    traits: Mapping[str, Trait | str | Mapping[str, Any]] | None = None,
    description: str | None = None,
) -> Call[Accepted]:
    """Create a trait group: ``POST /v1/ControlPlane/Stores/{storeId}/TraitGroups``.

    ``traits`` are up to 95 definitions by name: a data type (``"STRING"``), or a :class:`Trait`.
    """
    body = given(displayName=valid("display_name", display_name, GroupName), **_body(traits, description))
    return Call("POST", GROUPS, accepted, "memory", at(store_id), json=body)


def list(
    store_id: str,
    *,
    include_traits: bool | None = None,
    page_size: int | None = None,
    order_by: Literal["ASC", "DESC"] | None = None,
) -> Call[Page[TraitGroup]]:
    """List trait groups: ``GET /v1/ControlPlane/Stores/{storeId}/TraitGroups``."""
    size = page_size and valid("page_size", page_size, PageSize)
    query = filters(include_traits=_flag(include_traits), page_size=size, order_by=order_by)
    return listing(GROUPS, "traitGroups", TraitGroup, query, path_values=at(store_id), product="memory")


def fetch(store_id: str, name: str, *, include_traits: bool | None = None) -> Call[TraitGroup]:
    """Read a trait group: ``GET /v1/ControlPlane/Stores/{storeId}/TraitGroups/{traitGroupName}``.

    Its traits come in pages; as many are asked for as a group can have.
    """
    query = filters(include_traits=_flag(include_traits), page_size=100)
    return Call("GET", GROUP, _unwrapped, "memory", _at(store_id, name), query)


def update(
    store_id: str,
    name: str,
    traits: Mapping[str, Trait | str | Mapping[str, Any]] | None = None,
    description: str | None = None,
    *,
    etag: str | None = None,
) -> Call[Accepted]:
    """Change a trait group: ``PATCH /v1/ControlPlane/Stores/{storeId}/TraitGroups/{traitGroupName}``.

    Traits that are not named stay; the data type ``""`` removes one.
    """
    return Call(
        "PATCH",
        GROUP,
        accepted,
        "memory",
        _at(store_id, name),
        json=_body(traits, description),
        headers=if_match(etag),
    )


def delete(store_id: str, name: str) -> Call[Accepted]:
    """Delete a trait group: ``DELETE /v1/ControlPlane/Stores/{storeId}/TraitGroups/{traitGroupName}``."""
    return Call("DELETE", GROUP, accepted, "memory", _at(store_id, name))


def _at(store_id: str, name: str) -> Mapping[str, str]:
    return at(store_id, traitGroupName=valid("name", name, GroupName))


def _body(traits: Mapping[str, Any] | None, description: str | None) -> dict[str, Any]:
    if traits is not None:
        valid("traits", traits, _Traits)
    return given(
        traits=None if traits is None else {name: Trait.read(name, trait) for name, trait in traits.items()},
        description=None if description is None else valid("description", description, Description),
    )


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _unwrapped(reply: Reply) -> TraitGroup:
    wrapped = with_etag(_Wrapped)(reply)
    return msgspec.structs.replace(wrapped.trait_group, etag=wrapped.etag)
