"""Every operation of the Communications API has a function, and the document agrees with what goes out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from openapi_core.exceptions import OpenAPIError

from airflow_provider_twilio_comms.api.comms import messages, operations, sender_pools, senders
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply
from airflow_provider_twilio_comms.client import aio, sync
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.comms.inventory import POOL_ID, SMS_SENDER_ID
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.server import Running
from tests.api.comms.samples import SAMPLES, Sample, World
from tests.contract.documents import METHODS, Heard, Sent
from tests.contract.emulated import Recorder
from tests.emulator import specs

OMITTED = {
    *("sendEmails", "listEmails", "fetchEmail", "listEmailOperations", "fetchEmailOperation"),
}  # the Email API is a product of its own
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
    """Calls name paths as the document does."""
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
    assert spoken | OMITTED == {operation["operationId"] for operation in described().values()}
    assert not spoken & OMITTED


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_a_docstring_names_the_request(sample: Sample) -> None:
    call = sample.call(World())
    assert f"``{call.method} {call.path}``" in functions()[sample.name]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_a_query_asks_for_nothing_unknown(sample: Sample) -> None:
    call = sample.call(World())
    given = [*operation_of(call).get("parameters", []), *operation_of(call)["shared"]]
    shared = specs.document()["components"]["parameters"]
    names = {(shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each)["name"] for each in given}
    assert {name for name, _ in call.query} <= names


class Line:
    """An emulator, how to make a call over HTTP, and what went to and fro."""

    def __init__(self, transport: str) -> None:
        self.twilio = Recorder(Clock(NOON), seed=1, pace=10)
        self.transport = transport
        self._server = Running(self.twilio)
        self._server.start()
        self.config = Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=self._server.base_url)

    def run(self, call: Call[Any]) -> Any:
        if self.transport == "requests":
            with sync.connected(self.config) as client:
                return client.run(call)

        async def made() -> Any:
            async with aio.connected(self.config) as client:
                return await client.run(call)

        return asyncio.run(made())

    def judged(self, call: Call[Any]) -> Any:
        """Make a call; the request as it arrived and the reply as it came are held against the document."""
        heard: list[Reply] = []

        def read(reply: Reply) -> Any:
            heard.append(reply)
            return call.read(reply)

        result = self.run(replace(call, read=read))
        sent = arrived(self.twilio.last)
        specs.judge().validate_request(sent)
        specs.judge().validate_response(sent, Heard.of(heard[0]))
        return result

    def settled(self) -> World:
        """What the samples speak of, made with the calls themselves."""
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


def arrived(request: Request) -> Sent:
    target = quote(request.path) + (f"?{urlencode(request.query)}" if request.query else "")
    content_type = request.headers.get("content-type", "")
    host = f"https://{request.product}.twilio.com"
    return Sent(request.method.lower(), host, target, content_type, request.body or None)


@pytest.fixture(scope="module", params=["requests", "aiohttp"])
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[[], tuple[Line, World]]]:
    """One emulator for all samples of a transport, made anew on demand."""
    line = Line(request.param)

    def anew() -> tuple[Line, World]:
        line.twilio.reset()
        return line, line.settled()

    yield anew
    line.close()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_contract_of_request_and_reply(lines: Callable[[], tuple[Line, World]], sample: Sample) -> None:
    line, world = lines()
    result = line.judged(sample.call(world))
    if sample.name.endswith(".fetch") or sample.name == "sender_pools.fetch_operation":
        assert result.id in sample.call(world).path_values.values()
    elif isinstance(result, Page):
        assert isinstance(result.items, list)
    elif sample.name == "messages.send":
        assert re.match(r"comms_operation_[0-7]", result.operation_id)
    elif sample.name == "messages.seek":
        assert result == world.message


def test_contract_of_the_next_page(lines: Callable[[], tuple[Line, World]]) -> None:
    line, _ = lines()
    for call, count in (
        (senders.list(page_size=4), 6),
        (senders.search("+15005550006", "SMS", page_size=1), 1),
    ):
        page = line.judged(call)
        items = list(page.items)
        while page.next is not None:
            page = line.judged(page.next)
            items += page.items
        assert len(items) == count


@pytest.mark.parametrize(
    "body",
    [
        {"to": TO},
        {"to": [], "content": {"text": "Hi"}},
        {"to": [{"address": "+14155552671"}], "content": {"text": "Hi"}},
        {"to": TO, "content": {"text": "Hi"}, "statusCallback": "x"},
    ],
)
def test_contract_the_judge_refuses_what_is_wrong(body: dict[str, Any]) -> None:
    call = replace(messages.send(TO, "Hi"), body=None, json=body)
    content_type, encoded = call.content()
    with pytest.raises(OpenAPIError):
        specs.judge().validate_request(
            Sent("post", "https://comms.twilio.com", "/v1/Messages", content_type or "", encoded)
        )
