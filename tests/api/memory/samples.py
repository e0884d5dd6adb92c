"""Samples of every call of the Memory API, with the request that each must become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_twilio_comms.api.memory import (
    identifiers,
    identity_resolution,
    imports,
    operations,
    profiles,
    stores,
    trait_groups,
)
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["SAMPLES", "Sample", "World"]


@dataclass(frozen=True)
class World:
    """The resources of an account; ``spare`` ones may be deleted."""

    store: str = "mem_store_01h9krwprkeee8fzqspvwy6nq8"
    profile: str = "mem_profile_01h9krwprkeee8fzqspvwy6nq8"
    import_id: str = "mem_import_01h9krwprkeee8fzqspvwy6nq8"
    operation: str = "mem_operation_01h9krwprkeee8fzqspvwy6nq8"
    group: str = "Orders"


@dataclass(frozen=True)
class Sample:
    """A call; in the request ``<name>`` stands for a field of the :class:`World`."""

    name: str
    call: Callable[[World], Call[Any]]
    wire: str
    json: Any = None


ONE = {"Contact": {"phone": "+14155552671", "firstName": "Ada"}}
COLUMNS = [
    {"columnName": "phone", "traitGroup": "Contact", "traitName": "phone"},
    {"columnName": "city", "traitGroup": "Contact", "traitName": "city"},
]
S, C = "/v1/Stores/<store>/Profiles", "/v1/ControlPlane/Stores"
P, R = f"{S}/<profile>", f"{C}/<store>/IdentityResolutionSettings"
CONFIG = {"idType": "phone", "normalization": "phone"}

SAMPLES = [
    Sample(
        "stores.create",
        lambda w: stores.create("shop", "The shop"),
        f"POST {C}",
        {"displayName": "shop", "description": "The shop"},
    ),
    Sample(
        "stores.list", lambda w: stores.list(page_size=2, order_by="ASC"), f"GET {C}?pageSize=2&orderBy=ASC"
    ),
    Sample("stores.fetch", lambda w: stores.fetch(w.store), f"GET {C}/<store>"),
    Sample(
        "stores.update",
        lambda w: stores.update(w.store, description="New"),
        f"PATCH {C}/<store>",
        {"description": "New"},
    ),
    Sample("stores.delete", lambda w: stores.delete(w.store), f"DELETE {C}/<store>"),
    Sample(
        "trait_groups.create",
        lambda w: trait_groups.create(
            w.store,
            "Visits",
            {"last": "STRING", "phone": trait_groups.Trait("STRING", id_type_promotion="phone")},
        ),
        f"POST {C}/<store>/TraitGroups",
        {
            "displayName": "Visits",
            "traits": {
                "last": {"dataType": "STRING"},
                "phone": {"dataType": "STRING", "idTypePromotion": "phone"},
            },
        },
    ),
    Sample(
        "trait_groups.list",
        lambda w: trait_groups.list(w.store, include_traits=True, page_size=1),
        f"GET {C}/<store>/TraitGroups?includeTraits=true&pageSize=1",
    ),
    Sample(
        "trait_groups.fetch",
        lambda w: trait_groups.fetch(w.store, w.group),
        f"GET {C}/<store>/TraitGroups/<group>?pageSize=100",
    ),
    Sample(
        "trait_groups.update",
        lambda w: trait_groups.update(w.store, w.group, {"total": "", "days": {"dataType": "NUMBER"}}),
        f"PATCH {C}/<store>/TraitGroups/<group>",
        {"traits": {"total": {"dataType": ""}, "days": {"dataType": "NUMBER"}}},
    ),
    Sample(
        "trait_groups.delete",
        lambda w: trait_groups.delete(w.store, w.group),
        f"DELETE {C}/<store>/TraitGroups/<group>",
    ),
    Sample("identity_resolution.fetch", lambda w: identity_resolution.fetch(w.store), f"GET {R}"),
    Sample(
        "identity_resolution.update",
        lambda w: identity_resolution.update(w.store, [CONFIG], ["phone"]),
        f"PUT {R}",
        {"identifierConfigs": [CONFIG], "matchingRules": ["phone"]},
    ),
    Sample(
        "operations.fetch",
        lambda w: operations.fetch(w.operation),
        "GET /v1/ControlPlane/Operations/<operation>",
    ),
    Sample("profiles.create", lambda w: profiles.create(w.store, ONE), f"POST {S}", {"traits": ONE}),
    Sample(
        "profiles.update_bulk",
        lambda w: profiles.update_bulk(w.store, [ONE, ONE]),
        f"PUT {S}/Bulk",
        {"profiles": [{"traits": ONE}, {"traits": ONE}]},
    ),
    Sample("profiles.list", lambda w: profiles.list(w.store, page_size=1000), f"GET {S}?pageSize=1000"),
    Sample(
        "profiles.fetch",
        lambda w: profiles.fetch(w.store, w.profile, ["Contact", "Orders"]),
        f"GET {P}?traitGroups=Contact%2COrders",
    ),
    Sample(
        "profiles.update",
        lambda w: profiles.update(w.store, w.profile, {"Contact": {"city": None}}),
        f"PATCH {P}",
        {"traits": {"Contact": {"city": None}}},
    ),
    Sample("profiles.delete", lambda w: profiles.delete(w.store, w.profile), f"DELETE {P}"),
    Sample(
        "profiles.lookup",
        lambda w: profiles.lookup(w.store, "phone", "+14155552671"),
        f"POST {S}/Lookup",
        {"idType": "phone", "value": "+14155552671"},
    ),
    Sample(
        "profiles.list_traits",
        lambda w: profiles.list_traits(w.store, w.profile, page_size=1),
        f"GET {P}/Traits?pageSize=1",
    ),
    Sample("identifiers.list", lambda w: identifiers.list(w.store, w.profile), f"GET {P}/Identifiers"),
    Sample(
        "identifiers.create",
        lambda w: identifiers.create(w.store, w.profile, "email", "a@example.com"),
        f"POST {P}/Identifiers",
        {"idType": "email", "value": "a@example.com"},
    ),
    Sample(
        "identifiers.fetch",
        lambda w: identifiers.fetch(w.store, w.profile, "phone"),
        f"GET {P}/Identifiers/phone",
    ),
    Sample(
        "identifiers.update",
        lambda w: identifiers.update(w.store, w.profile, "phone", "+14155552671", "+14155552672"),
        f"PATCH {P}/Identifiers/phone",
        {"idType": "phone", "oldValue": "+14155552671", "newValue": "+14155552672"},
    ),
    Sample(
        "identifiers.delete",
        lambda w: identifiers.delete(w.store, w.profile, "phone", remove_all=True),
        f"DELETE {P}/Identifiers/phone?removeAll=true",
    ),
    Sample(
        "imports.create",
        lambda w: imports.create(w.store, "people.csv", 40, COLUMNS),
        f"POST {S}/Imports",
        {"filename": "people.csv", "fileSize": 40, "columnMappings": COLUMNS},
    ),
    Sample("imports.list", lambda w: imports.list(w.store), f"GET {S}/Imports"),
    Sample("imports.fetch", lambda w: imports.fetch(w.store, w.import_id), f"GET {S}/Imports/<import_id>"),
]
