"""The bulk operator as a DAG's author uses it: what goes in, what comes out, what nobody may see."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_twilio_comms.exceptions import InvalidInput, WaitTimedOut
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

NUMBERS = ["+12025550101", "+12025550102"]


def send(recipients: Any, **kwargs: Any) -> Any:
    return bulk(recipients, **kwargs).execute(context(MemoryStore()))


def received(emulator: Running) -> list[str]:
    return sorted(emulator.twilio.ledger.to_dict()["recipients"])


def outbox(emulator: Running) -> list[dict[str, Any]]:
    import requests

    rows = requests.get(f"{emulator.url}/_emulator/outbox", timeout=5).json()
    return list(rows["rows"])


def test_the_result_is_small_and_the_same_in_every_mode(emulator: Running) -> None:
    emulator.twilio.change(pace=0.3)
    accepted = send(people(12))
    delivered = send(people(12, first=100), wait_for="delivered")
    names = {"operation_ids", "status", "recipients", "rejected", "stats", "codes", "unexplained"}
    assert set(accepted) == set(delivered) == names
    assert (accepted["status"], accepted["stats"]) == ("ACCEPTED", None)
    assert (delivered["status"], delivered["recipients"]) == ("COMPLETED", 12)
    assert delivered["stats"]["delivered"] == 12


def test_personal_text_is_rendered_by_twilio(emulator: Running) -> None:
    send([{"phone": NUMBERS[0], "name": "Ines", "order": 7}], content="Hi {{ name }}: order {{ order }}")
    assert [row["text"] for row in outbox(emulator)] == ["Hi Ines: order 7"]


@pytest.mark.parametrize(
    "recipients",
    [
        NUMBERS,
        tuple(NUMBERS),
        (number for number in NUMBERS),
        [{"address": number, "channel": "PHONE"} for number in NUMBERS],
        [{"address": number} for number in NUMBERS],
        [{"addresses": [{"address": number, "channel": "PHONE"}]} for number in NUMBERS],
        [{"phone": number, "name": None, "age": 3} for number in NUMBERS],
        [" +1 (202) 555-0101", "+1-202-555-0102"],
    ],
    ids=["list", "tuple", "iterator", "twilio", "no channel", "connected", "flat", "pretty"],
)
def test_recipients_come_in_many_forms(emulator: Running, recipients: Any) -> None:
    assert send(recipients)["recipients"] == 2
    assert received(emulator) == NUMBERS


def test_national_numbers_need_their_region(emulator: Running) -> None:
    send(["(202) 555-0101", "202-555-0102"], default_region="US")
    assert received(emulator) == NUMBERS


def write(path: Path) -> Path:
    rows = [
        {"mobile": number, "name": "Zoë, née Ray", "order": index} for index, number in enumerate(NUMBERS)
    ]
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
        return path
    if ".csv" in path.suffixes:
        lines = ["mobile,name,order", *(f'{row["mobile"]},"{row["name"]}",{row["order"]}' for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    data = "\n".join(lines).encode("utf-8-sig" if ".csv" in path.suffixes else "utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.jsonl", "p.ndjson", "p.jsonl.gz", "p.parquet"])
def test_recipients_come_from_files(emulator: Running, tmp_path: Path, name: str) -> None:
    path = str(write(tmp_path / name))
    send(path, number_column="mobile", content="{{ name }} {{ order }}")
    assert received(emulator) == NUMBERS
    assert sorted(row["text"] for row in outbox(emulator)) == ["Zoë, née Ray 0", "Zoë, née Ray 1"]
    assert send(f"file://{path}", number_column="mobile", send_key="again")["recipients"] == 2


def test_the_invalid_are_skipped_counted_and_written(emulator: Running, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    given = [NUMBERS[0], "12", "", NUMBERS[1], None, "+1 202"]
    result = send(given, on_invalid_recipient="skip", rejects_path=str(rejects))
    assert (result["recipients"], result["rejected"]) == (2, 4)
    rows = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(row["row"], row["given"]) for row in rows] == [(2, "12"), (3, ""), (5, None), (6, "+1 202")]
    assert all(row["problem"] for row in rows)


def test_dry_run_checks_everything_and_sends_nothing(emulator: Running, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", emulator.connection_json(dry_run=True))
    result = send([*NUMBERS, "12"], on_invalid_recipient="skip", wait_for="delivered")
    counts = dict.fromkeys(("stats", "codes", "unexplained"))
    assert result == {"operation_ids": [], "status": "DRY_RUN", "recipients": 2, "rejected": 1, **counts}
    with pytest.raises(AirflowFailException):
        send([*NUMBERS, "12"])
    assert received(emulator) == []


def test_the_connection_names_the_sender_where_the_task_does_not(emulator: Running, monkeypatch: Any) -> None:
    connection = emulator.connection_json(default_sender="+15005550006")
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
    assert send(NUMBERS, sender=None)["recipients"] == 2


def test_a_variable_without_default_that_people_lack_is_told(emulator: Running, capsys: Any) -> None:
    send(
        [{"phone": NUMBERS[0], "name": "Ines"}, {"phone": NUMBERS[1]}],
        content="Hi {{ name }} {{ x | default: 1 }}",
    )
    told = capsys.readouterr().out
    assert "'name' has no default; without it: 1 recipient" in told
    assert "'x'" not in told


def test_it_waits_in_the_triggerer_with_nothing_but_ids(emulator: Running) -> None:
    operator = bulk(people(3), wait_for="delivered", deferrable=True, timeout=timedelta(hours=1))
    values = context(MemoryStore())
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(values)
    path, kwargs = deferred.value.trigger.serialize()
    assert path.endswith("TwilioOperationsTrigger")
    assert "1202" not in json.dumps(kwargs)
    assert kwargs["not_before"] - kwargs["since"] >= 10
    event = {"status": "done", "operations": {}}
    operations = {
        "id": kwargs["operation_ids"][0],
        "status": "COMPLETED",
        "stats": {"total": 3, "delivered": 3},
    }
    result = operator.execute_complete(values, {**event, "operations": {operations["id"]: operations}})
    assert result["stats"]["delivered"] == 3
    assert result["recipients"] == 3


def test_a_scheduled_send_is_waited_for_from_its_time_on(emulator: Running) -> None:
    later = pendulum.now("UTC").add(hours=5)
    with pytest.raises(TaskDeferred) as deferred:
        send(people(1), send_at=later.isoformat(), timeout=60, wait_for="processed", deferrable=True)
    assert deferred.value.trigger.serialize()[1]["deadline"] == pytest.approx(later.timestamp() + 60, abs=2)


@pytest.mark.parametrize(
    ("endings", "criteria", "told"),
    [
        (
            ["0101", "9610"],
            {"wait_for": "delivered"},
            "1 of 2 were delivered.*1 x 21610 .the recipient opted out",
        ),
        (["0101", "9003"], {"wait_for": "delivered", "min_delivered": 2}, "1 x 30003"),
        (["0101", "9006"], {"wait_for": "processed", "max_failed": 0}, "1 of 2 failed"),
        (["9610", "9003"], {"wait_for": "processed"}, "2 of 2 failed"),
        (["0101", "9003"], {"wait_for": "processed"}, r"max_failed=0.05 \(the default\) allows 0"),
    ],
)
def test_a_delivery_failure_is_red_and_says_why(
    emulator: Running, endings: list[str], criteria: dict[str, Any], told: str
) -> None:
    emulator.twilio.change(pace=0.2)
    with pytest.raises(AirflowFailException, match=told):
        send([f"+1202555{ending}" for ending in endings], **criteria)


@pytest.mark.parametrize(
    "criteria",
    [
        {"wait_for": "delivered", "min_delivered": 0.5},
        {"wait_for": "delivered", "min_delivered": 1},
        {"wait_for": "processed", "max_failed": 0.5},
    ],
    ids=str,
)
def test_what_the_author_allows_is_green(emulator: Running, criteria: dict[str, Any]) -> None:
    emulator.twilio.change(pace=0.2)
    assert send(["+12025550101", "+12025559610"], **criteria)["stats"]["failed"] == 1


def test_one_in_twenty_may_fail_where_the_author_says_nothing_and_the_log_says_so(
    emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = [f"+1202555{number:04d}" for number in range(100, 119)]
    assert send([*numbers, "+12025559003"], wait_for="processed")["stats"]["undelivered"] == 1
    (line,) = [each for each in caplog.records if each.getMessage().startswith("Delivered")]
    assert line.levelname == "WARNING"
    assert line.getMessage() == (
        "Delivered 19 of 20 (95.0 %; asked for at most 5 % failed). Failed 1: 1 x 30003 (handset unreachable "
        "or switched off; retry)."
    )


def test_a_red_send_says_the_same(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AirflowFailException):
        send(["+12025550101", "+12025559003"], wait_for="delivered")
    (line,) = [each for each in caplog.records if each.getMessage().startswith("Delivered")]
    assert line.levelname == "WARNING"
    assert line.getMessage().startswith("Delivered 1 of 2 (50.0 %; asked for all). Failed 1: 1 x 30003")


def test_a_send_that_nobody_waits_for_says_so(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    send(people(3), wait_for="accepted")
    assert "Twilio has accepted 3 of 3 messages. With wait_for='accepted'" in caplog.text


def test_a_send_that_went_well_says_so(emulator: Running, caplog: pytest.LogCaptureFixture) -> None:
    send(people(3), wait_for="delivered", min_delivered=0.9)
    (line,) = [each for each in caplog.records if each.getMessage().startswith("Delivered")]
    assert line.levelname == "INFO"
    assert line.getMessage() == "Delivered 3 of 3 (100.0 %; asked for at least 90 %)."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Hi {{ nmae }}", "no recipient has the variable nmae.*Correct the name"),
        ("Hi {{ name }}, today is {{ ds }}", "no recipient has the variable ds.*render_content=True"),
        ("Hi {{ params.name }}", "no recipient has the variable params.*Airflow fills in params only"),
        ("{{ dag_run.conf.x | upcase }}{{ var.value.y }}", "Airflow fills in dag_run, var only"),
    ],
)
def test_a_variable_that_nobody_has_is_an_error(emulator: Running, content: str, told: str) -> None:
    rows = [{"phone": f"+1202555010{number}", "name": "Ada"} for number in range(3)]
    with pytest.raises(AirflowFailException, match=told):
        send(rows, content=content)
    assert emulator.twilio.ledger.to_dict()["recipients"] == {}


def test_a_variable_that_some_lack_is_a_warning(emulator: Running) -> None:
    rows: list[dict[str, str]] = [{"phone": "+12025550101", "name": "Ada"}, {"phone": "+12025550102"}]
    assert send(rows, content="Hi {{ name }}")["recipients"] == 2


@pytest.mark.parametrize(
    ("criteria", "told"),
    [
        ({"wait_for": "delivered", "min_delivered": 95}, "95 is a count.*the 3 recipients.*such as 0.95"),
        ({"wait_for": "processed", "max_failed": 4}, "4 is a count.*the 3 recipients.*such as 0.04"),
    ],
    ids=str,
)
def test_a_count_above_the_length_of_the_list_is_refused(
    emulator: Running, criteria: dict[str, Any], told: str
) -> None:
    with pytest.raises(AirflowFailException, match=told):
        send(people(3), **criteria)
    assert emulator.twilio.ledger.to_dict()["recipients"] == {}


def test_a_count_that_looks_like_per_cent_is_warned_of(emulator: Running, capsys: Any) -> None:
    send(people(4), wait_for="delivered", min_delivered=2)
    assert "min_delivered=2 is a count: 2 of 4 recipients, 50.0 %" in capsys.readouterr().out


def test_a_receipt_that_never_comes_ends_with_the_time(emulator: Running) -> None:
    emulator.twilio.change(pace=0.1)
    sent = {"recipients": ["+12025550101", "+12025559000"], "wait_for": "delivered", "timeout": 1.0}
    with pytest.raises(WaitTimedOut, match="still under way: 1 message of"):
        send(**sent)
    assert send(**sent, min_delivered=0.5, send_key="half")["stats"]["sent"] == 1


def test_nothing_personal_is_rendered_or_serialized(emulator: Running) -> None:
    from airflow.serialization.helpers import serialize_template_field

    operator = bulk(NUMBERS)
    assert serialize_template_field(operator.recipients, "recipients") == "(hidden)"
    operator = bulk("{{ ds }}.csv")
    operator.render_template_fields({"ds": "2027-01-01"})  # type: ignore[arg-type]
    assert operator.recipients.value == "2027-01-01.csv"


def test_content_is_jinja_only_when_asked() -> None:
    plain = bulk(NUMBERS, content="{{ name }}")
    plain.render_template_fields({"name": "no"})  # type: ignore[typeddict-unknown-key]
    assert plain.content.value == "{{ name }}"
    asked = bulk(NUMBERS, content="{{ day }} {% raw %}{{ name }}{% endraw %}", render_content=True)
    asked.render_template_fields({"day": "Monday"})  # type: ignore[typeddict-unknown-key]
    assert asked.content.value == "Monday {{ name }}"


def test_a_naive_time_never_goes_out(emulator: Running) -> None:
    told = "send_at: the datetime has no time zone"
    with pytest.raises(InvalidInput, match=told):  # when the DAG is parsed
        send(NUMBERS, send_at=datetime(2027, 1, 1))
    templated = bulk(NUMBERS, send_at="{{ params.at }}")
    templated.send_at = "2027-01-01T09:00:00"  # as it is rendered
    with pytest.raises(AirflowFailException, match=told):
        templated.execute(context(MemoryStore()))
    assert received(emulator) == []
