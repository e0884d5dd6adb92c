"""Profiles, the people in a memory store: https://www.twilio.com/docs/api/memory/v1/profiles

A call about one profile raises :class:`~airflow_provider_twilio_comms.exceptions.ProfileMerged` if it is part
of another by now. Writes are asynchronous: a read right after one may not show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api._resources import nothing
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.memory._shared import (
    PROFILE,
    PROFILES,
    Name,
    at,
    at_profile,
    unless_merged,
)
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded
from airflow_provider_twilio_comms.exceptions import InvalidInput, ProfileMerged

__all__ = [
    "Created",
    "Found",
    "Profile",
    "TraitValue",
    "create",
    "delete",
    "fetch",
    "followed",
    "list",
    "list_traits",
    "lookup",
    "update",
    "update_bulk",
]

T = TypeVar("T")
Traits = Mapping[str, Mapping[str, Any]]
MOST_PROFILES = 1000  # of one bulk
MOST_HOPS = 5  # merges that are followed
IdType = Annotated[str, Meta(min_length=2, max_length=30, description="2 to 30 characters")]
IdValue = Annotated[str, Meta(min_length=1, max_length=255, description="1 to 255 characters")]
_Traits = Annotated[
    Mapping[Name, Annotated[Mapping[Name, Any], Meta(max_length=99)]],
    Meta(
        min_length=1,
        max_length=50,
        description='up to 50 trait groups with up to 99 values each: {"Contact": {"city": "Lisbon"}}',
    ),
]


class Created(msgspec.Struct, frozen=True):
    """A profile that was accepted; ``id`` is that of a known one if an identifier matched."""

    id: str
    message: str | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """A profile: ``traits`` are values by trait group and name. Its repr shows the id only."""

    id: str
    created_at: datetime | None = None
    traits: dict[str, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"Profile(id={self.id!r})"


class Found(msgspec.Struct, frozen=True, rename="camel"):
    """The profiles that have an identifier, and the identifier as Twilio writes it."""

    normalized_value: str | None = None
    profiles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Found(profiles={self.profiles!r})"


class TraitValue(msgspec.Struct, frozen=True, rename="camel"):
    """The value of a trait, and since when the profile has it. Its repr hides the value."""

    name: str
    trait_group: str
    value: Any = None
    timestamp: datetime | None = None

    def __repr__(self) -> str:
        return f"TraitValue({self.trait_group}.{self.name})"


def create(store_id: str, traits: Traits) -> Call[Created]:
    """Create a profile, or add to a known one: ``POST /v1/Stores/{storeId}/Profiles``.

    At least one trait has to be promoted to an identifier. Twilio merges by identifier, so repeating the
    call changes nothing more.
    """
    return Call(
        "POST",
        PROFILES,
        lambda reply: decoded(reply, Created),
        "memory",
        at(store_id),
        json={"traits": valid("traits", traits, _Traits)},
        idempotent=True,
    )


def update_bulk(store_id: str, profiles: Sequence[Traits] | msgspec.Raw) -> Call[None]:
    """Create or add to up to 1,000 profiles: ``PUT /v1/Stores/{storeId}/Profiles/Bulk``.

    ``profiles`` are the traits of each, or the JSON array of ``{"traits": ...}``, already encoded. Twilio
    accepts them without a result for each: neither ids nor errors.
    """
    rows: Any = profiles
    if not isinstance(profiles, msgspec.Raw):
        if not 1 <= len(profiles) <= MOST_PROFILES:
            raise InvalidInput.at(
                "profiles", f"{len(profiles)} given", f"Twilio takes 1 to {MOST_PROFILES:,}"
            )
        rows = [{"traits": valid(f"profiles[{row}]", each, _Traits)} for row, each in enumerate(profiles)]
    body = msgspec.json.encode({"profiles": rows})
    return Call("PUT", f"{PROFILES}/Bulk", nothing, "memory", at(store_id), body=body)


def list(
    store_id: str, *, page_size: int | None = None, order_by: Literal["ASC", "DESC"] | None = None
) -> Call[Page[str]]:
    """List the ids of profiles: ``GET /v1/Stores/{storeId}/Profiles``."""
    query = filters(page_size=page_size, order_by=order_by)
    return listing(PROFILES, "profiles", str, query, path_values=at(store_id), product="memory")


def fetch(store_id: str, profile_id: str, trait_groups: Sequence[str] = ()) -> Call[Profile]:
    """Read a profile, or only these trait groups of it: ``GET /v1/Stores/{storeId}/Profiles/{profileId}``."""
    return Call(
        "GET",
        PROFILE,
        unless_merged(_profile),
        "memory",
        at_profile(store_id, profile_id),
        filters(trait_groups=",".join(trait_groups) or None),
        redirects=True,
    )


def update(store_id: str, profile_id: str, traits: Traits) -> Call[None]:
    """Change traits: ``PATCH /v1/Stores/{storeId}/Profiles/{profileId}``. The value None removes one."""
    return Call(
        "PATCH",
        PROFILE,
        unless_merged(nothing),
        "memory",
        at_profile(store_id, profile_id),
        json={"traits": valid("traits", traits, _Traits)},
        redirects=True,
        idempotent=True,
    )


def delete(store_id: str, profile_id: str) -> Call[None]:
    """Delete a profile: ``DELETE /v1/Stores/{storeId}/Profiles/{profileId}``."""
    return Call(
        "DELETE",
        PROFILE,
        unless_merged(nothing),
        "memory",
        at_profile(store_id, profile_id),
        redirects=True,
    )


def lookup(store_id: str, id_type: str, value: str) -> Call[Found]:
    """Find the profiles that have an identifier: ``POST /v1/Stores/{storeId}/Profiles/Lookup``. It reads."""
    return Call(
        "POST",
        f"{PROFILES}/Lookup",
        lambda reply: decoded(reply, Found),
        "memory",
        at(store_id),
        json={"idType": valid("id_type", id_type, IdType), "value": valid("value", value, IdValue)},
        effect="reads",
    )


def list_traits(
    store_id: str,
    profile_id: str,
    *,
    trait_groups: Sequence[str] = (),
    page_size: int | None = None,
    order_by: Literal["ASC", "DESC"] | None = None,
) -> Call[Page[TraitValue]]:
    """List a profile's traits: ``GET /v1/Stores/{storeId}/Profiles/{profileId}/Traits``."""
    query = filters(trait_groups=",".join(trait_groups) or None, page_size=page_size, order_by=order_by)
    return _redirecting(
        listing(
            f"{PROFILE}/Traits",
            "traits",
            TraitValue,
            query,
            path_values=at_profile(store_id, profile_id),
            product="memory",
        )
    )


def followed(call: Call[T]) -> Flow[T]:
    """Make a call about one profile, and, if it was merged, the same call about the other."""
    for _ in range(MOST_HOPS):
        try:
            return (yield from made(call))
        except ProfileMerged as merged:
            call = replace(call, path_values={**call.path_values, "profileId": merged.profile_id})
    return (yield from made(call))


def _redirecting(call: Call[T]) -> Call[T]:
    return replace(call, read=unless_merged(call.read), redirects=True)


def _profile(reply: Reply) -> Profile:
    """Read a profile; it is another's if ``Canonical-Profile-Id`` says so."""
    profile = decoded(reply, Profile)
    return msgspec.structs.replace(profile, id=reply.headers.get("canonical-profile-id") or profile.id)
