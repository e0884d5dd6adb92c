"""Receipts back: to files and tables, once each, with the reasons of failures, and no number unasked."""

from __future__ import annotations

import hmac
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms._core.reporting.read_receipts import OPEN, ReceiptsReader
from airflow_provider_twilio_comms._tasks.receipts import Receipts
from airflow_provider_twilio_comms._tasks.receipts_output import ReceiptsFile, ReceiptsTable, copy_receipts
from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import OperationGone, ServerFailed, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from tests.conftest import environment
from tests.fakes import context
from tests.operators.bulk_sends import bulk, people

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

SECRET = "a-secret-of-the-house"
UNLUCKY = {  # the emulator's table: what a number's end brings
    "+12025559003": ("UNDELIVERED", 30003, "retry"),
    "+12025559005": ("UNDELIVERED", 30005, "recipient"),
    "+12025559006": ("FAILED", None, "recipient"),
    "+12025559034": ("FAILED", 30034, "configuration"),
    "+12025559410": ("UNDELIVERED", 30410, "unknown"),
    "+12025559610": ("FAILED", 21610, "opt-out"),
}


def sent(emulator: Running, recipients: Any, **kwargs: Any) -> list[str]:
    """Send, and let the receipts come in."""
    emulator.twilio.change(pace=0.0)
    result = bulk(recipients, **kwargs).execute(context())
    assert result
    ids = result["operation_ids"]
    assert isinstance(ids, list)
    return ids


