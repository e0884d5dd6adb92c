"""The list of operations, read by hand: how many pages it takes to find those that are waited for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import copy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_twilio_comms.api.comms.operations import Operation
from airflow_provider_twilio_comms.api.flows import Done, advance
from airflow_provider_twilio_comms.api.wire import Page
from airflow_provider_twilio_comms.triggers.operations import PAGE, WORTH, TwilioOperationsTrigger

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


class Account:
    """The list of an account's operations, newest first, read as its query says."""

    def __init__(self, *ages: float) -> None:
        """``ages`` in seconds; the first is that of ``op0``."""
        made = [
            Operation(f"op{number}", "COMPLETED", created_at=NOW - timedelta(seconds=age))
            for number, age in enumerate(ages)
        ]
        self.rows = sorted(made, key=lambda row: row.created_at or NOW, reverse=True)
        self.by_name = {row.id: row for row in made}
        self.pages = 0

    def listed(self, known: Mapping[str, Operation | None]) -> dict[str, Operation]:
        flow = TwilioOperationsTrigger.source.listed(known)
        step = advance(flow)
        while not isinstance(step, Done):
            self.pages += 1
            step = advance(flow, self._page(step))
        return step.value

    def _page(self, call: Any) -> Page[Operation]:
        if isinstance(call, tuple):
            rows, start = call
        else:
            query = {
                name: datetime.fromisoformat(text.replace("Z", "+00:00"))
                for name, text in call.query
                if name.endswith("Date")
            }
            first, last = query.get("startDate"), query.get("endDate")
            rows, start = (
                [
                    row
                    for row in self.rows
                    if row.created_at
                    and (not first or first <= row.created_at)
                    and (not last or row.created_at <= last)
                ],
                0,
            )
        end = start + PAGE
        return Page(rows[start:end], (rows, end) if end < len(rows) else None)  # type: ignore[arg-type]


def test_ten_thousand_of_any_age_take_a_page_for_each_thousand() -> None:
    chance = random.Random(1)
    account = Account(*(chance.uniform(0, 7 * 86400) for _ in range(10_000)))
    for known in (dict.fromkeys(account.by_name), account.by_name):  # the first round, and all others
        account.pages = 0
        assert len(account.listed(known)) == 10_000
        assert account.pages <= 11


def test_a_row_that_has_not_changed_is_kept_and_not_a_second_one_beside_it() -> None:
    account = Account(*(float(age) for age in range(20)))
    known = {name: copy(row) for name, row in account.by_name.items()}
    known["op7"] = Operation("op7", "PROCESSING", created_at=known["op7"].created_at)
    found = account.listed(known)
    assert [name for name in known if found[name] is not known[name]] == ["op7"]
    assert found["op7"].status == "COMPLETED"


def test_what_lies_between_those_that_are_wanted_is_jumped_over() -> None:
    """A wait of six days does not make each round read what an account has made in six days."""
    young, old = [float(age) for age in range(10)], [6 * 86400.0 + age for age in range(10)]
    account = Account(*young, *old, *(3600.0 + age for age in range(50_000)))
    known = {f"op{number}": account.by_name[f"op{number}"] for number in range(20)}
    assert account.listed(known) == known
    assert account.pages == 2


def test_only_what_is_wanted_is_asked_for() -> None:
    account = Account(*(float(age) for age in range(0, 90_000, 30)))
    known = {name: account.by_name[name] for name in (f"op{number}" for number in range(2000, 2010))}
    assert account.listed(known) == known
    assert account.pages == 1


@pytest.mark.parametrize("many", [6, 500])
def test_the_unknown_are_looked_for_no_longer_than_asking_singly_is_dearer(many: int) -> None:
    account = Account(*(float(age) for age in range(100_000)))
    assert account.listed({f"never{number}": None for number in range(many)}) == {}
    assert account.pages <= 1 + many // WORTH


def test_those_that_the_list_does_not_show_keep_it_from_nothing() -> None:
    account = Account(*(float(age) for age in range(3000)))
    hidden = Operation("hidden", "PROCESSING", created_at=NOW - timedelta(seconds=5))
    known: dict[str, Operation | None] = {**account.by_name, "hidden": hidden, "new": None}
    assert account.listed(known) == account.by_name
    assert account.pages <= 4


def test_a_list_that_ignores_its_filter_ends() -> None:
    account = Account(
        *(float(age) for age in range(20)), *(86400.0 + age for age in range(5000)), 6 * 86400.0
    )
    account._page = lambda call: Page(account.rows[:PAGE], call)  # type: ignore[method-assign]
    known = {name: account.by_name[name] for name in ("op0", "op5020")}
    assert list(account.listed(known)) == ["op0"]
    assert account.pages <= 3
