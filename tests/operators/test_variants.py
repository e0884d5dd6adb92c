"""Campaigns with variants and a holdout: people get the same text on every try, and in later campaigns."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.campaigns.variants import Assignment, Split
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.flows import every_item
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.receipts import TwilioReceiptsOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, stopped_after, texted
from tests.operators.campaign_sends import requests, said
from tests.operators.classic_sends import break_classic, classic
from tests.operators.runs import a_run, report

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_twilio_comms.emulator.server import Running

VARIANTS = {"short": {"content": "Sale!"}, "long": {"content": "Hello {{ name | default: 'you' }}, sale!"}}
CAMPAIGN = {"content": None, "variants": VARIANTS, "campaign": "spring"}
TEXTS = {name: each["content"] for name, each in VARIANTS.items()}


def expected(rows: list[dict[str, Any]], secret: str = "", **changes: Any) -> dict[str, str]:
    """Find who gets which variant, by number."""
    split = Split("spring", dict.fromkeys(VARIANTS, 1.0), **changes)
    assignment = Assignment(split, secret)
    numbers = [row["address"] for row in rows]
    return {each: assignment.variant(each) for each in numbers if not assignment.holds_out(each)}


def variants_of(emulator: Running) -> dict[str, str]:
    """Find who got which variant at the emulator, by the text."""
    names = {text: name for name, text in TEXTS.items()}
    return {number: names[text] for number, text in said(emulator).items()}


def test_each_gets_one_variant_tagged_and_counted(emulator: Running) -> None:
    values = a_run()
    result = bulk(people(60), **CAMPAIGN).execute(values)
    assert variants_of(emulator) == expected(people(60))
    assert texted(emulator) == [60, 1]
    assert len(requests(emulator)) == 2
    rows = TwilioHook().run(every_item(messages.list()))
    assert {row.to[0]["address"]: (row.tags or {})["airflow_variant"] for row in rows} == expected(people(60))
    assert result
    counts = Counter(expected(people(60)).values())
    assert result["campaign"] == {
        "name": "spring",
        "weights": {"short": 1.0, "long": 1.0},
        "holdout": 0.0,
        "variants": counts,
        "held_out": 0,
    }
    assert values["ti"].xcoms["preflight"]["campaign"] == result["campaign"]
    assert "Sale" not in json.dumps([result, values["ti"].xcoms])


def test_a_later_campaign_of_the_name_assigns_the_same(emulator: Running) -> None:
    bulk(people(40), send_key="one", **CAMPAIGN).execute(context(MemoryStore()))
    first = variants_of(emulator)
    emulator.twilio.reset()
    edited = [*people(5, first=1_000), *people(40)[::-2]]
    bulk(edited, send_key="two", **CAMPAIGN).execute(context(MemoryStore()))
    later = variants_of(emulator)
    assert len(later) == 25
    assert all(first[number] == variant for number, variant in later.items() if number in first)


def test_the_connections_hash_secret_keys_it(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(hash_secret="pepper" * 3)):
        bulk(people(40), **CAMPAIGN).execute(context(MemoryStore()))
    assert variants_of(emulator) == expected(people(40), "pepper" * 3) != expected(people(40))


def test_the_holdout_gets_nothing_and_is_written_down(emulator: Running, tmp_path: Path) -> None:
    rejects, values = tmp_path / "rejects.jsonl", a_run()
    rows = [*people(60), *people(60)[:10]]
    result = bulk(
        rows, holdout=0.3, campaign="spring", rejects_path=str(rejects), on_duplicate="first"
    ).execute(values)
    left = expected(people(60), holdout=0.3)
    assert sorted(said(emulator)) == sorted(left)
    held_out = 60 - len(left)
    assert 5 < held_out < 30
    assert result
    assert result["campaign"]["held_out"] == held_out
    reasons = Counter(json.loads(line)["reason"] for line in rejects.read_text().splitlines())
    assert reasons == {"holdout": held_out, "duplicate": 10}
    assert values["ti"].xcoms["preflight"]["rejected"] == reasons


class TestARetry:
    def test_goes_on_with_the_same_variants(self, emulator: Running) -> None:
        store, given = MemoryStore(), {**CAMPAIGN, "recipients_per_request": 5, "holdout": 0.1}
        stopped_after(emulator, 3, store, people(60), **given)
        result = bulk(people(60), **given).execute(context(store, 2))
        assert variants_of(emulator) == expected(people(60), holdout=0.1)
        again = bulk(people(60), **given).execute(context(store, 3))
        assert again == result  # from the ledger, with its counts
        assert max(emulator.twilio.ledger.recipients.values()) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"variants": {**VARIANTS, "short": {"content": "Sale today!"}}},
            {"variants": {"brief": VARIANTS["short"], "long": VARIANTS["long"]}},
            {"variants": {**VARIANTS, "short": {"content": "Sale!", "weight": 2}}},
            {"campaign": "summer"},
            {"holdout": 0.2},
            {"content": "Sale!", "variants": None},
        ],
        ids=["content", "name", "weight", "campaign", "holdout", "none"],
    )
    def test_with_others_is_as_one_with_another_text(self, emulator: Running, changes: Any) -> None:
        store, given = MemoryStore(), {**CAMPAIGN, "recipients_per_request": 5}
        stopped_after(emulator, 3, store, people(60), **given)
        before = dict(emulator.twilio.ledger.recipients)
        with pytest.raises(AirflowFailException, match="since then there changed: the message or its sender"):
            bulk(people(60), **{**given, **changes}).execute(context(store, 2))
        assert dict(emulator.twilio.ledger.recipients) == before

    def test_of_a_snapshot_sends_each_chunk_its_variant(self, emulator: Running, tmp_path: Path) -> None:
        store = MemoryStore()
        given = {**CAMPAIGN, "recipients_per_request": 5, "snapshot_path": str(tmp_path)}
        stopped_after(emulator, 3, store, people(60), **given)
        bulk([], **given).execute(context(store, 2))
        assert variants_of(emulator) == expected(people(60))


def test_variants_are_spread_side_by_side(emulator: Running) -> None:
    bulk(people(200), spread_over=7_200, **CAMPAIGN).execute(context(MemoryStore()))
    names = [variants_of(emulator)[numbers[0]] for _, numbers in requests(emulator)]
    half = len(names) // 2
    for part in (names[:half], names[half:]):
        assert Counter(part)["short"] == pytest.approx(half / 2, abs=half / 10)


def test_texts_are_counted_as_each_gets_them(emulator: Running) -> None:
    variants = {"one": {"content": "x"}, "two": {"content": "y" * 200}}
    found = report(people(50), **{**CAMPAIGN, "variants": variants})
    counts = found["campaign"]["variants"]
    assert found["segments"]["total"] == counts["one"] + 2 * counts["two"]


def test_receipts_hold_the_variant(emulator: Running, tmp_path: Path) -> None:
    result = bulk(people(30), **CAMPAIGN).execute(context(MemoryStore()))
    found = receipts(result, tmp_path)
    assert found == expected(people(30))


def receipts(result: Any, folder: Path) -> dict[str, str]:
    file = folder / "receipts.jsonl"
    TwilioReceiptsOperator(
        task_id="receipts", operation_ids=result, output_path=str(file), redact="none"
    ).execute(context(MemoryStore()))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {row["recipient"]: row["variant"] for row in rows}


class TestTheClassicApi:
    def test_sends_each_their_variant_and_receipts_know_it(self, emulator: Running, tmp_path: Path) -> None:
        result = classic(people(30), **CAMPAIGN).execute(context(MemoryStore()))
        names = {number: "short" if text == "Sale!" else "long" for number, text in said(emulator).items()}
        assert names == expected(people(30))
        assert result
        assert result["campaign"]["variants"] == Counter(names.values())
        assert receipts(result, tmp_path) == names

    def test_finds_a_message_of_unknown_outcome_by_the_text_of_its_variant(self, emulator: Running) -> None:
        break_classic(emulator, "drop_after", skip=10)
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1, timeout=5)):
            classic(people(30), **CAMPAIGN).execute(context(MemoryStore()))
        assert texted(emulator) == [30, 1]


def test_groups_cannot_be_split(emulator: Running) -> None:
    person = {"address": "+12025550101", "channel": "PHONE"}
    with pytest.raises(AirflowFailException):
        bulk([person, {"cohortSnapshotId": "x"}], **CAMPAIGN).execute(context(MemoryStore()))
    assert texted(emulator) == [0, 0]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"variants": VARIANTS}, "campaign: is missing"),
        ({"holdout": 0.1, "content": "x"}, "campaign: is missing"),
        ({}, "content: is missing"),
        ({"variants": {"a b": {"content": "x"}}}, "variants: 'a b' cannot be a name"),
        ({"variants": {"a": "x"}}, "variants: 'a' is not a mapping"),
        ({"variants": {"a": {"text": "x"}}}, "variants: 'a' is not a mapping"),
        ({"variants": {"a": {}}}, "variants: 'a' has no content"),
        ({"variants": {"a": {"content": "x", "weight": 0}}}, "variants: the weight of 'a'"),
        ({"variants": {}}, "variants: are not a mapping"),
        ({"holdout": 1.0, "content": "x", "campaign": "c"}, "holdout: 1.0 is not a share"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_when_the_dag_is_parsed(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        bulk(people(1), **{"content": None, **given})


def test_the_texts_of_variants_are_not_shown() -> None:
    operator = bulk(people(1), **CAMPAIGN)
    assert repr(operator.variants) == "(hidden)"
    assert "variants" not in operator.template_fields
    assert msgspec.to_builtins(operator.split)["name"] == "spring"
