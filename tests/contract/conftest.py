"""Without Twilio's documents there is no contract to test: those tests are skipped, with one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.documents import AVAILABLE, MISSING

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not AVAILABLE:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=MISSING))
