"""An emulator over real sockets for stored people, and a store in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.memory import operations, stores, trait_groups
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running, running

__all__ = ["Run"]

Run = Callable[[Call[Any]], Any]
NOON = 1_790_000_000.0


@pytest.fixture
def emulator() -> Iterator[Running]:
    with running(clock=Clock(NOON), seed=1, pace=0) as started:
        yield started


@pytest.fixture
def run(emulator: Running) -> Iterator[Run]:
    """Make a call, once."""
    config = Config(
        ACCOUNT_SID,
        ACCOUNT_SID,
        AUTH_TOKEN,
        base_url=emulator.base_url,
        comms_version="preview",
        max_attempts=1,
    )
    client = Client(config)
    yield client.run
    client.close()


@pytest.fixture
def store(run: Run) -> str:
    """A store with a trait group of each type."""
    operation = run(stores.create("shop")).operation_id
    store_id: str = run(operations.fetch(operation)).resource_id
    run(
        trait_groups.create(
            store_id,
            "Orders",
            {"lapsed": "BOOLEAN", "total": "NUMBER", "tags": "ARRAY", "segment": "STRING"},
        )
    )
    return store_id
