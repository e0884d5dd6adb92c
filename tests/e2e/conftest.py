"""One deployment for all scenarios; each finds it whole, with a Twilio that does its work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, deployed, missing


@pytest.fixture(scope="package")  # its twenty processes are not to run beside what comes after
def started() -> Iterator[Deployment]:
    if lacking := missing():
        pytest.skip(lacking)
    with deployed() as deployment:
        yield deployment


@pytest.fixture
def deployment(started: Deployment) -> Deployment:
    started.wait_complete()
    started.emulator.control("DELETE", "faults")
    started.emulator.control("POST", "reset")
    started.emulator.change(pace=3.0)
    return started


@pytest.fixture
def waits(request: pytest.FixtureRequest) -> int:
    """Count how many tasks wait when a triggerer dies. Each is two processes, so the whole suite has few."""
    return 500 if request.config.getoption("markexpr") == "e2e" else 100
