"""Receipts and a second send of what a classic bulk send returned: one row each, by pages of the list."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_twilio_comms.api.messaging import senders, services
from airflow_provider_twilio_comms.emulator.classic.inventory import NUMBER_SID
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
from airflow_provider_twilio_comms.operators.send_each import merged
from tests.classic_sends import FROM, SERVICE, add_messages, describe
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.classic_sends import classic

LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"
UNLUCKY = {
    "+12025559003": ("UNDELIVERED", 30003, "retry"),
    "+12025559005": ("UNDELIVERED", 30005, "recipient"),
    "+12025559034": ("FAILED", 30034, "configuration"),
}


@pytest.fixture
def emulator(emulator: Running) -> Running:
    emulator.twilio.change(pace=0)
    return emulator


def result_of(emulator: Running, sids: list[str], **changes: Any) -> dict[str, Any]:
    """Return what a send with ``generation="classic"`` returns."""
    sent = describe(emulator, sids, **changes)
    return {
        "generation": "classic",
        "operation_ids": [],
        "status": "COMPLETED",
        "recipients": sent["sent"],
        "rejected": 0,
        "stats": None,
        "messages": sent,
    }


def send(emulator: Running, count: int, **changes: Any) -> list[str]:
    sids = add_messages(emulator, count, **changes)
    for number in UNLUCKY:
        sids += add_messages(emulator, 1, to=number, **changes)
    return sids


def receipts(given: Any, path: Path, **kwargs: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    task = TwilioReceiptsOperator(
        task_id="receipts", operation_ids=given, output_path=str(path), **{"redact": "none", **kwargs}
    )
    result = task.execute(context())
    if path.suffix == ".parquet":
        return result, parquet.read_table(path).to_pylist()
    return result, [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_every_message_has_a_row_with_code_segments_and_price(
    emulator: Running, tmp_path: Path, name: str
) -> None:
    sids = send(emulator, 2_500, body="x" * 200)
    result, rows = receipts(result_of(emulator, sids, refused={"21211": 2}), tmp_path / name)
    assert {row["sid"] for row in rows} == {row["message_id"] for row in rows} == set(sids)
    assert len(rows) == 2_503
    for row in rows:
        if row["recipient"] in UNLUCKY:
            assert (row["status"], row["code"], row["verdict"]) == UNLUCKY[row["recipient"]]
            assert row["reason"]
    some = next(row for row in rows if row["status"] == "DELIVERED")
    assert (some["segments"], Decimal(some["price"]), some["price_unit"]) == (2, Decimal("-0.0166"), "USD")
    assert (some["channel"], some["recipient_channel"], some["operation_id"]) == ("SMS", "PHONE", "0" * 20)
    assert result == {
        "operation_ids": [],
        "sends": ["0" * 20],
        "rows": 2_503,
        "statuses": {"DELIVERED": 2_500, "UNDELIVERED": 2, "FAILED": 1},
        "codes": {"30034": 1, "30005": 1, "30003": 1},
        "verdicts": {"configuration": 1, "recipient": 1, "retry": 1},
        "refused": {"21211": 2},
        "unexplained": 0,
        "missing": 0,
        "kept": 0,
        "kept_from": None,
        "output_path": str(tmp_path / name),
    }
    assert emulator.twilio.journal.counts == {LIST: 6}, "three pages to be sure, three to be written"


def test_a_file_of_sids_tells_them_from_others(emulator: Running, tmp_path: Path) -> None:
    sids = send(emulator, 1_200, service=SERVICE)
    add_messages(emulator, 50, service=SERVICE)
    kept = tmp_path / "sids.txt"
    kept.write_text("\n".join(sids))
    _, rows = receipts(result_of(emulator, sids, sids_path=kept.as_uri()), tmp_path / "r.jsonl")
    assert {row["sid"] for row in rows} == set(sids)
    assert emulator.twilio.journal.counts == {LIST: 2}


def test_without_the_file_others_of_the_sender_are_an_error_and_nothing_is_written(
    emulator: Running, tmp_path: Path
) -> None:
    sids = send(emulator, 20)
    add_messages(emulator, 1)
    path = tmp_path / "r.jsonl"
    path.write_text("")
    with pytest.raises(TwilioError, match="made 23 messages, and Twilio lists 24"):
        receipts(result_of(emulator, sids), path)
    assert path.read_text() == ""


def test_numbers_become_hashes(emulator: Running, tmp_path: Path) -> None:
    _, rows = receipts(
        result_of(emulator, send(emulator, 5)), tmp_path / "r.jsonl", redact="numbers", hash_secret="key"
    )
    assert {len(row["recipient"]) for row in rows} == {64}
    assert "202555" not in json.dumps(rows)


def test_a_table_has_each_message_once(emulator: Running, tmp_path: Path) -> None:
    database = tmp_path / "warehouse.db"
    result = result_of(emulator, send(emulator, 300))
    connection = json.dumps({"conn_type": "sqlite", "host": str(database)})
    with environment(AIRFLOW_CONN_WAREHOUSE=connection):
        task = TwilioReceiptsOperator(
            task_id="receipts",
            operation_ids=[result],
            sql_conn_id="warehouse",
            table="receipts",
            create_table=True,
            redact="none",
        )
        for _ in range(2):
            assert task.execute(context())["rows"] == 303
    with sqlite3.connect(database) as opened:
        (counts,) = opened.execute("SELECT count(*), sum(segments), count(price) FROM receipts").fetchall()
    opened.close()
    assert counts == (303, 303, 302), "a message that failed has no price"


def test_messages_that_are_not_listed_are_missing_and_earlier_rows_stay(
    emulator: Running, tmp_path: Path
) -> None:
    sids = send(emulator, 20)
    kept = tmp_path / "sids.txt"
    kept.write_text("\n".join(sids))
    given, path = result_of(emulator, sids, sids_path=kept.as_uri()), tmp_path / "r.jsonl"
    receipts(given, path)
    del emulator.twilio.part(Messages).by_sid[sids[7]]
    result, rows = receipts(given, path)
    assert (result["missing"], result["kept"], result["rows"]) == (1, 1, 23)
    assert {row["sid"] for row in rows} == set(sids)


def test_several_sends_and_a_merged_result_are_taken(emulator: Running, tmp_path: Path) -> None:
    others = [f"MG{number:032x}" for number in (1, 2)]
    results = [
        result_of(emulator, add_messages(emulator, 30, service=each), key=each[-20:]) for each in others
    ]
    for given in (results, merged(results), tuple(results)):
        result, rows = receipts(given, tmp_path / "r.jsonl")
        assert (result["sends"], len(rows)) == ([each[-20:] for each in others], 60)
    assert "messages" not in merged([{**results[0], "messages": None}]), "as a dry run has it"


def test_a_result_that_lacks_something_is_refused(emulator: Running, tmp_path: Path) -> None:
    given = result_of(emulator, add_messages(emulator, 3))
    del given["messages"]["since"]
    with pytest.raises(AirflowFailException, match="generation='classic'"):
        receipts(given, tmp_path / "r.jsonl")


def test_those_are_texted_again_whom_it_may_help(emulator: Running, tmp_path: Path) -> None:
    emulator.twilio.ledger.recipients.clear()
    given = result_of(emulator, send(emulator, 20))
    _, rows = receipts(given, tmp_path / "r.jsonl")
    assert rows
    for source in ({"operation_ids": given}, {"receipts": str(tmp_path / "r.jsonl")}):
        emulator.twilio.ledger.recipients.clear()
        task = TwilioResendFailedOperator(
            task_id="again",
            content="Hello again",
            sender="+15005550006",
            wait_for="accepted",
            deferrable=False,
            **source,
        )
        result = task.execute(context(MemoryStore()))
        assert result
        assert result["recipients"] == 1
        assert dict(emulator.twilio.ledger.recipients) == {"+12025559003": 1}


# after a real send


@pytest.mark.parametrize("snapshots", [True, False])
@pytest.mark.parametrize("sender", [FROM, "service"])
def test_what_a_send_returned_is_all_that_receipts_and_a_second_send_need(
    emulator: Running, tmp_path: Path, sender: str, snapshots: bool
) -> None:
    if sender == "service":
        sender = TwilioHook().run(services.create("Shop")).sid
        TwilioHook().run(senders.create_phone_number(sender, NUMBER_SID))
    kept = {"snapshot_path": str(tmp_path / "kept")} if snapshots else {}
    people = [f"+1202556{number:04d}" for number in range(40)]
    result = classic([*people, *UNLUCKY], sender=sender, wait_for="processed", max_failed=3, **kept).execute(
        context(MemoryStore())
    )
    assert result
    assert (result["stats"]["delivered"], result["stats"]["undelivered"]) == (40, 2)
    if snapshots:
        add_messages(emulator, 3, service=sender if sender[0] == "M" else None)
    told, rows = receipts(result, tmp_path / "r.jsonl")
    assert {row["recipient"] for row in rows} == {*people, *UNLUCKY}
    assert (told["rows"], told["missing"], told["refused"]) == (43, 0, {})
    emulator.twilio.ledger.recipients.clear()
    again = TwilioResendFailedOperator(
        task_id="again",
        content="Hello again",
        sender=sender,
        generation="classic",
        operation_ids=result,
        wait_for="processed",
        max_failed=1,
        deferrable=False,
    )
    second = again.execute(context(MemoryStore()))
    assert second
    assert dict(emulator.twilio.ledger.recipients) == {"+12025559003": 1}