def receipts(ids: Any, **kwargs: Any) -> TwilioReceiptsOperator:
    return TwilioReceiptsOperator(task_id="receipts", operation_ids=ids, **kwargs)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def hashed(number: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), number.encode(), "sha256").hexdigest()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "warehouse.db"
    with environment(AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield path


def table(path: Path, query: str = "SELECT * FROM receipts ORDER BY message_id") -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def to_table(ids: Any, **kwargs: Any) -> TwilioReceiptsOperator:
    return receipts(ids, sql_conn_id="warehouse", table="receipts", create_table=True, **kwargs)


def test_every_recipient_has_a_row_that_says_what_became_of_them(emulator: Running, tmp_path: Path) -> None:
    ids = sent(emulator, [*UNLUCKY, *people(3000)], recipients_per_request=1700)
    path = tmp_path / "deep" / "er.jsonl"
    result = receipts(ids, output_path=str(path), redact="none").execute(context())
    rows = lines(path)
    assert len(rows) == result["rows"] == 3006
    assert len({row["message_id"] for row in rows}) == 3006
    assert {row["operation_id"] for row in rows} == set(ids)
    unlucky = {row["recipient"]: row for row in rows if row["recipient"] in UNLUCKY}
    for number, outcome in UNLUCKY.items():
        row = unlucky[number]
        assert (row["status"], row["code"], row["verdict"]) == outcome
        assert row["reason"] or row["code"] is None
    assert unlucky["+12025559003"]["attempts"] == 1
    assert unlucky["+12025559003"]["sid"].startswith("SM")
    assert unlucky["+12025559003"]["attempted_at"]
    assert unlucky["+12025559006"]["attempts"] == 0
    assert {row["channel"] for row in rows} == {"SMS"}
    assert result == {
        "operation_ids": ids,
        "rows": 3006,
        "statuses": {"DELIVERED": 3000, "UNDELIVERED": 3, "FAILED": 3},
        "codes": {"30003": 1, "30005": 1, "30034": 1, "30410": 1, "21610": 1},
        "verdicts": {"recipient": 2, "retry": 1, "configuration": 1, "unknown": 1, "opt-out": 1},
        "unexplained": 0,
        "missing": 0,
        "kept": 0,
        "kept_from": None,
        "output_path": str(path),
    }


def test_a_parquet_file_has_types(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "receipts.parquet"
    receipts(sent(emulator, [*UNLUCKY, *people(5)]), output_path=str(path)).execute(context())
    found = parquet.read_table(path)
    assert found.num_rows == 11
    kinds = {field.name: str(field.type) for field in found.schema}
    assert (kinds["code"], kinds["created_at"]) == ("int64", "timestamp[us, tz=UTC]")


def test_a_table_has_one_row_for_each_however_often_it_is_filled(emulator: Running, database: Path) -> None:
    ids = sent(emulator, [*UNLUCKY, *people(1500)])
    first = to_table(ids).execute(context())
    assert first["table"] == "receipts"
    before = table(database)
    to_table(ids).execute(context(try_number=2))
    assert table(database) == before
    assert len(before) == 1506
    query = "SELECT verdict, count(*) FROM receipts WHERE verdict IS NOT NULL GROUP BY verdict"
    assert dict(table(database, query)) == first["verdicts"]


def test_later_receipts_replace_earlier_ones(emulator: Running, database: Path) -> None:
    emulator.twilio.change(pace=0.0, receipts_lag=3600.0)
    result = bulk(people(10)).execute(context())
    assert result
    assert to_table(result).execute(context())["statuses"] == {"SENT": 10}
    emulator.twilio.clock.advance(3700)
    assert to_table(result).execute(context())["statuses"] == {"DELIVERED": 10}
    assert {row[0] for row in table(database, "SELECT status FROM receipts")} == {"DELIVERED"}


def test_what_breaks_in_the_middle_is_made_good_by_the_next_try(
    emulator: Running, database: Path, tmp_path: Path
) -> None:
    ids = sent(emulator, people(4500))
    path = tmp_path / "all.jsonl"
    for task in (to_table(ids), receipts(ids, output_path=str(path))):
        broken = Fault(kind="error_before", method="GET", path="/Messages$", skip=2, times=5)
        emulator.twilio.faults.add(broken)
        with pytest.raises(ServerFailed):
            task.execute(context())
        assert not path.exists()
        emulator.twilio.faults.clear()
        assert task.execute(context(try_number=2))["rows"] == 4500
    assert len(table(database)) == len(lines(path)) == 4500


def test_reasons_are_asked_for_a_few_at_a_time(emulator: Running, tmp_path: Path) -> None:
    emulator.twilio.change(outcomes=[{"match": "", "status": "FAILED", "code": 30008}])
    ids = sent(emulator, people(60))
    emulator.twilio.change(reply_delay=0.05)
    path = tmp_path / "all.jsonl"
    result = receipts(ids, output_path=str(path), concurrency=6, max_reasons=48).execute(context())
    times = [entry["at"] for entry in emulator.twilio.journal.recent][-48:]
    # Before 0.05 s are over, none of those that came has its answer.
    together = [sum(start <= time < start + 0.045 for time in times) for start in times]
    assert 1 < max(together) <= 6
    assert (result["codes"], result["unexplained"]) == ({"30008": 48}, 12)
    assert Counter(row["verdict"] for row in lines(path)) == {"retry": 48, "unknown": 12}
    at = sorted(
        entry["at"]
        for entry in emulator.twilio.journal.recent
        if entry["method"] == "GET" and "comms_message" in entry["path"]
    )
    assert len(at) == 48
    assert min(later - earlier for earlier, later in zip(at, at[6:], strict=False)) > 0.04


def test_no_recipient_is_written_unless_asked_for(
    emulator: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    number = "+12025559003"
    ids = sent(emulator, [number])
    derived = tmp_path / "derived.jsonl"
    result = receipts(ids, output_path=str(derived)).execute(context())
    keyed = tmp_path / "keyed.jsonl"
    receipts(ids, output_path=str(keyed), hash_secret=SECRET, redact="numbers").execute(context())
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(hash_secret=SECRET)):
        connected = tmp_path / "connected.jsonl"
        receipts(ids, output_path=str(connected)).execute(context())
    (secret,) = {row["recipient"] for path in (keyed, connected) for row in lines(path)}
    assert secret == hashed(number)
    assert lines(derived)[0]["recipient"] != secret
    assert len(lines(derived)[0]["recipient"]) == 64
    shown = f"{caplog.text} {result} {derived.read_text()} {keyed.read_text()}"
    assert number[1:] not in shown
    assert SECRET not in caplog.text
    assert repr(receipts(ids, output_path="a.jsonl", hash_secret=SECRET).hash_secret) == "(hidden)"


def test_after_seven_days_the_error_says_so(emulator: Running, tmp_path: Path) -> None:
    ids = sent(emulator, people(3))
    emulator.twilio.clock.advance(7 * 86_400 + 1)
    path = tmp_path / "late.jsonl"
    with pytest.raises(AirflowFailException, match="seven days") as caught:
        receipts(ids, output_path=str(path)).execute(context())
    assert ids[0] in str(caught.value)
    assert not path.exists() or not path.read_text()


WEEK = 7 * 86_400 + 1


def newest(rows: list[dict[str, Any]]) -> datetime:
    return max(datetime.fromisoformat(row["updated_at"].replace("Z", "+00:00")) for row in rows)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_file_of_forgotten_receipts_stays_and_the_task_says_from_when_it_is(
    emulator: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    path = tmp_path / f"all.{ending}"
    ids = sent(emulator, [*UNLUCKY, *people(5)])
    first = receipts(ids, output_path=str(path)).execute(context())
    before = path.read_bytes()
    emulator.twilio.clock.advance(WEEK)
    again = receipts(ids, output_path=str(path)).execute(context())
    assert path.read_bytes() == before
    assert again == {**first, "kept": 11, "kept_from": again["kept_from"]}
    if ending == "jsonl":
        assert datetime.fromisoformat(again["kept_from"]) == newest(lines(path))
    said = capsys.readouterr().out
    assert f"11 receipts of {ids[0]}" in said
    assert f"The newest of them is from {datetime.fromisoformat(again['kept_from'])}" in said


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_forgotten_receipts_stay_beside_new_ones(emulator: Running, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"all.{ending}"
    old = sent(emulator, [*UNLUCKY, *people(1500)])
    receipts(old, output_path=str(path), redact="none").execute(context())
    emulator.twilio.clock.advance(WEEK)
    new = sent(emulator, people(20))
    result = receipts([*old, *new], output_path=str(path), redact="none").execute(context())
    rows = lines(path) if ending == "jsonl" else parquet.read_table(path).to_pylist()
    assert Counter(row["operation_id"] for row in rows) == {old[0]: 1506, new[0]: 20}
    assert {row["recipient"] for row in rows if row["code"]} < set(UNLUCKY)
    assert (result["rows"], result["kept"], result["codes"]["30003"]) == (1526, 1506, 1)


def test_a_table_of_forgotten_receipts_stays_and_counts(emulator: Running, database: Path) -> None:
    old = sent(emulator, [*UNLUCKY, *people(1500)])
    first = to_table(old).execute(context())
    before = table(database)
    emulator.twilio.clock.advance(WEEK)
    again = to_table(old).execute(context())
    assert table(database) == before
    assert again == {**first, "kept": 1506, "kept_from": again["kept_from"]}
    assert datetime.fromisoformat(again["kept_from"]).tzinfo
    new = sent(emulator, people(20))
    both = to_table([*old, *new]).execute(context())
    assert (both["rows"], both["kept"]) == (1526, 1506)
    assert len(table(database)) == 1526


def test_forgotten_receipts_in_postgres_stay(emulator: Running, postgres: Postgres) -> None:
    postgres.execute("DROP TABLE IF EXISTS kept_receipts")
    ids = sent(emulator, [*UNLUCKY, *people(50)])
    place = {"sql_conn_id": "bookings", "table": "kept_receipts", "create_table": True}
    first = receipts(ids, **place).execute(context())
    emulator.twilio.clock.advance(WEEK)
    again = receipts(ids, **place).execute(context())
    assert again == {**first, "kept": 56, "kept_from": again["kept_from"]}
    assert postgres.execute("SELECT count(*) FROM kept_receipts") == [(56,)]


def test_what_cannot_be_read_is_left_untouched_and_told(emulator: Running, tmp_path: Path) -> None:
    ids = sent(emulator, people(3))
    emulator.twilio.clock.advance(WEEK)
    for name, content in (("a.jsonl", b'{"half'), ("b.parquet", b"no Parquet"), ("c.jsonl", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AirflowFailException, match=r"left as it is|as it was") as caught:
            receipts(ids, output_path=str(path)).execute(context())
        assert ids[0] in str(caught.value)
        assert path.read_bytes() == content


def test_an_error_in_a_rerun_leaves_the_file(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    ids = sent(emulator, people(2500))
    receipts(ids, output_path=str(path)).execute(context())
    before = path.read_bytes()
    for skip in (0, 1, 2):
        emulator.twilio.faults.add(Fault(kind="error_before", method="GET", skip=skip, times=None))
        with pytest.raises(ServerFailed):
            receipts(ids, output_path=str(path)).execute(context())
        emulator.twilio.faults.clear()
        assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("place", ["file", "table"])
def test_an_operation_that_is_forgotten_while_it_is_read_changes_nothing(
    emulator: Running, tmp_path: Path, database: Path, place: str
) -> None:
    class Late(Receipts):
        def read(self, known: Any, take: Any) -> None:
            emulator.twilio.clock.advance(WEEK)
            super().read(known, take)

    path = tmp_path / "all.jsonl"
    ids = sent(emulator, people(1500))
    task = receipts(ids, output_path=str(path)) if place == "file" else to_table(ids)
    task.execute(context())
    before = path.read_bytes() if place == "file" else table(database)
    output = ReceiptsFile(str(path)) if place == "file" else ReceiptsTable("warehouse", "receipts", False)
    with pytest.raises(OperationGone, match="seven days"):
        copy_receipts(Late(TwilioHook(), Redaction("all", "key"), 10, 4), ids, output)
    assert (path.read_bytes() if place == "file" else table(database)) == before


def test_receipts_that_a_late_list_lacks_stay(emulator: Running, tmp_path: Path, database: Path) -> None:
    path = tmp_path / "all.jsonl"
    ids = sent(emulator, people(7))
    for task in (receipts(ids, output_path=str(path)), to_table(ids)):
        first = task.execute(context())
        emulator.twilio.change(list_lag=60.0)
        again = task.execute(context())
        assert again == {**first, "missing": 7, "kept": 7, "kept_from": again["kept_from"]}
        emulator.twilio.change(list_lag=0.0)
    assert len(lines(path)) == len(table(database)) == 7


def test_an_operation_is_in_a_table_whole_or_not_at_all(emulator: Running, database: Path) -> None:
    ids = sent(emulator, people(4500), recipients_per_request=2500)
    fault = Fault(kind="error_before", method="GET", path="/Messages$", skip=4, times=5)
    emulator.twilio.faults.add(fault)
    with pytest.raises(ServerFailed):
        to_table(ids, concurrency=1).execute(context())  # so that what came before the fault is known
    assert dict(table(database, "SELECT operation_id, count(*) FROM receipts GROUP BY 1")) == {ids[0]: 2500}


def test_a_send_without_operations_leaves_the_receipts_before(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    receipts(sent(emulator, people(3)), output_path=str(path)).execute(context())
    before = path.read_bytes()
    assert receipts({"operation_ids": []}, output_path=str(path)).execute(context())["rows"] == 0
    assert path.read_bytes() == before


def test_a_send_that_made_no_operation_has_no_receipts(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    dry = {"operation_ids": [], "status": "DRY_RUN"}
    assert receipts(dry, output_path=str(path)).execute(context())["rows"] == 0
    assert path.read_text() == ""
    with pytest.raises(AirflowFailException, match="operation_ids"):
        receipts([], output_path=str(path)).execute(context())


def test_what_twilio_counts_and_does_not_list_is_told(emulator: Running, tmp_path: Path) -> None:
    emulator.twilio.change(list_lag=60.0)
    ids = sent(emulator, people(7))
    result = receipts(ids, output_path=str(tmp_path / "a.jsonl")).execute(context())
    assert (result["rows"], result["missing"]) == (0, 7)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("output_path", {}),
        ("output_path", {"output_path": "a.jsonl", "table": "t", "sql_conn_id": "warehouse"}),
        ("output_path", {"table": "t"}),
        ("concurrency", {"output_path": "a.jsonl", "concurrency": 99}),
        ("redact", {"output_path": "a.jsonl", "redact": "some"}),
    ],
)
def test_bad_arguments_are_refused_when_the_dag_is_parsed(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(TwilioError, match=field):
        receipts(["comms_operation_0"], **given)


@pytest.mark.parametrize(
    ("problem", "given"),
    [("table", {"table": "t; drop table x"}), ("sql_conn_id", {"sql_conn_id": "twilio_default"})],
)
def test_no_table_is_taken_that_cannot_be_one(
    emulator: Running, database: Path, problem: str, given: dict[str, str]
) -> None:
    task = receipts(sent(emulator, people(1)), **{"sql_conn_id": "warehouse", "table": "receipts", **given})
    with pytest.raises((AirflowFailException, TwilioError), match=problem):
        task.execute(context())


def test_what_the_database_says_is_told_without_the_rows(emulator: Running, database: Path) -> None:
    table(database, "CREATE TABLE receipts (operation_id TEXT, recipient TEXT CHECK (recipient LIKE 'no%'))")
    task = to_table(sent(emulator, people(2)), redact="none")
    with pytest.raises(TwilioError, match=r"receipts: sqlite3\.OperationalError") as caught:
        task.execute(context())
    assert "+1202" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_operations_are_written_in_their_order_though_one_takes_its_time(
    emulator: Running, tmp_path: Path
) -> None:
    ids = sent(emulator, [*people(90), *UNLUCKY], recipients_per_request=12)
    path = tmp_path / "all.jsonl"
    emulator.twilio.faults.add(Fault(kind="slow", method="GET", path="/Messages$", seconds=0.5))
    receipts(ids, output_path=str(path), redact="none").execute(context())
    rows = lines(path)
    assert len(rows) == 96
    assert list(dict.fromkeys(row["operation_id"] for row in rows)) == ids


def test_a_few_operations_are_read_at_a_time_and_no_more(emulator: Running) -> None:
    known = [Operation(f"comms_operation_{n}", "COMPLETED") for n in range(OPEN + 2)]
    flow = ReceiptsReader(Redaction("none"), {}, 10, 16).read(known, lambda rows: None)
    group: Any = next(flow)
    work = iter(group.work)
    begun: list[Any] = [next(work) for _ in range(OPEN + 1)]
    asked = [dict(each[1].query)["operationId"] for each in begun[:OPEN]]
    assert asked == [operation.id for operation in known[:OPEN]]
    assert begun[OPEN] is None


def test_hashes_are_hmacs_of_the_number_whatever_the_secret() -> None:
    for secret in ("s", "a-secret-of-the-house", "x" * 64, "y" * 65, "geheim-\u00fc"):
        for _ in range(2):
            assert Redaction("numbers", secret).number("whatsapp:+12025550100") == hashed(
                "+12025550100", secret
            )
