"""Every call, sent to the emulator through both transports: request and reply are validated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import requests

from airflow_provider_twilio_comms.api.wire import Call, Page, Reply
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running
from tests.contract.calls import SAMPLES
from tests.contract.disagreements import WITHOUT_OPERATION
from tests.contract.documents import OpenApiReply, OpenApiRequest, validator
from tests.contract.emulated import RecordingTwilio, create_world
from tests.contract.world import Sample, World

START = World.now.timestamp()


@dataclass
class RecordingClient:
    """A client of a new emulator, which keeps the last reply as received."""

    twilio: RecordingTwilio
    run: Callable[[Call[Any]], Any]
    last: Reply = field(default_factory=lambda: Reply(0))

    def make(self, call: Call[Any]) -> Any:
        def read(reply: Reply) -> Any:
            self.last = reply
            return call.read(reply)

        return self.run(replace(call, read=read))


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = Running(RecordingTwilio(Clock(START), seed=1, pace=10))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["requests", "aiohttp"])
def run(request: pytest.FixtureRequest, server: Running) -> Iterator[Callable[[Call[Any]], Any]]:
    """Make a call through a transport."""
    config = Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=server.base_url)
    if request.param == "requests":
        sync_client = Client(config)
        yield sync_client.run
        sync_client.close()
        return
    loop = asyncio.new_event_loop()

    async def opened() -> AsyncClient:
        return AsyncClient(config)

    async_client = loop.run_until_complete(opened())
    yield lambda call: loop.run_until_complete(async_client.run(call))
    loop.run_until_complete(async_client.close())
    loop.close()


@pytest.fixture
def client(server: Running, run: Callable[[Call[Any]], Any]) -> RecordingClient:
    twilio = server.twilio
    assert isinstance(twilio, RecordingTwilio)
    twilio.clock = Clock(START)
    twilio.reset()
    return RecordingClient(twilio, run)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_of_a_call_over_http(client: RecordingClient, sample: Sample) -> None:
    world = create_world(client.twilio, client.run)
    call = sample.call(world)
    result = client.make(call)
    assert "authorization" in client.twilio.last.headers
    if sample.name not in WITHOUT_OPERATION:
        sent = OpenApiRequest.received(client.twilio.last)
        validator(call.product).validate_request(sent)
        validator(call.product).validate_response(sent, OpenApiReply.of(client.last))
    if isinstance(result, Page) and result.next:
        client.make(result.next)
        sent = OpenApiRequest.received(client.twilio.last)
        validator(call.product).validate_response(sent, OpenApiReply.of(client.last))


@pytest.mark.parametrize("name", ["media.download", "deactivations.fetch"])
def test_contract_of_a_file_elsewhere(client: RecordingClient, name: str) -> None:
    """The address of a redirect can be read without our credentials, and is refused with them."""
    world = create_world(client.twilio, client.run)
    sample = next(sample for sample in SAMPLES if sample.name == name)
    url = client.make(sample.call(world)).url
    assert requests.get(url, timeout=5).status_code == 200
    assert requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).status_code == 400
