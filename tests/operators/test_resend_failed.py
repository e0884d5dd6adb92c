"""Once more to those whom it may help: nobody else, nobody twice, with the variables of the first time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited, SendUncertain
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

AGAIN = ["+12025559003", "+12025559008", "+12025559001"]
NEVER = ["+12025559005", "+12025559006", "+12025559034", "+12025559410", "+12025559610", "+12025559000"]


def first(emulator: Running, recipients: Any = None, **kwargs: Any) -> list[str]:
    """The first send; what it sent is forgotten by the ledger of the emulator."""
    emulator.twilio.change(pace=0.0)
    result = bulk(recipients or [*people(20), *AGAIN, *NEVER], **kwargs).execute(context(run_id="first"))
    assert result
    emulator.twilio.ledger.recipients.clear()
    ids = result["operation_ids"]
    assert isinstance(ids, list)
    return ids


def receipts(ids: list[str], path: Path, redact: Any = "none", **kwargs: Any) -> str:
    task = TwilioReceiptsOperator(
        task_id="receipts", operation_ids=ids, output_path=str(path), redact=redact, **kwargs
    )
    return str(task.execute(context())["output_path"])


def again(**kwargs: Any) -> TwilioResendFailedOperator:
    defaults: dict[str, Any] = {
        "task_id": "again",
        "content": "Hello again",
        "sender": "+15005550006",
        "wait_for": "accepted",
        "deferrable": False,
        "unknown_after": 1.0,
    }
    return TwilioResendFailedOperator(**{**defaults, **kwargs})


def texted(emulator: Running) -> Counter[str]:
    return Counter(emulator.twilio.ledger.recipients)


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet", None])
def test_those_are_texted_whom_it_may_help(emulator: Running, tmp_path: Path, name: str | None) -> None:
    ids = first(emulator)
    source = {"receipts": receipts(ids, tmp_path / name)} if name else {"operation_ids": ids}
    result = again(**source).execute(context(MemoryStore()))
    assert result
    assert (result["recipients"], result["status"]) == (3, "ACCEPTED")
    assert not set(result["operation_ids"]) & set(ids)
    assert texted(emulator) == Counter(AGAIN)


def test_a_retry_sends_nothing_twice(emulator: Running, tmp_path: Path) -> None:
    path = receipts(first(emulator), tmp_path / "r.jsonl")
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST"))
    again(receipts=path).execute(context(store))
    again(receipts=path).execute(context(store, try_number=2))
    assert texted(emulator) == Counter(AGAIN)
    emulator.twilio.faults.add(Fault(kind="drop_before", method="POST"))
    with pytest.raises(SendUncertain):
        again(receipts=path).execute(context(MemoryStore(), run_id="other"))
    assert texted(emulator) == Counter(AGAIN)


def test_whoever_was_reached_since_is_left_alone(emulator: Running, tmp_path: Path) -> None:
    before = first(emulator)
    emulator.twilio.change(outcomes=[{"match": "9003$", "status": "DELIVERED"}])
    after = first(emulator, ["+12025559003", "+12025559001"])
    for source in (
        {"operation_ids": [*after, *before]},
        {"receipts": receipts([*before, *after], tmp_path / "r.jsonl")},
    ):
        emulator.twilio.ledger.recipients.clear()
        again(**source, task_id=f"again_{next(iter(source))}").execute(context())
        assert texted(emulator) == Counter(["+12025559008", "+12025559001"])


def test_variables_come_from_the_recipients_of_the_first_send(emulator: Running, tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    with source.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "phone"])
        rows.writerows([[f"N{n}", number.replace("+1", "")] for n, number in enumerate([*AGAIN, *NEVER])])
    given: dict[str, Any] = {
        "recipients": str(source),
        "number_column": "phone",
        "default_region": "US",
        "content": "Hello {{ name }}",
    }
    ids = first(emulator, **given)
    for redact in ("none", "all"):
        emulator.twilio.ledger.recipients.clear()
        path = receipts(ids, tmp_path / f"{redact}.jsonl", redact)
        assert again(receipts=path, task_id=f"again_{redact}", **given).execute(context())
        assert texted(emulator) == Counter(AGAIN)
        newest = emulator.twilio.part(Outbox).newest_first()[0]
        names = {
            newest.recipients.parties(index)[0].address: newest.recipients.variables(index)["name"]
            for index in range(3)
        }
        assert names == {number: f"N{n}" for n, number in enumerate(AGAIN)}
    emulator.twilio.ledger.recipients.clear()
    other = receipts(ids, tmp_path / "other.jsonl", "all", hash_secret="another-secret-than-now")
    with pytest.raises(AirflowFailException, match="lack 3 of the 3"):
        again(receipts=other, **given).execute(context())
    assert again(receipts=other, hash_secret="another-secret-than-now", **given).execute(context())
    assert texted(emulator) == Counter(AGAIN)


def test_nobody_to_text_again_skips_the_task(emulator: Running, tmp_path: Path) -> None:
    path = receipts(first(emulator, people(5)), tmp_path / "r.jsonl")
    with pytest.raises(AirflowSkipException):
        again(receipts=path).execute(context())


def test_what_cannot_be_done_is_refused_before_anything_is_sent(emulator: Running, tmp_path: Path) -> None:
    ids = first(emulator)
    plain = receipts(ids, tmp_path / "plain.jsonl")
    hashes = receipts(ids, tmp_path / "hashes.jsonl", "all")
    (tmp_path / "odd.jsonl").write_text('{"phone": "+12025559003"}\n')
    for problem, given in [
        ("variables without a default", {"receipts": plain, "content": "Hi {{ name }}"}),
        ("hold hashes", {"receipts": hashes}),
        ("max_recipients", {"receipts": plain, "max_recipients": 2}),
        ("a row lacks", {"receipts": str(tmp_path / "odd.jsonl")}),
    ]:
        with pytest.raises(AirflowFailException, match=problem) as caught:
            again(**given).execute(context())
        assert "+1202" not in str(caught.value)
    assert not texted(emulator)
    for wrong in ({}, {"receipts": plain, "operation_ids": ids}):
        with pytest.raises(InvalidInput, match="receipts"):
            again(**wrong)


def test_reasons_nobody_asked_for_are_no_reason_to_text(emulator: Running) -> None:
    ids = first(emulator, AGAIN)
    with pytest.raises(AirflowSkipException):
        again(operation_ids=ids, max_reasons=0).execute(context())


GONE = "+12035559337"  # has no WhatsApp


def by_whatsapp(emulator: Running, **kwargs: Any) -> dict[str, Any]:
    """A send over WhatsApp, which does not reach one of them, and whom another has blocked."""
    blocked = {"match": "0009$", "status": "FAILED", "code": 63014}
    emulator.twilio.change(pace=0.0, outcomes=[blocked])
    defaults = {"channel": "whatsapp", "sender": "whatsapp:+14155238886", "content": "Hi {{ name }}"}
    rows = [{"phone": number, "name": "Ada"} for number in ("+12025550101", GONE, "+12025550009")]
    result = bulk(rows, number_column="phone", **{**defaults, **kwargs}).execute(context(run_id="first"))
    assert result
    emulator.twilio.ledger.recipients.clear()
    return result


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "warehouse.db"
    with environment(AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield "warehouse"


def in_a_table(ids: Any, conn_id: str, redact: Any = "none") -> dict[str, str]:
    """The receipts in a table; returns what gives them in any order."""
    task = TwilioReceiptsOperator(
        task_id="receipts",
        operation_ids=ids,
        sql_conn_id=conn_id,
        table="receipts",
        create_table=True,
        redact=redact,
    )
    task.execute(context())
    return {"sql": "SELECT * FROM receipts ORDER BY RANDOM()", "conn_id": conn_id}


@pytest.mark.parametrize("source", ["file", "table", "operations"])
@pytest.mark.parametrize("generation", ["comms", "classic"])
def test_a_text_goes_to_those_whom_whatsapp_did_not_reach(
    emulator: Running, tmp_path: Path, database: str, generation: str, source: str
) -> None:
    sent = by_whatsapp(emulator, generation=generation)
    given: dict[str, Any] = {"operation_ids": sent}
    if source == "file":
        path = tmp_path / "r.jsonl"
        TwilioReceiptsOperator(
            task_id="receipts", operation_ids=sent, output_path=str(path), redact="none"
        ).execute(context())
        given = {"receipts": str(path)}
    if source == "table":
        given = {"receipts": in_a_table(sent, database)}
    fallback = {"channel": "phone", "verdicts": ["recipient", "retry"], "generation": generation, **given}
    result = again(**fallback).execute(context(MemoryStore()))
    assert result
    assert result["recipients"] == 1
    assert texted(emulator) == Counter([GONE])


def test_a_fallback_takes_variables_from_recipients_of_the_other_channel(emulator: Running) -> None:
    ids = by_whatsapp(emulator)["operation_ids"]
    rows = [
        {"address": number, "channel": "WHATSAPP", "variables": {"name": "Ada"}}
        for number in ("+12025550101", GONE)
    ]
    assert again(
        operation_ids=ids, verdicts="recipient", channel="phone", recipients=rows, content="Hi {{ name }}"
    ).execute(context(MemoryStore()))
    newest = emulator.twilio.part(Outbox).newest_first()[0]
    assert newest.recipients.parties(0)[0].channel == "PHONE"
    assert newest.recipients.variables(0) == {"name": "Ada"}
    assert texted(emulator) == Counter([GONE])


def test_verdicts_are_those_that_the_author_names(emulator: Running) -> None:
    ids = first(emulator)
    for verdicts, wanted in (
        ("recipient", ["+12025559005", "+12025559006"]),
        (["configuration", "unknown"], ["+12025559034", "+12025559410"]),
    ):
        emulator.twilio.ledger.recipients.clear()
        again(operation_ids=ids, verdicts=verdicts, task_id=f"again_{len(verdicts)}").execute(context())
        assert set(texted(emulator)) <= set(wanted)  # a landline is taken, and no message goes out
        assert texted(emulator).keys() & set(wanted)


def test_a_table_in_any_order_is_texted_once_by_all_tries(emulator: Running, database: str) -> None:
    numbers = [f"+1{area}5559003" for area in range(200, 230)]
    table = in_a_table(first(emulator, numbers), database)
    store, options = MemoryStore(), {"recipients_per_request": 4, "requests_at_once": 1}
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=3, method="POST", path="/Messages$"))
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        again(receipts=table, **options).execute(context(store))
    assert again(receipts=table, **options).execute(context(store, try_number=2))
    assert texted(emulator) == Counter(numbers)


def test_hashes_in_a_table_are_looked_up_in_the_recipients(emulator: Running, database: str) -> None:
    table = in_a_table(first(emulator), database, "all")
    again(receipts=table, recipients=[*AGAIN, *NEVER]).execute(context(MemoryStore()))
    assert texted(emulator) == Counter(AGAIN)


def test_what_is_no_table_and_no_verdict_is_told_when_the_dag_is_parsed(
    emulator: Running, database: str
) -> None:
    for wrong, problem in (
        ({"receipts": {"sql": "SELECT 1"}}, "conn_id"),
        ({"receipts": {"sql": "SELECT 1", "conn_id": "x", "table": "y"}}, "not a table"),
        ({"receipts": "r.jsonl", "verdicts": "opt-out"}, "opted out"),
        ({"receipts": "r.jsonl", "verdicts": ["retry", "recipients"]}, "unknown"),
        ({"receipts": "r.jsonl", "verdicts": []}, "empty"),
    ):
        with pytest.raises(InvalidInput, match=problem):
            again(**wrong)
    in_a_table(first(emulator), database)
    table = {"sql": "SELECT recipient, status FROM receipts", "conn_id": database}
    with pytest.raises(AirflowFailException, match="a row lacks"):
        again(receipts=table).execute(context())
    assert not texted(emulator)
