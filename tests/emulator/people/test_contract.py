"""Every call of the Memory API, sent to the emulator: request and reply are valid by Twilio's document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.flows import uploaded
from airflow_provider_twilio_comms.api.memory import imports, operations, profiles, stores, trait_groups
from airflow_provider_twilio_comms.api.wire import Page, Reply
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.client.sync import Client
from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import ApiError
from tests.api.memory.samples import COLUMNS, ONE, SAMPLES, Sample, World
from tests.api.memory.test_calls import validator
from tests.contract.documents import OpenApiReply, OpenApiRequest
from tests.contract.emulated import RecordingTwilio
from tests.emulator.people.conftest import NOON


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = Running(RecordingTwilio(Clock(NOON), seed=1, pace=0))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Client]:
    client = Client(Config(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, base_url=server.base_url, max_attempts=1))
    yield client
    client.close()


def create_world(server: Running, client: Client) -> World:
    server.twilio.reset()
    operation = client.run(stores.create("world")).operation_id or ""
    store = client.run(operations.fetch(operation)).resource_id or ""
    client.run(trait_groups.create(store, "Orders", {"total": "NUMBER"}))
    profile = client.run(profiles.create(store, ONE)).id
    import_id = client.run(imports.create(store, "a.csv", 5, COLUMNS)).import_id
    return World(store=store, profile=profile, operation=operation, import_id=import_id)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_people_the_emulator_answers_as_the_document_says(
    server: Running, client: Client, sample: Sample
) -> None:
    world = create_world(server, client)
    call = sample.call(world)
    replies: list[Reply] = []

    def read(reply: Reply) -> Any:
        replies.append(reply)
        return call.read(reply)

    result = client.run(replace(call, read=read))
    twilio = server.twilio
    assert isinstance(twilio, RecordingTwilio)
    sent = OpenApiRequest.received(twilio.last)
    validator().validate_request(sent)
    validator().validate_response(sent, OpenApiReply.of(replies[0]))
    if isinstance(result, Page) and result.next:
        client.run(result.next)


def test_people_the_emulator_refuses_as_the_document_says(server: Running, client: Client) -> None:
    world = create_world(server, client)
    twilio = server.twilio
    assert isinstance(twilio, RecordingTwilio)
    statuses = []
    for call in (
        profiles.fetch(world.store, world.profile[:-1] + "0"),
        stores.update(world.store, "x", etag='"old"'),
        profiles.create(world.store, {"Nothing": {"x": 1}}),
    ):
        with pytest.raises(ApiError):
            client.run(call)
        reply = twilio.handle(twilio.last)
        validator().validate_response(OpenApiRequest.received(twilio.last), OpenApiReply.of(reply))
        statuses.append(reply.status)
    assert statuses == [404, 412, 400]


def test_people_an_import_reads_its_file(server: Running, client: Client) -> None:
    world = create_world(server, client)
    rows = b"phone,city\n+12025550101,Lisbon\nnobody,Porto\n+14155552671,Lisbon\n"
    created = client.run(imports.create(world.store, "a.csv", len(rows), COLUMNS))
    assert client.run(imports.fetch(world.store, created.import_id)).status == "PENDING"
    client.run(uploaded(created.url, io.BytesIO(rows)))
    done = client.run(imports.fetch(world.store, created.import_id))
    assert (done.status, done.summary.errors) == ("COMPLETED", 1)
    assert len(client.run(profiles.list(world.store)).items) == 2
    assert client.run(profiles.fetch(world.store, world.profile)).traits["Contact"]["city"] == "Lisbon"
