"""Without Twilio's documents there is no contract to test: one line says so, and the rest is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.documents import AVAILABLE, MISSING

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    if AVAILABLE or not ours:
        return
    ours[0].add_marker(pytest.mark.skip(reason=MISSING))
    config.hook.pytest_deselected(items=ours[1:])
    items[:] = [item for item in items if item not in ours[1:]]
