"""Bad input: refused before anything is sent, naming the field, the row and the fix."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.exceptions import InvalidInput
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

GOOD = "+12025550101"
POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
SENDER = "comms_sender_01h9krwprkeee8fzqspvwy6nq8"


def refused(emulator: Running, recipients: Any, **kwargs: Any) -> str:
    """The message of the refusal, when the DAG is parsed or the task runs; nothing reached the emulator."""
    with pytest.raises((AirflowFailException, InvalidInput)) as caught:
        bulk(recipients, **kwargs).execute(context(MemoryStore()))
    assert isinstance(caught.value, InvalidInput) or isinstance(caught.value.__context__, InvalidInput)
    assert not any(route.startswith("POST") for route in emulator.twilio.journal.to_dict()["counts"])
    return str(caught.value)


@pytest.mark.parametrize(
    ("recipients", "said"),
    [
        ([], ["recipients: there are none", "skip the task"]),
        ([GOOD, "12"], ["row 2, recipient", "on_invalid_recipient='skip'"]),
        ([GOOD, "not a number"], ["1 of 2", "row 2, recipient: is not a phone number"]),
        ([GOOD, ""], ["row 2, recipient: is empty"]),
        ([GOOD, None], ["row 2, recipient: is empty"]),
        ([GOOD, 12025550101], ["row 2, recipient: is an int, not text"]),
        (["+1202555"], ["row 1", "too short"]),
        (["2025550101"], ["row 1", "has no country code"]),
        (["+120255501O1"], ["row 1, recipient: is not a phone number"]),
        (["+1 800 FLOWERS"], ["row 1, recipient: is not a phone number"]),
        ([{"phone": GOOD}, {"name": "Ines"}], ["row 2, phone: is empty"]),
        ([{"address": GOOD, "channel": "PIGEON"}], ["row 1, recipient: has the wrong shape", "$.channel"]),
        ([{"address": GOOD, "channel": "PHONE", "variables": ["x"]}], ["row 1", "variables are a mapping"]),
        ([{"addresses": []}], ["row 1, addresses: has 0 addresses"]),
        ([{"address": GOOD, "channel": "PHONE", "variables": {"x": "y" * 10_000_000}}], ["row 1", "Shorten"]),
        ("", ["recipients: the path is empty"]),
        ({"phone": GOOD}, ["recipients: is a dict", "Give a list"]),
        (7, ["recipients: is an int"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_recipients(emulator: Running, recipients: Any, said: list[str]) -> None:
    message = refused(emulator, recipients)
    assert all(part in message for part in said), message
    assert "2025550101" not in message


def test_the_first_rows_are_named_and_all_are_counted(emulator: Running) -> None:
    message = refused(emulator, [*people(1500), *["1"] * 40, *people(10)])
    assert "40 of 1,550 recipients are invalid" in message
    assert "row 1501" in message
    assert "row 1505" in message
    assert "row 1506" not in message


@pytest.mark.parametrize(
    "extra", [{"allowed_recipients": "+4420*, +1305*"}, {"allowed_recipients": ["+44*"]}]
)
def test_numbers_outside_the_allowed(emulator: Running, monkeypatch: Any, extra: dict[str, Any]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", emulator.connection_json(**extra))
    message = refused(emulator, ["+442071838750", GOOD])
    assert "row 2, recipient: is outside the connection's allowed_recipients" in message


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"tags": {str(n): "x" for n in range(10)}}, ["tags: 10 given", "2 are the provider's own"]),
        ({"tags": {"run": "a:b"}}, ["tags: the value of 'run'", "no colon"]),
        ({"tags": {"a b": "x"}}, ["tags: the key 'a b'"]),
        ({"tags": {"run": ""}}, ["tags: the value of 'run'"]),
        ({"send_at": datetime(2027, 1, 1)}, ["send_at: the datetime has no time zone"]),
        ({"send_at": "tomorrow"}, ["send_at: is not an ISO 8601 time"]),
        ({"send_at": "2027-01-01T09:00:00"}, ["send_at: the datetime has no time zone"]),
        (
            {"send_at": datetime(2099, 1, 1, tzinfo=timezone.utc)},
            ["send_at: cannot be scheduled", "30 days"],
        ),
        ({"content": ""}, ["content: is empty"]),
        ({"content": "   "}, ["content: is empty"]),
        ({"content": {}}, ["content: is empty"]),
        ({"content": {"text": "x", "content_sid": "HX" + "0" * 32}}, ["content: mixes"]),
        ({"content": {"body": "x"}}, ["content: has unknown keys (body)"]),
        ({"content": {"content_sid": "HX1"}}, ["content: content_sid is not a content template"]),
        ({"content": {"text": "x", "media": ["https://example.org/i.png"] * 11}}, ["content: has 11 media"]),
        ({"content": "Hello {{ name "}, ["content: the text is not valid Liquid"]),
        (
            {"sender": {"sender_id": SENDER, "sender_pool_id": POOL}},
            ["sender: gives sender_id and sender_pool_id"],
        ),
        ({"sender": {"address": "+15005550006", "sender_pool_id": POOL}}, ["sender: gives address and"]),
        ({"sender": None}, ["sender: is missing", "default_sender"]),
        ({"sender": "MG" + "0" * 32}, ["sender: a Messaging Service does not send"]),
        ({"channel": "pigeon"}, ["channel: 'pigeon' is unknown"]),
    ],
    ids=str,
)
def test_bad_parameters(emulator: Running, kwargs: dict[str, Any], said: list[str]) -> None:
    message = refused(emulator, [GOOD], **kwargs)
    assert all(part in message for part in said), message


def test_a_text_over_the_limit_of_a_request(emulator: Running) -> None:
    message = refused(emulator, [GOOD], content="x" * 10_000_000)
    assert "content" in message
    assert "10,000,000" in message


@pytest.mark.parametrize(
    "kwargs",
    [
        {"wait_for": "read"},
        {"wait_for": "processed", "min_delivered": 0.9},
        {"wait_for": "delivered", "min_delivered": 1.5},
        {"wait_for": "delivered", "min_delivered": -1},
        {"wait_for": "accepted", "max_failed": 3},
        {"on_clear": "maybe"},
        {"on_unknown": "hope"},
        {"on_invalid_recipient": "ignore"},
    ],
    ids=str,
)
def test_what_can_be_seen_when_the_dag_is_parsed_is_said_then(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        bulk([GOOD], **kwargs)
    assert caught.value.field in kwargs


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "people.csv",
            b"name,tel\nInes,+12025550101\n",
            ["number_column: 'phone' is not a column", "name, tel"],
        ),
        ("people.csv", b"", ["number_column: 'phone' is not a column"]),
        ("people.csv", b"phone,name\n", ["recipients: there are none"]),
        ("people.csv", b"phone,name\n+12025550101\n", ["row 1, recipients: has not as many fields"]),
        ("people.csv", b"phone,name\n+12025550101,a,b\n", ["row 1, recipients: has not as many fields"]),
        ("people.csv", b"phone,name\n+12025550101,\xff\xfe\n", ["is not CSV in UTF-8"]),
        ("people.jsonl", b'{"tel": "1"}\n', ["number_column: 'phone' is not a column", "tel"]),
        (
            "people.jsonl",
            b'{"phone": "+12025550101"}\nrubbish\n',
            ["row 2, recipients: is not a JSON object"],
        ),
        ("people.jsonl", b"[1]\n", ["row 1, recipients: is not a JSON object"]),
        ("people.parquet", b"rubbish", ["recipients: is not a Parquet file"]),
        ("people.csv.gz", b"rubbish", ["people.csv.gz cannot be read"]),
        ("people.xlsx", b"", ["recipients: the file's kind (.xlsx) is not known", ".parquet"]),
        ("missing.csv", None, ["missing.csv cannot be read", "No such file"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_files(
    emulator: Running, tmp_path: Path, name: str, content: bytes | None, said: list[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    message = refused(emulator, str(path), number_column="phone")
    assert all(part in message for part in said), message


def test_rejects_that_cannot_be_written(emulator: Running, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file is not a folder")
    message = refused(emulator, [GOOD], rejects_path=str(tmp_path / "no" / "where.jsonl"))
    assert "rejects_path: cannot be written" in message


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ('{"conn_type": "twilio", "login": "SK1", "password": "s"}', "account_sid: is missing"),
        ('{"conn_type": "twilio", "login": "me", "password": "s"}', "login: is not a kind of credential"),
        ('{"conn_type": "twilio", "login": "AC1"}', "password: is empty"),
    ],
)
def test_a_bad_connection(emulator: Running, monkeypatch: Any, connection: str, said: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
    assert said in refused(emulator, [GOOD])
