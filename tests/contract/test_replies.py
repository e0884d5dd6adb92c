"""Every call, sent to the emulator through both transports: what arrives and what comes back is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from airflow_provider_twilio_comms.api.wire import Call, Page, Reply
from airflow_provider_twilio_comms.client.aio import AsyncClient
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.server import Running
from tests.contract.calls import SAMPLES
from tests.contract.disagreements import WITHOUT_OPERATION
from tests.contract.documents import Heard, Sent, judge
from tests.contract.emulated import Recorder, settle
from tests.contract.world import Sample, World

START = World.now.timestamp()


def arrived(request: Request) -> Sent:
    """A request as the emulator got it."""
    target = quote(request.path) + (f"?{urlencode(request.query)}" if request.query else "")
    host = f"https://{request.product}.twilio.com"
    content_type = request.headers.get("content-type", "")
    return Sent(request.method.lower(), host, target, content_type, request.body or None)


@dataclass
class Line:
    """A fresh emulator, how to make a call over HTTP, and the last reply as it came."""

    twilio: Recorder
    run: Callable[[Call[Any]], Any]
    last: Reply = field(default_factory=lambda: Reply(0))

    def make(self, call: Call[Any]) -> Any:
        def read(reply: Reply) -> Any:
            self.last = reply
            return call.read(reply)

        return self.run(replace(call, read=read))


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = Running(Recorder(Clock(START), seed=1, pace=10))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["requests", "aiohttp"])
def run(request: pytest.FixtureRequest, server: Running) -> Iterator[Callable[[Call[Any]], Any]]:
    """Makes a call through a transport."""
    config = Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=server.base_url)
    if request.param == "requests":
        client = Client(config)
        yield client.run
        client.close()
        return
    loop = asyncio.new_event_loop()

    async def opened() -> AsyncClient:
        return AsyncClient(config)

    async_client = loop.run_until_complete(opened())
    yield lambda call: loop.run_until_complete(async_client.run(call))
    loop.run_until_complete(async_client.close())
    loop.close()


@pytest.fixture
def line(server: Running, run: Callable[[Call[Any]], Any]) -> Line:
    twilio = server.twilio
    assert isinstance(twilio, Recorder)
    twilio.clock = Clock(START)
    twilio.reset()
    return Line(twilio, run)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_of_a_call_over_http(line: Line, sample: Sample) -> None:
    world = settle(line.twilio, line.run)
    call = sample.call(world)
    result = line.make(call)
    assert "authorization" in line.twilio.last.headers
    if sample.name not in WITHOUT_OPERATION:
        sent = arrived(line.twilio.last)
        judge(call.product).validate_request(sent)
        judge(call.product).validate_response(sent, Heard.of(line.last))
    if isinstance(result, Page) and result.next:
        line.make(result.next)
        sent = arrived(line.twilio.last)
        judge(call.product).validate_response(sent, Heard.of(line.last))


@pytest.mark.parametrize("name", ["media.download", "deactivations.fetch"])
def test_contract_of_a_file_elsewhere(line: Line, name: str) -> None:
    """The address that a redirect names is read without our credentials, and refused with them."""
    world = settle(line.twilio, line.run)
    sample = next(sample for sample in SAMPLES if sample.name == name)
    url = line.make(sample.call(world)).url
    assert requests.get(url, timeout=5).status_code == 200
    assert requests.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5).status_code == 400
