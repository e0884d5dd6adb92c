"""Mistakes that people make in their first hour: each has a sentence that says what to do."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import set_current_context

from airflow_provider_twilio_comms._tasks.operator import failing_fast
from airflow_provider_twilio_comms.exceptions import AuthenticationFailed, InvalidInput, ServerFailed
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, TaskInstance, context
from tests.operators.bulk_sends import bulk
from tests.operators.single_sends import FROM, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

ADA = "+12025550101"


def refused(task: Any) -> str:
    with pytest.raises(AirflowFailException) as caught:
        task.execute(context(MemoryStore()))
    return str(caught.value)


@pytest.mark.parametrize(
    ("recipients", "given", "said"),
    [
        (["2025550101"], {}, "write + and the code first, or set default_region). Fix them"),
        ([7], {}, "row 1, recipient: is an int, not text"),
        (None, {}, "recipients: are None. If another task gives them, let it return a list"),
        ([{"phone": ADA, "name": "Ada"}], {"number_column": "mobile"}, "mobile: there is no such column"),
        ([{"phone": ADA, "name": "Ada"}], {"number_column": "mobile"}, "(there are phone, name)"),
        (f"{ADA}, {ADA}", {}, "recipients: is a text of numbers, where a path is expected. Give a list"),
        (f"['{ADA}', '{ADA}']", {}, "of a template, use the task's output instead"),
        ("nowhere/people.csv", {}, "nowhere/people.csv cannot be read (No such file or directory)"),
        ("gs://bucket/people.csv", {}, "Install apache-airflow-providers-google on the workers"),
        ([ADA], {"rejects_path": "gs://bucket/rejects"}, "Install apache-airflow-providers-google"),
        ([ADA], {"snapshot_path": "gs://bucket/plans"}, "Install apache-airflow-providers-google"),
        ([ADA], {"content": "Hi {{ name | default('there') }}"}, "{{ name | default: 'there' }}"),
        ([ADA], {"content": "{% if x %}Hi"}, "{% if %} with {% endif %}"),
        ([ADA], {"wait_for": "delivered", "min_delivered": 95}, "such as 0.95"),
    ],
    ids=str,
)
def test_a_list_that_is_wrong(emulator: Running, recipients: Any, given: dict[str, Any], said: str) -> None:
    text = refused(bulk(recipients, **{"number_column": None, "content": "Hi", **given}))
    assert said in text, text
    assert ADA[2:] not in text
    assert taken(emulator) == {}


def test_nobody_is_told_to_skip_all(emulator: Running) -> None:
    assert "skip" not in refused(bulk(["2025550101", "2025550102"]))
    assert "on_invalid_recipient='skip'" in refused(bulk(["2025550101", ADA]))


def test_a_database_without_its_provider_is_named(emulator: Running) -> None:
    task = SqlToTwilioOperator(
        task_id="send", sql="SELECT 1 ORDER BY 1", sql_conn_id="shop", content="Hi", sender=FROM
    )
    with environment(AIRFLOW_CONN_SHOP='{"conn_type": "mssql", "host": "localhost"}'):
        assert "Install apache-airflow-providers-microsoft-mssql on the workers" in refused(task)


def test_a_sender_that_twilio_does_not_take_is_told_by_its_place(emulator: Running) -> None:
    stranger = "+12025550199"
    text = refused(message(from_=stranger))
    assert "1 of 1 messages could not be sent. message 1: " in text
    assert text.endswith("None was sent. The sender is that of from_"), text
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(default_sender=stranger)):
        text = refused(message(from_=None))
    assert text.endswith("The sender is that of default_sender of the connection 'twilio_default'"), text
    assert stranger[2:] not in text


@pytest.mark.parametrize("generation", ["comms", "classic"])
def test_a_sender_of_a_list_that_twilio_does_not_take_is_told_by_its_place(
    emulator: Running, generation: str
) -> None:
    stranger = "+12025550199"
    text = refused(bulk([ADA], number_column=None, content="Hi", sender=stranger, generation=generation))
    assert "21606" in text
    assert text.endswith("The sender is that of sender"), text
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(default_sender=stranger)):
        text = refused(bulk([ADA], number_column=None, content="Hi", sender=None, generation=generation))
    assert text.endswith("The sender is that of default_sender of the connection 'twilio_default'"), text
    assert stranger[2:] not in text


@pytest.mark.parametrize("given", [("21:00", "08:00", "Europe/Lisbon"), "9 to 5"], ids=str)
def test_quiet_hours_that_are_none_are_told_when_the_dag_is_read(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be read. Write them like '21:00-08:00'"):
        message(quiet_hours=given)


def test_a_connection_that_twilio_does_not_accept_is_named() -> None:
    ti = TaskInstance()
    ti.task = message(twilio_conn_id="shop")  # type: ignore[attr-defined]
    with set_current_context({"ti": ti}), pytest.raises(AirflowFailException) as caught, failing_fast():  # type: ignore[typeddict-item]
        raise AuthenticationFailed("Twilio answered 401", verdict="configuration")
    assert str(caught.value) == "AuthenticationFailed: Twilio answered 401. Check the connection 'shop'"


def test_an_error_is_shown_once_and_briefly(emulator: Running) -> None:
    with pytest.raises(AirflowFailException) as caught:
        message(body="x" * 1601).execute(context(MemoryStore()))
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("InvalidInput") == 1
    assert shown.count("Traceback") == 1


def test_an_error_that_is_retried_comes_without_what_it_came_from() -> None:
    with pytest.raises(ServerFailed) as caught, failing_fast():
        _deep(20)
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Twilio is down") == 1
    assert "_deep" not in shown


def _deep(frames: int) -> None:
    if frames:
        _deep(frames - 1)
    try:
        raise OSError("the library's own words")
    except OSError as error:
        raise ServerFailed("Twilio is down") from error


def test_a_bug_is_left_as_it_is() -> None:
    with pytest.raises(KeyError), failing_fast():
        raise KeyError("x")
