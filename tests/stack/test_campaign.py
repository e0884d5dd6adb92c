"""The demo's list, its books, and the main job: 25,000 people texted once, and nobody written down."""

from __future__ import annotations

import csv
import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_twilio_comms._core.recipients.phone_numbers import normalised
from airflow_provider_twilio_comms.demo import campaign
from airflow_provider_twilio_comms.demo.stack import Stack
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcomes
from tests.stack.leaks import credentials, leaks

DATA = Path(__file__).resolve().parents[2] / "example_dags" / "data"
LIST = DATA / "recipients.csv"
DAG_FOLDERS = (DATA.parent, Path(__file__).resolve().parent / "dags")

OUTCOME = campaign.Outcome(
    recipients=25_000,
    rejected=62,
    requests=3,
    operations=3,
    stats={"delivered": 24_138, "undelivered": 390, "failed": 170, "unaddressable": 240, "total": 24_938},
    failures={30003: 200, None: 240},
    duplicates=0,
    lost=0,
    unlisted=0,
    seconds=42.5,
    state="success",
)


def test_the_script_writes_the_list_byte_for_byte(tmp_path: Path) -> None:
    made = tmp_path / "recipients.csv"
    runpy.run_path(str(DATA / "make_recipients.py"))["write"](made)
    assert made.read_bytes() == LIST.read_bytes()
    assert len(made.read_bytes()) < 1_000_000


def test_both_readings_of_the_list_agree() -> None:
    with LIST.open(encoding="utf-8", newline="") as file:
        written = [row["phone"] for row in csv.DictReader(file)]
    read = Counter(normalised(phone)[0] for phone in written)
    rows, numbers = campaign.read_numbers(LIST)
    assert (rows, len(numbers), read.pop("")) == (25_000, 24_938, 62)
    assert numbers == read.keys()
    assert set(read.values()) == {1}


def test_the_list_has_people_of_every_fate() -> None:
    _, numbers = campaign.read_numbers(LIST)
    outcomes = Outcomes(())
    fates = Counter(outcomes.of(number, "SMS") for number in numbers)
    codes = {None if fate.unaddressable else fate.code: count for fate, count in fates.items() if fate.code}
    assert codes == {None: 240, 21610: 160, 30003: 200, 30005: 120, 30007: 40, 30008: 30, 30001: 10}


def test_the_last_line_is_for_machines() -> None:
    assert OUTCOME.good
    assert OUTCOME.report().splitlines()[-1] == (
        "demo: recipients=25000 rejected=62 requests=3 operations=3 delivered=24138 undelivered=390 "
        "failed=170 unaddressable=240 duplicates=0 lost=0"
    )


@pytest.mark.parametrize(
    "flaw", [{"duplicates": 1}, {"lost": 1}, {"unlisted": 1}, {"state": "failed"}], ids=str
)
def test_books_that_do_not_balance_are_no_success(flaw: dict[str, int | str]) -> None:
    assert not replace(OUTCOME, **flaw).good  # type: ignore[arg-type]


@pytest.mark.stack
def test_the_main_job(stack: Stack) -> None:
    assert stack.emulator is not None
    stack.emulator.control("POST", "reset")
    outcome = campaign.run(stack, LIST)
    assert outcome.good
    assert replace(outcome, seconds=0.0, failures={}, stats={}) == replace(
        OUTCOME, seconds=0.0, failures={}, stats={}
    )
    assert {name: outcome.stats[name] for name in OUTCOME.stats} == OUTCOME.stats
    assert outcome.failures == {
        None: 240,
        21610: 160,
        30003: 200,
        30005: 120,
        30007: 40,
        30008: 30,
        30001: 10,
    }

    _, numbers = campaign.read_numbers(LIST)
    texts = {row["text"] for row in stack.emulator.control("GET", "outbox?size=20")["rows"]}
    assert len(texts) == 20
    # What an author writes into a DAG file is stored by Airflow as source, and is not the campaign's.
    authored = "".join(path.read_text() for folder in DAG_FOLDERS for path in folder.glob("*.py"))
    needles = [number for number in numbers if number not in authored]
    assert len(needles) > 24_900
    assert leaks(stack, [*needles, *texts, *credentials(stack)]) == []
