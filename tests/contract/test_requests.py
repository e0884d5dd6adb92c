"""Every call, encoded as a request and validated against Twilio's documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from openapi_core.exceptions import OpenAPIError

from airflow_provider_twilio_comms.api.classic import messages
from tests.contract.calls import SAMPLES
from tests.contract.disagreements import WITHOUT_OPERATION
from tests.contract.documents import OpenApiRequest, operation_of, unknown_fields, validator
from tests.contract.world import Sample, World

WORLD = World()
DESCRIBED = [sample for sample in SAMPLES if sample.name not in WITHOUT_OPERATION]


@pytest.mark.parametrize("sample", DESCRIBED, ids=lambda sample: sample.name)
def test_contract_of_the_request(sample: Sample) -> None:
    call = sample.call(WORLD)
    validator(call.product).validate_request(OpenApiRequest.of(call, WORLD.account))
    operation = operation_of(call, WORLD.account)
    assert operation is not None
    assert unknown_fields(call, operation) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MessagingServiceSid", "MG1"),
        ("ValidityPeriod", "long"),
        ("ContentRetention", "forever"),
        ("SendAt", "tomorrow"),
        ("ShortenUrls", "perhaps"),
        ("MaxPrice", "much"),
        ("MessageIntent", "mischief"),
    ],
)
def test_contract_validation_refuses_a_wrong_value(name: str, value: str) -> None:
    call = messages.send(WORLD.to, from_=WORLD.sender, body="Hi")
    wrong = replace(call, form=[*(call.form or ()), (name, value)])
    with pytest.raises(OpenAPIError):
        validator("api").validate_request(OpenApiRequest.of(wrong, WORLD.account))


def test_contract_validation_refuses_a_missing_value_and_a_wrong_path() -> None:
    call = messages.send(WORLD.to, from_=WORLD.sender, body="Hi")
    for wrong in (replace(call, form=[("Body", "Hi")]), replace(call, path="/2010-04-01/Nothing.json")):
        with pytest.raises(OpenAPIError):
            validator("api").validate_request(OpenApiRequest.of(wrong, WORLD.account))


def test_contract_validation_finds_unknown_fields() -> None:
    call = messages.send(WORLD.to, from_=WORLD.sender, body="Hi")
    odd = replace(call, form=[*(call.form or ()), ("Colour", "red")], query=[("Fast", "1")])
    operation = operation_of(odd, WORLD.account)
    assert operation is not None
    assert unknown_fields(odd, operation) == {"Colour", "Fast"}
