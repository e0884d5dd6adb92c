"""Coverage: every operation has a function, and every function an operation, except those that are listed."""

from __future__ import annotations

from types import ModuleType

import pytest

from airflow_provider_twilio_comms.api import content, lookups, pricing
from airflow_provider_twilio_comms.api.classic import (
    accounts,
    available_numbers,
    feedback,
    incoming_numbers,
    media,
    messages,
    short_codes,
    usage,
)
from airflow_provider_twilio_comms.api.messaging import deactivations, senders, services
from tests.contract.calls import SAMPLES
from tests.contract.disagreements import DISAGREEMENTS, OMITTED, WITHOUT_OPERATION, Disagreement
from tests.contract.documents import operation_of, operations, raw
from tests.contract.world import World

MODULES: tuple[ModuleType, ...] = (
    accounts,
    available_numbers,
    content,
    deactivations,
    feedback,
    incoming_numbers,
    lookups,
    media,
    messages,
    pricing,
    senders,
    services,
    short_codes,
    usage,
)
WORLD = World()


def calls() -> dict[str, str | None]:
    """Every function that returns a Call, and its docstring."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": vars(module)[name].__doc__
        for module in MODULES
        for name in module.__all__
        if str(getattr(vars(module)[name], "__annotations__", {}).get("return")).startswith("Call[")
    }


def covered() -> dict[str, str | None]:
    """The operation of every sample, by the sample's name."""
    found = {}
    for sample in SAMPLES:
        operation = operation_of(sample.call(WORLD), WORLD.account)
        found[f"{sample.name} {sample.wire}"] = operation.key if operation else None
    return found


def test_contract_every_function_has_a_sample() -> None:
    assert set(calls()) == {sample.name for sample in SAMPLES}


def test_contract_every_operation_has_a_function() -> None:
    known = {operation.key for operation in operations()}
    assert known - set(covered().values()) == set(OMITTED)


def test_contract_every_function_has_an_operation() -> None:
    without = {name.split()[0] for name, operation in covered().items() if operation is None}
    assert without == set(WITHOUT_OPERATION)


@pytest.mark.parametrize("name", sorted(calls()))
def test_contract_a_docstring_names_the_request(name: str) -> None:
    """``METHOD /path``, so that searching for Twilio's path finds the function."""
    paths = [operation_of(sample.call(WORLD), WORLD.account) for sample in SAMPLES if sample.name == name]
    documented = calls()[name] or ""
    assert name in WITHOUT_OPERATION or any(
        path and (f"``{path.method} {path.template}``" in documented or "``GET ..." in documented)
        for path in paths
    )


@pytest.mark.parametrize("disagreement", DISAGREEMENTS, ids=lambda disagreement: disagreement.reason[:40])
def test_contract_every_disagreement_still_exists(disagreement: Disagreement) -> None:
    """One whose correction changes nothing must be removed from the list."""
    document = raw(disagreement.product)
    disagreement.correct(document)
    assert document != raw(disagreement.product)
