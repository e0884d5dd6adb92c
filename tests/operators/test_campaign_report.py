"""The report of a campaign: variants compared by receipts and answers, with nobody named."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.campaign_report import TwilioCampaignReportOperator
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people
from tests.operators.campaign_sends import said
from tests.operators.classic_sends import classic

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_twilio_comms.emulator.server import Running

VARIANTS = {"a": {"content": "Sale!"}, "b": {"content": "Sale on Friday!"}}


@pytest.fixture(params=["comms", "classic"])
def sent(request: Any, emulator: Running) -> Any:
    """A campaign of 60 people, all reached, of whom those who got ``b`` answer and one opts out."""
    emulator.twilio.change(pace=0.0)
    make = bulk if request.param == "comms" else classic
    result = make(
        people(60), content=None, variants=VARIANTS, campaign="spring", wait_for="delivered"
    ).execute(context(MemoryStore()))
    chosen = sorted(number for number, text in said(emulator).items() if "Friday" in text)
    with emulator.twilio.lock:
        for place, number in enumerate(chosen):
            body = "Stop" if place == 0 else "Yes please"
            receive(emulator.twilio, Arrival(from_=number, to="+15005550006", body=body))
    return result


def compare(**kwargs: Any) -> Any:
    operator = TwilioCampaignReportOperator(task_id="compare", campaign="spring", **kwargs)
    return operator.execute(context(MemoryStore()))


def verdicts(result: Any) -> dict[str, Any]:
    return {row["outcome"]: row["distinguishable"] for row in result["rows"] if row["variant"] == "b"}


def test_it_says_which_differences_can_be_told_from_chance(
    emulator: Running, sent: Any, capsys: Any, tmp_path: Path
) -> None:
    file = tmp_path / "report.jsonl"
    result = compare(operation_ids=sent, output_path=str(file))
    counts = sent["campaign"]["variants"]
    rows = {(row["variant"], row["outcome"]): row for row in result["rows"]}
    assert {name: rows[(name, "delivered")]["people"] for name in VARIANTS} == counts
    assert rows[("b", "replied")]["count"] == counts["b"] - 1
    assert rows[("b", "opted_out")]["count"] == 1
    assert rows[("a", "replied")]["count"] == 0
    assert verdicts(result) == {"delivered": False, "failed": False, "replied": True, "opted_out": False}
    assert [json.loads(line) for line in file.read_text().splitlines()] == result["rows"]
    told = capsys.readouterr().out
    assert re.search(r"replied b: .* points to a .*: distinguishable", told)
    assert re.search(r"delivered b: .*: not distinguishable", told)
    assert "+1202" not in told + json.dumps(result)
    assert "Sale" not in told + json.dumps(result)


@pytest.mark.parametrize("redact", ["none", "all"])
def test_it_reads_receipts_of_a_file(emulator: Running, sent: Any, tmp_path: Path, redact: Any) -> None:
    file = str(tmp_path / "receipts.parquet")
    TwilioReceiptsOperator(task_id="receipts", operation_ids=sent, output_path=file, redact=redact).execute(
        context(MemoryStore())
    )
    assert compare(receipts=file)["rows"] == compare(operation_ids=sent)["rows"]


def test_rows_of_a_later_report_replace_those_of_the_first(emulator: Running, tmp_path: Path) -> None:
    sending = bulk(people(20), content=None, variants=VARIANTS, campaign="spring", wait_for="processed")
    result = sending.execute(context(MemoryStore()))
    database = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "reports.db")})
    with environment(AIRFLOW_CONN_REPORTS=database):
        from airflow.providers.sqlite.hooks.sqlite import SqliteHook

        for _ in range(2):
            compare(operation_ids=result, sql_conn_id="reports", table="reports", create_table=True)
        rows = SqliteHook("reports").get_records("SELECT row_id, people FROM reports ORDER BY 1")
    assert [row[0] for row in rows][:2] == ["spring.a.delivered", "spring.a.failed"]
    assert len(rows) == 8


def test_receipts_without_variants_are_refused(emulator: Running) -> None:
    result = bulk(people(3), wait_for="processed").execute(context(MemoryStore()))
    with pytest.raises(AirflowFailException, match="receipts: none of them has a variant"):
        compare(operation_ids=result)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "receipts: give them or operation_ids"),
        ({"receipts": "x", "operation_ids": "y"}, "receipts: give them or operation_ids"),
        ({"receipts": "x", "table": "y"}, "output_path: there is not one place"),
        ({"receipts": "x", "confidence": 95}, "confidence: 95 is not a share"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_when_the_dag_is_parsed(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        TwilioCampaignReportOperator(task_id="compare", campaign="spring", **given)
