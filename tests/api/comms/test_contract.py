"""Contract of the Communications API: every operation has a function, and requests and replies are valid."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from openapi_core.exceptions import OpenAPIError

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.comms.inventory import POOL_ID, SMS_SENDER_ID
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running
from tests.api.comms.samples import SAMPLES, Sample, World
from tests.contract.documents import METHODS, OpenApiReply, OpenApiRequest
from tests.contract.emulated import RecordingTwilio
from tests.emulator import specs

MODULES: tuple[ModuleType, ...] = (messages, operations, sender_pools, senders)
NOON = 1_790_000_000.0
TO = [{"address": "+14155552671", "channel": "PHONE"}]


@cache
def described() -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation of the document, by method and template."""
    paths = specs.document()["paths"].items()
    return {
        (verb.upper(), template): {**item[verb], "shared": item.get("parameters", [])}
        for template, item in paths
        for verb in METHODS
        if verb in item
    }


def operation_of(call: Call[Any]) -> dict[str, Any]:
    """Find the operation of a call, since calls name paths as the document does."""
    return described()[call.method, call.path]


def functions() -> dict[str, str]:
    """Every public function that returns a Call, and its docstring."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": vars(module)[name].__doc__ or ""
        for module in MODULES
        for name in module.__all__
        if str(getattr(vars(module)[name], "__annotations__", {}).get("return")).startswith("Call[")
    }


def test_contract_every_function_has_a_sample() -> None:
    assert {sample.name for sample in SAMPLES} == set(functions())


def test_contract_every_operation_has_a_function_and_the_other_way_round() -> None:
    spoken = {operation_of(sample.call(World()))["operationId"] for sample in SAMPLES}
    assert spoken == {operation["operationId"] for operation in described().values()}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_a_docstring_names_the_request(sample: Sample) -> None:
    call = sample.call(World())
    assert f"``{call.method} {call.path}``" in functions()[sample.name]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_a_query_asks_for_nothing_unknown(sample: Sample) -> None:
    call = sample.call(World())
    given = [*operation_of(call).get("parameters", []), *operation_of(call)["shared"]]
    assert {name for name, _ in call.query} <= {each["name"] for each in given}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_a_body_says_nothing_unknown(sample: Sample) -> None:
    """The document's schemas are open, so that its validation would not notice."""
    call = sample.call(World())
    _, encoded = call.content()
    body = operation_of(call).get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = body.get("schema", {})
    known = {name for form in (schema, *schema.get("anyOf", ())) for name in form.get("properties", ())}
    value = json.loads(encoded or b"{}")
    assert set(value if isinstance(value, dict) else ()) <= known


class EmulatedClient:
    """A client over HTTP of an emulator of its own."""

    def __init__(self, transport: str) -> None:
        self.twilio = RecordingTwilio(Clock(NOON), seed=1, pace=10)
        self.transport = transport
        self._server = Running(self.twilio)
        self._server.start()
        self.config = Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=self._server.base_url)

    def run(self, call: Call[Any]) -> Any:
        if self.transport == "requests":
            with sync.connected(self.config) as client:
                return client.run(call)

        async def run() -> Any:
            async with aio.connected(self.config) as client:
                return await client.run(call)

        return asyncio.run(run())

    def run_validated(self, call: Call[Any]) -> Any:
        """Make a call and validate its request and reply, as received, against the document."""
        replies: list[Reply] = []

        def read(reply: Reply) -> Any:
            replies.append(reply)
            return call.read(reply)

        result = self.run(replace(call, read=read))
        sent = OpenApiRequest.received(self.twilio.last)
        specs.validator().validate_request(sent)
        specs.validator().validate_response(sent, OpenApiReply.of(replies[0]))
        return result

    def create_world(self) -> World:
        """Create the resources of the samples, with the calls themselves."""
        operation = self.run(messages.send(TO, "Hi", sender="+15005550006")).operation_id
        pool = self.run(sender_pools.create("Spare")).operation_id
        self.twilio.clock.advance(10)
        message = self.run(messages.list(operation_id=operation)).items[0].id
        return World(
            operation=operation,
            pool_operation=pool,
            message=message,
            sid=self.run(messages.fetch(message)).attempts[0].sid,
            sender=SMS_SENDER_ID,
            pool=POOL_ID,
        )

    def close(self) -> None:
        self._server.stop()


@pytest.fixture(scope="module", params=["requests", "aiohttp"])
def clients(request: pytest.FixtureRequest) -> Iterator[Callable[[], tuple[EmulatedClient, World]]]:
    """Make a client with one emulator for all samples of a transport, reset on demand."""
    client = EmulatedClient(request.param)

    def anew() -> tuple[EmulatedClient, World]:
        client.twilio.reset()
        return client, client.create_world()

    yield anew
    client.close()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_of_request_and_reply(
    clients: Callable[[], tuple[EmulatedClient, World]], sample: Sample
) -> None:
    client, world = clients()
    result = client.run_validated(sample.call(world))
    if sample.name.endswith(".fetch") or sample.name == "sender_pools.fetch_operation":
        assert result.id in sample.call(world).path_values.values()
    elif isinstance(result, Page):
        assert isinstance(result.items, list)
    elif sample.name == "messages.send":
        assert re.match(r"comms_operation_[0-7]", result.operation_id)
    elif sample.name == "messages.seek":
        assert result == world.message


def test_contract_of_an_acceptance_without_a_body(
    clients: Callable[[], tuple[EmulatedClient, World]],
) -> None:
    """In the body or in a header, the id of a pool's operation is found, as a send's is."""
    client, world = clients()
    for place in ("body", "header"):
        client.twilio.change(accepted=place)
        made = client.run(sender_pools.create(f"From the {place}"))
        added = client.run(sender_pools.add_senders(world.pool, [world.sender]))
        sent = client.run(messages.send(TO, "Hi", sender=world.number))
        for each in (made, added, sent):
            assert re.match(r"comms_operation_[0-7]", each.operation_id)
    client.twilio.change(accepted=None)


def test_contract_of_the_next_page(clients: Callable[[], tuple[EmulatedClient, World]]) -> None:
    client, _ = clients()
    for call, count in (
        (senders.list(page_size=4), 6),
        (senders.search("+15005550006", "SMS", page_size=1), 1),
    ):
        page = client.run_validated(call)
        items = list(page.items)
        while page.next is not None:
            page = client.run_validated(page.next)
            items += page.items
        assert len(items) == count


@pytest.mark.parametrize(
    "body",
    [
        {"to": TO},
        {"to": [], "content": {"text": "Hi"}},
        {"to": [{"address": "+14155552671"}], "content": {"text": "Hi"}},
        {"to": [*TO, {**TO[0], "name": "Ines"}], "content": {"text": "Hi"}},
        {"to": TO, "content": {"text": "Hi", "subject": "Hi"}},
    ],
)
def test_contract_validation_refuses_a_wrong_body(body: dict[str, Any]) -> None:
    call = replace(messages.send(TO, "Hi"), body=None, json=body)
    content_type, encoded = call.content()
    with pytest.raises(OpenAPIError):
        specs.validator().validate_request(
            OpenApiRequest("post", "https://comms.twilio.com", "/v1/Messages", content_type or "", encoded)
        )
