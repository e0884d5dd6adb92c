"""Calls of the Memory API: each request is exact, valid by Twilio's document, and shows nothing personal."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
import pytest
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError

from airflow_provider_twilio_comms.api.memory import (
    identifiers,
    identity_resolution,
    imports,
    operations,
    profiles,
    stores,
    trait_groups,
)
from airflow_provider_twilio_comms.api.wire import Call, Reply, checked
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, ProfileMerged, RateLimited
from tests.api.memory.samples import ONE, SAMPLES, Sample, World
from tests.contract.documents import METHODS, OpenApiRequest, load, validator_of

MODULES: tuple[ModuleType, ...] = (
    identifiers,
    identity_resolution,
    imports,
    operations,
    profiles,
    stores,
    trait_groups,
)
WORLD = World()
STORE, PROFILE = WORLD.store, WORLD.profile
OTHER = PROFILE[:-1] + "9"


@cache
def validator() -> OpenAPI:
    return validator_of(load("memory_v1"))


def functions() -> dict[str, str]:
    """Every public function that returns a Call, and its docstring."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": vars(module)[name].__doc__ or ""
        for module in MODULES
        for name in module.__all__
        if str(getattr(vars(module)[name], "__annotations__", {}).get("return")).startswith("Call[")
    }


def filled(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return msgspec.json.decode(re.sub(r"<(\w+)>", lambda match: str(asdict(WORLD)[match[1]]), text))


def test_memory_every_function_and_every_operation_has_a_sample() -> None:
    assert {sample.name for sample in SAMPLES} == set(functions())
    described = {
        (method.upper(), path)
        for path, item in load("memory_v1")["paths"].items()
        for method in METHODS
        if method in item
    }
    assert {(call.method, call.path) for call in (each.call(WORLD) for each in SAMPLES)} == described


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_memory_a_call_becomes_exactly_this_request(sample: Sample) -> None:
    call = sample.call(WORLD)
    assert f"{call.method} {call.target('AC1')}" == filled(sample.wire)
    assert call.product == "memory"
    _, body = call.content()
    assert (msgspec.json.decode(body) if body else None) == sample.json
    assert f"``{call.method} {call.path}``" in functions()[sample.name]
    shown = repr(call)
    assert not any(secret in shown for secret in ("555", "Ada", "example.com", "?"))
    validator().validate_request(OpenApiRequest.of(call, "AC1"))


def test_memory_only_what_changes_nothing_more_is_repeated() -> None:
    repeated = {sample.name for sample in SAMPLES if sample.call(WORLD).repeatable}
    writes = {sample.name for sample in SAMPLES if sample.call(WORLD).does == "writes"}
    assert writes - repeated == {
        "stores.create",
        "stores.update",
        "trait_groups.create",
        "trait_groups.update",
        "identifiers.create",
        "identifiers.update",
        "imports.create",
    }


def test_memory_validation_refuses_a_wrong_body() -> None:
    call = replace(profiles.create(STORE, ONE), json={"Contact": {}})
    with pytest.raises(OpenAPIError):
        validator().validate_request(OpenApiRequest.of(call, "AC1"))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: stores.create("has space"), "display_name"),
        (lambda: stores.fetch("MG1"), "store_id"),
        (lambda: stores.list(page_size=101), "page_size"),
        (lambda: trait_groups.create(STORE, "a b"), "display_name"),
        (lambda: trait_groups.create(STORE, "a", {"x": "TEXT"}), "traits.x"),
        (lambda: trait_groups.create(STORE, "a", {f"t{n}": "STRING" for n in range(96)}), "traits"),
        (lambda: profiles.create(STORE, {}), "traits"),
        (lambda: profiles.update_bulk(STORE, []), "profiles"),
        (lambda: profiles.update_bulk(STORE, [ONE] * 1001), "profiles"),
        (lambda: profiles.fetch(STORE, "+14155552671"), "profile_id"),
        (lambda: profiles.lookup(STORE, "p", "+14155552671"), "id_type"),
        (lambda: imports.create(STORE, "a.csv", 104_857_601, []), "file_size"),
        (lambda: imports.create(STORE, "a.csv", 10, []), "column_mappings"),
        (lambda: identity_resolution.update(STORE, [], ["phone"]), "identifier_configs"),
    ],
)
def test_memory_bad_input_is_refused_without_showing_it(call: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field
    assert "4155552671" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "status"),
    [(profiles.fetch(STORE, PROFILE), 301), (profiles.update(STORE, PROFILE, ONE), 308)],
)
def test_memory_a_merged_profile_names_the_other(call: Call[Any], status: int) -> None:
    for headers in (
        {"canonical-profile-id": OTHER},
        {"location": f"https://elsewhere.example/v1/Stores/{STORE}/Profiles/{OTHER}?a=b"},
    ):
        with pytest.raises(ProfileMerged) as caught:
            checked(call, Reply(status, headers, b'{"message": "moved", "uri": "x"}'))
        assert caught.value.profile_id == OTHER


def test_memory_a_merged_profile_is_followed_on_our_own_host() -> None:
    flow = profiles.followed(profiles.fetch(STORE, PROFILE))
    first = next(flow)
    assert isinstance(first, Call)
    second = flow.throw(ProfileMerged("merged", profile_id=OTHER, status=301))
    assert isinstance(second, Call)
    assert (first.path_values["profileId"], second.path_values["profileId"]) == (PROFILE, OTHER)
    assert first.path == second.path


def test_memory_a_profile_that_became_another_has_the_others_id() -> None:
    body = msgspec.json.encode({"id": PROFILE, "traits": ONE})
    profile = checked(profiles.fetch(STORE, PROFILE), Reply(200, {"canonical-profile-id": OTHER}, body))
    assert profile.id == OTHER
    assert "Ada" not in repr(profile)


def test_memory_an_accepted_change_names_its_operation() -> None:
    body = b'{"message": "ok", "statusUrl": "https://memory.twilio.com/v1/ControlPlane/Operations/op3"}'
    for headers, operation_id in (
        ({"operation-id": "op1", "location": "/v1/ControlPlane/Operations/op2"}, "op1"),
        ({"location": "/v1/ControlPlane/Operations/op2"}, "op2"),
        ({}, "op3"),
    ):
        assert checked(stores.delete(STORE), Reply(202, headers, body)).operation_id == operation_id


def test_memory_an_etag_makes_a_change_conditional() -> None:
    store = b'{"id": "mem_store_1", "displayName": "shop", "status": "ACTIVE", "version": 3}'
    found = checked(stores.fetch(STORE), Reply(200, {"etag": '"3"'}, store))
    assert found.etag == '"3"'
    assert stores.update(STORE, "shop", etag=found.etag).headers == (("If-Match", '"3"'),)


def test_memory_errors_are_classic() -> None:
    body = msgspec.json.encode({"code": 20429, "message": "Too many", "more_info": "x", "status": 429})
    with pytest.raises(RateLimited) as caught:
        checked(profiles.update_bulk(STORE, [ONE]), Reply(429, {"retry-after": "3"}, body))
    assert caught.value.retry_after == 3
    with pytest.raises(ApiError, match="520054"):
        checked(
            trait_groups.create(STORE, "a"),
            Reply(400, {}, b'{"code": 520054, "message": "limit", "status": 400}'),
        )
