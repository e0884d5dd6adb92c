"""Identity resolution: which identifiers a store knows, and by which of them it merges profiles.

https://www.twilio.com/docs/api/memory/v1/identity-resolution-settings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.memory._shared import (
    STORE,
    Accepted,
    accepted,
    at,
    if_match,
    with_etag,
)
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["Accepted", "IdentifierConfig", "Settings", "fetch", "update"]

SETTINGS = f"{STORE}/IdentityResolutionSettings"
_Few = Annotated[Sequence[Any], Meta(min_length=1, max_length=15, description="1 to 15")]
_IdType = Annotated[str, Meta(min_length=2, max_length=30, description="2 to 30 characters")]


class IdentifierConfig(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An identifier type of a store, such as ``phone``, and how its values are compared and kept."""

    id_type: _IdType
    matching_algo: Literal["exact", "fuzzy"] | None = None
    matching_threshold: Annotated[int, Meta(ge=50, le=99)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] | None = None
    limit_policy: Literal["fifo", "lifo"] | None = None
    enforce_unique: bool | None = None
    normalization: Literal["phone", "email", "trim", "none"] | None = None


class Settings(msgspec.Struct, frozen=True, rename="camel"):
    """The settings of a store; ``matching_rules`` names the identifier types by which profiles are merged."""

    identifier_configs: tuple[IdentifierConfig, ...]
    matching_rules: tuple[str, ...]
    version: int | None = None
    etag: str | None = None


def fetch(store_id: str) -> Call[Settings]:
    """Read the settings: ``GET /v1/ControlPlane/Stores/{storeId}/IdentityResolutionSettings``."""
    return Call("GET", SETTINGS, with_etag(Settings), "memory", at(store_id))


def update(
    store_id: str,
    identifier_configs: Sequence[IdentifierConfig | dict[str, Any]],
    matching_rules: Sequence[str],
    *,
    etag: str | None = None,
) -> Call[Accepted]:
    """Replace the settings: ``PUT /v1/ControlPlane/Stores/{storeId}/IdentityResolutionSettings``."""
    for name, values in (("identifier_configs", identifier_configs), ("matching_rules", matching_rules)):
        valid(
            name, values, Annotated[Sequence[Any], Meta(min_length=1, max_length=15, description="1 to 15")]
        )
    body = {
        "identifierConfigs": [
            valid("identifier_configs", msgspec.to_builtins(config), IdentifierConfig)
            for config in identifier_configs
        ],
        "matchingRules": valid("matching_rules", matching_rules, Sequence[_IdType]),
    }
    return Call("PUT", SETTINGS, accepted, "memory", at(store_id), json=body, headers=if_match(etag))
