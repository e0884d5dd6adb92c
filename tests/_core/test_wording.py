"""Plural forms."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.wording import pluralize


@pytest.mark.parametrize(("number", "written"), [(0, "0 rows"), (1, "1 row"), (25_000, "25,000 rows")])
def test_one_is_singular(number: int, written: str) -> None:
    assert pluralize(number, "row") == written
    assert pluralize(2, "batch") == "2 batches"
