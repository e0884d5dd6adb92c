"""Everything public has a type, and the check would notice if it had none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dist.completeness import findings, verified


def reported(*messages: str) -> dict[str, Any]:
    errors = [{"file": "f.py", "severity": "error", "message": message} for message in messages]
    return {"symbols": [{"name": "a.b.Name", "diagnostics": errors}]}


@pytest.mark.dist
def test_every_public_name_has_a_type() -> None:
    checked = verified()
    assert checked["exportedSymbolCounts"]["withKnownType"] > 4000
    assert list(findings(checked)) == []


def test_a_name_without_a_type_is_a_finding() -> None:
    (found,) = findings(reported("Type is missing type annotation"))
    assert found == "f.py:0: a.b.Name: Type is missing type annotation"


def test_what_airflow_leaves_open_is_none() -> None:
    left_open = ("Type of metaclass unknown", 'Type of base class "a.b.Base" is partially unknown')
    assert list(findings(reported(*left_open))) == []
    assert len(list(findings(reported(*left_open, "Type is missing type annotation")))) == 1
