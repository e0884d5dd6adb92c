"""Recipients of several forms in one list, allow lists, and what is told of a bad one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_twilio_comms._core.recipients.number_sets import compile_patterns
from airflow_provider_twilio_comms._core.recipients.phone_numbers import Countries
from airflow_provider_twilio_comms._core.recipients.reader import Address, Reader
from airflow_provider_twilio_comms.client.config import Config
from airflow_provider_twilio_comms.exceptions import InvalidInput

US, OTHER = "+12025550101", "+12025550102"
PROFILE = {"profileId": "mem_profile_01", "memoryStoreId": "mem_store_01"}


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [
        (
            {"address": US, "name": "Ada"},
            {"address": OTHER, "channel": "WHATSAPP"},
            Address(OTHER, "WHATSAPP"),
        ),
        (
            {"phone": US, "name": "Ada"},
            {"address": OTHER, "channel": "WHATSAPP"},
            Address(OTHER, "WHATSAPP"),
        ),
        ({"to": US}, {"phone": OTHER, "to": US}, Address(OTHER, "PHONE", {"to": US})),
        ({"phone": US, "name": "Ada"}, {"phone": OTHER}, Address(OTHER, "PHONE")),
    ],
    ids=str,
)
def test_a_row_is_read_as_if_it_were_alone(first: Any, second: Any, read: Address) -> None:
    assert list(Reader().read([second], 1).recipients) == [read]
    assert Reader().read([first, second], 1).recipients[1] == read


def test_rows_with_and_without_a_variable_stay_cheap() -> None:
    assert Reader()._in_order([{"phone": US, "name": "Ada"}, {"phone": OTHER}])


@pytest.mark.parametrize(
    ("patterns", "allowed"), [(("+15005550006",), False), (("mem_profile_0*",), True), ((), True)]
)
def test_a_profile_is_outside_unless_its_id_is_allowed(patterns: tuple[str, ...], allowed: bool) -> None:
    config = Config("AC" + "0" * 32, "secret", "AC" + "0" * 32, allowed_recipients=patterns)
    read = Reader(allows=config.allows).read([PROFILE, {"phone": "mem"}], 1)
    assert len(read.recipients) == allowed
    assert allowed or "is a profile" in read.rejects[0].problem


@pytest.mark.parametrize("given", ["", ",", " , ", [], [""], [" "], ["+1*", ""], [None], 5, None])
def test_an_allow_list_that_would_allow_everybody_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="allowed_recipients"):
        compile_patterns(given)


@pytest.mark.parametrize(
    "given",
    [
        {"address": US, "channel": "Ada Lovelace"},
        {"address": US, "channel": "Ada' - at Lovelace"},
        {"addresses": [{"address": US, "channel": 'Ada" Lovelace'}]},
        {**PROFILE, "Ada Lovelace": 1},
    ],
)
def test_a_bad_recipient_is_not_quoted(given: Any) -> None:
    (found,) = Reader().read([given], 1).rejects
    assert "has the wrong shape" in found.problem
    assert "Ada" not in found.problem
    assert "Lovelace" not in found.problem


def test_an_unassigned_number_teaches_nothing_of_its_neighbours() -> None:
    countries = Countries()
    assert countries.of("+12040001234") == "US"  # nobody has it; the main country of +1
    assert countries.of("+12042345678") == "CA"
