"""Intervals as published, and reports that count people and tell chance from difference."""

from __future__ import annotations

import pytest

from airflow_provider_twilio_comms._core.campaigns.comparison import Outcomes, describe, newcombe, wilson
from airflow_provider_twilio_comms._core.inbound import InboundMessage
from airflow_provider_twilio_comms._core.privacy import Redaction
from airflow_provider_twilio_comms.exceptions import InvalidInput


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),  # the examples of Newcombe's paper, table II, method 10
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((0, 10), (0, 20), -0.1611, 0.2775),
    ],
)
def test_the_interval_of_a_difference_is_newcombes(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    assert newcombe(first, second, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 0, 0.95) == (0.0, 1.0)


def outcomes(**variants: tuple[int, int]) -> Outcomes:
    """Receipts of variants: so many people, so many of them delivered."""
    found = Outcomes()
    for prefix, (name, (people, delivered)) in enumerate(variants.items()):
        for number in range(people):
            status = "DELIVERED" if number < delivered else "UNDELIVERED"
            found.add(name, f"+1202{prefix}{number:06d}", status)
    return found


def answer(sender: str, body: str) -> InboundMessage:
    return InboundMessage("SM1", 1.0, sender, "+15005550006", None, body)


def test_a_person_counts_once_whatever_they_get_and_say() -> None:
    found = outcomes(a=(3, 2), b=(2, 2))
    found.add("a", "+12020000000", "DELIVERED")
    said = [answer("+12020000000", text) for text in ("Yes", "yes!", " Stop ", "STOP it")]
    found.add_answers([*said, answer("+12029999999", "Stop")], Redaction("none"))
    counts = {(row.variant, row.outcome): (row.count, row.people) for row in found.rows("spring", None, 0.95)}
    assert counts[("a", "delivered")] == (2, 3)
    assert counts[("a", "failed")] == (1, 3)
    assert counts[("a", "replied")] == counts[("a", "opted_out")] == (1, 3)
    assert counts[("b", "replied")] == (0, 2)


def test_differences_are_distinguishable_where_their_interval_is_without_zero() -> None:
    rows = outcomes(a=(1000, 900), b=(1000, 800), c=(1000, 890)).rows("spring", "a", 0.95)
    by = {(row.variant, row.outcome): row for row in rows}
    assert by[("a", "delivered")].distinguishable is None
    assert by[("b", "delivered")].distinguishable is True
    assert by[("b", "delivered")].difference == pytest.approx(-0.1)
    assert by[("c", "delivered")].distinguishable is False
    told = "\n".join(describe(rows))
    assert "delivered b: 800 of 1,000, 80.00%" in told
    assert "-10.00 points to a" in told
    assert told.count(": distinguishable") == 2  # delivered and failed


def test_more_comparisons_need_clearer_differences() -> None:
    two = outcomes(a=(1000, 900), b=(1000, 871)).rows("spring", "a", 0.95)
    many = outcomes(a=(1000, 900), b=(1000, 871), c=(1000, 900), d=(1000, 900)).rows("spring", "a", 0.95)
    verdicts = [
        next(row.distinguishable for row in rows if (row.variant, row.outcome) == ("b", "delivered"))
        for rows in (two, many)
    ]
    assert verdicts == [True, False]


def test_hashes_are_answered_by_the_numbers_that_they_are_of() -> None:
    redaction, found = Redaction("all", "k" * 16), Outcomes()
    found.add("a", redaction.number("+12020000000"), "SENT")
    found.add(None, "+12020000001", "DELIVERED")
    found.add_answers([answer("+12020000000", "hi")], redaction)
    assert (found.pending, found.unassigned) == (1, 1)
    assert {row.outcome: row.count for row in found.rows("c", None, 0.9)}["replied"] == 1


def test_a_baseline_that_nobody_got_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"baseline: there is no variant 'z' in the receipts\. Use one of a, b"
    ):
        outcomes(a=(1, 1), b=(1, 1)).rows("spring", "z", 0.95)
