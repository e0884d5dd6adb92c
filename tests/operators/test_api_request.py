"""Any call by name."""

from __future__ import annotations

import json
import re
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

import airflow_provider_twilio_comms.api as api
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID
from airflow_provider_twilio_comms.emulator.subaccounts import Subaccounts
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.api_request import MODULES, TwilioApiRequestOperator, named
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk
from tests.operators.single_sends import ADA, message

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def call(name: str, **kwargs: Any) -> Any:
    return TwilioApiRequestOperator(task_id="call", call=name, **kwargs).execute(context())


def test_a_resource_comes_as_json(emulator: Running) -> None:
    account = call("classic.accounts.fetch")
    assert account["status"] == "active"
    assert "auth_token" not in json.dumps(account)
    assert call("pricing.fetch", arguments={"iso_country": "US"}, fields=["iso_country"]) == {
        "iso_country": "US"
    }
    assert call("lookups.fetch", arguments={"phone_number": ADA})["phone_number"] == ADA


def test_subaccounts_are_listed_and_used_without_their_tokens(emulator: Running, monkeypatch: Any) -> None:
    """The connection of the account acts for a subaccount that its extra names."""
    shop = emulator.twilio.part(Subaccounts).create("Shop")
    rows = call("classic.accounts.list")
    assert {row["sid"] for row in rows} == {shop.sid, ACCOUNT_SID}
    assert "token" not in json.dumps(rows)
    connection = emulator.connection_json(account_sid=shop.sid, default_sender="+15005550006")
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
    assert call("classic.accounts.fetch")["friendly_name"] == "Shop"
    message(to=[ADA]).execute(context(MemoryStore()))
    assert len(call("classic.messages.list", fields=["sid"])) == 1
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", emulator.connection_json())
    assert call("classic.messages.list", fields=["sid"]) == []


def test_a_list_comes_with_all_its_pages(emulator: Running) -> None:
    message(to=[f"+1202555{number:04d}" for number in range(7)]).execute(context(MemoryStore()))
    rows = call("classic.messages.list", arguments={"page_size": 2}, fields=["sid"], limit=5)
    assert len({row["sid"] for row in rows}) == 5


def test_an_id_at_another_address_comes_without_a_file(emulator: Running) -> None:
    bulk([ADA], wait_for="processed").execute(context(MemoryStore()))
    (row,) = call("comms.messages.list", fields=["id"])
    found = call("comms.messages.fetch", arguments={"message_id": row["id"]})
    sid = re.search("SM[0-9a-f]{32}", found["attempts"][0]["infoUrl"])
    assert sid
    assert call("comms.messages.seek", arguments={"sid": sid[0]}) == row["id"]


def test_fields_that_come_to_nothing_do_not_let_everything_out() -> None:
    with pytest.raises(InvalidInput, match="fields: is empty"):
        call("lookups.fetch", arguments={"phone_number": ADA}, fields=[])


def test_what_writes_is_made_and_what_is_empty_is_none(emulator: Running) -> None:
    made = call("messaging.services.create", arguments={"friendly_name": "orders"})
    assert call("messaging.services.delete", arguments={"sid": made["sid"]}) is None


def test_a_file_goes_to_a_file(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    arguments = {"day": "2026-01-01"}
    result = call("messaging.deactivations.fetch", arguments=arguments, output_path=str(path))
    assert result == {"bytes": path.stat().st_size, "output_path": str(path)}
    with pytest.raises(AirflowFailException, match="output_path"):
        call("messaging.deactivations.fetch", arguments=arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("classic.messages.send", {"to": ADA, "from_": ADA, "body": "x"}, "TwilioSendMessageOperator"),
        ("oauth.token", {"client_id": "a", "client_secret": "b"}, "Modules are"),
        ("classic.messages.schedulable", {}, "It has"),
        ("classic.nothing.fetch", {}, "Modules are"),
        ("wire.Call", {}, "Modules are"),
        ("", {}, "Modules are"),
        ("classic.messages.fetch", {"sid": "SM1"}, "sid"),
        ("classic.messages.fetch", {"colour": "red"}, "arguments: do not fit"),
        ("memory.imports.create", {}, "answers with a secret"),
        ("classic.messages.list", {"to": "2025550123"}, "to: not a valid value"),
    ],
)
def test_what_cannot_be_called_says_why(
    emulator: Running, name: str, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        call(name, arguments=arguments)
    assert not emulator.twilio.journal.counts


def makes_calls(name: str) -> bool:
    module = import_module(name)
    functions = (getattr(module, each) for each in getattr(module, "__all__", ()))
    return any(
        function.__module__ == name and str(function.__annotations__.get("return", "")).startswith("Call[")
        for function in functions
        if isfunction(function)
    )


def test_every_call_of_the_api_can_be_named() -> None:
    modules = [module.name for module in walk_packages(api.__path__, f"{api.__name__}.")]
    found = {name.partition(".api.")[2] for name in modules if makes_calls(name)}
    assert found - set(MODULES) <= {"oauth", "_resources", "comms._paging"}
    assert set(MODULES) <= found
    with pytest.raises(InvalidInput):
        named("oauth.token")


def test_arguments_are_not_shown() -> None:
    operator = TwilioApiRequestOperator(task_id="call", call="lookups.fetch", arguments={"phone_number": ADA})
    assert str(operator.arguments) == "(hidden)"  # type: ignore[attr-defined]
