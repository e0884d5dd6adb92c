"""Bodies of the Memory API, checked strictly: https://www.twilio.com/docs/api/memory/v1"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.emulator.comms.modules import Strict

Name = Annotated[str, Meta(min_length=1, max_length=64)]
GroupName = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9_.-]{1,64}\Z")]
StoreName = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9-]{1,64}\Z")]
StoreText = Annotated[str, Meta(min_length=1, max_length=128)]
IdType = Annotated[str, Meta(min_length=2, max_length=30)]
Value = Annotated[str, Meta(min_length=1, max_length=255)]
Description = Annotated[str, Meta(max_length=1024)]
Traits = Annotated[
    dict[GroupName, Annotated[dict[Name, Any], Meta(max_length=99)]], Meta(min_length=1, max_length=50)
]


class NewStore(Strict):
    display_name: StoreName
    description: StoreText | UnsetType = UNSET


class StoreChange(Strict):
    display_name: StoreName | UnsetType = UNSET
    description: StoreText | UnsetType = UNSET


class Trait(Strict, omit_defaults=True):
    data_type: Literal["STRING", "NUMBER", "BOOLEAN", "ARRAY", ""]
    description: Description | UnsetType = UNSET
    validation_rule: dict[str, Any] | UnsetType = UNSET
    id_type_promotion: Annotated[str, Meta(max_length=30)] | UnsetType = UNSET


Definitions = Annotated[dict[Name, Trait], Meta(max_length=95)]


class NewGroup(Strict):
    display_name: GroupName
    description: Description | UnsetType = UNSET
    traits: Definitions = msgspec.field(default_factory=dict)


class GroupChange(Strict):
    description: Description | UnsetType = UNSET
    traits: Definitions = msgspec.field(default_factory=dict)


class IdentifierConfig(Strict):
    id_type: IdType
    matching_algo: Literal["exact", "fuzzy"] = "exact"
    matching_threshold: Annotated[int, Meta(ge=50, le=99)] = 75
    limit: Annotated[int, Meta(ge=1, le=100)] = 100
    limit_policy: Literal["fifo", "lifo"] = "fifo"
    enforce_unique: bool = True
    normalization: Literal["phone", "email", "trim", "none"] = "trim"


class Settings(Strict):
    identifier_configs: Annotated[list[IdentifierConfig], Meta(min_length=1, max_length=15)]
    matching_rules: Annotated[list[IdType], Meta(min_length=1, max_length=15)]


class ProfileData(Strict):
    traits: Traits


class Bulk(Strict):
    profiles: Annotated[list[ProfileData], Meta(min_length=1, max_length=1000)]


class CountedBulk(Strict):
    """The body of a bulk for the null sink, which does not parse profiles."""

    profiles: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=1000)]


class Identifier(Strict):
    id_type: IdType
    value: Value


class IdentifierChange(Strict):
    id_type: IdType
    old_value: Value
    new_value: Value


class ColumnMapping(Strict):
    column_name: Name
    trait_group: Name
    trait_name: Name


class NewImport(Strict):
    filename: Annotated[str, Meta(min_length=1, max_length=255)]
    file_size: Annotated[int, Meta(ge=1, le=104_857_600)]
    column_mappings: Annotated[list[ColumnMapping], Meta(min_length=2, max_length=100)]
