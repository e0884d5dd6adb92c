"""Once more to those whom it may help: nobody else, nobody twice, with the variables of the first time."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, SendUncertain
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from airflow_provider_twilio_comms.operators.resend_failed import TwilioResendFailedOperator
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
