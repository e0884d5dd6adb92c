"""An object store for the tests of files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.object_store import ObjectStore, object_store_running


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A real object store, which ``s3://aws@lake/...`` names."""
    with object_store_running() as started:
        yield started
