"""People are assigned to variants by who they are and the campaign's name, and by nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_twilio_comms._core.campaigns.variants import Assignment, Split

PEOPLE = [f"+1202{number:07d}" for number in range(20_000)]
HALVES = {"a": 1.0, "b": 1.0}


def assigned(people: list[str], name: str = "spring", secret: str = "", **weights: float) -> dict[str, str]:
    assignment = Assignment(Split(name, weights or HALVES), secret)
    return {person: assignment.variant(person) for person in people}


def shares(found: dict[str, str]) -> dict[str, float]:
    return {name: count / len(found) for name, count in Counter(found.values()).items()}


def test_shares_are_those_of_the_weights() -> None:
    assert shares(assigned(PEOPLE)) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.015)
    assert shares(assigned(PEOPLE, a=1, b=2, c=7)) == pytest.approx({"a": 0.1, "b": 0.2, "c": 0.7}, abs=0.015)


def test_the_list_its_order_and_that_of_the_variants_do_not_matter() -> None:
    whole, some = assigned(PEOPLE[:500]), assigned(PEOPLE[499::-3])
    assert all(whole[person] == variant for person, variant in some.items())
    assert assigned(PEOPLE[:500], b=2, a=1) == assigned(PEOPLE[:500], a=1, b=2)


def test_another_campaign_or_secret_assigns_independently() -> None:
    first = assigned(PEOPLE)
    for other in (assigned(PEOPLE, "summer"), assigned(PEOPLE, secret="key")):
        same = sum(first[person] == other[person] for person in PEOPLE) / len(PEOPLE)
        assert same == pytest.approx(0.5, abs=0.015)


def test_a_variant_more_moves_only_those_whom_it_gets() -> None:
    before, after = assigned(PEOPLE), assigned(PEOPLE, a=1, b=1, c=1)
    moved = {after[person] for person in PEOPLE if before[person] != after[person]}
    assert moved == {"c"}
    heavier = assigned(PEOPLE, a=1, b=2)
    assert {heavier[person] for person in PEOPLE if before[person] != heavier[person]} == {"b"}


def test_the_holdout_is_a_share_of_each_variant_and_only_grows() -> None:
    small, large = (Assignment(Split("spring", HALVES, share)) for share in (0.05, 0.1))
    held = {person for person in PEOPLE if small.holds_out(person)}
    assert len(held) / len(PEOPLE) == pytest.approx(0.05, abs=0.01)
    assert shares({person: small.variant(person) for person in held})["a"] == pytest.approx(0.5, abs=0.06)
    assert all(large.holds_out(person) for person in held)
    assert not any(Assignment(Split("spring", HALVES)).holds_out(person) for person in held)


def test_what_it_assigns_is_what_it_assigned_in_the_first_version() -> None:
    """Later campaigns of a name depend on it."""
    people = [f"+1202555{number:04d}" for number in range(16)]
    split = Split("spring", HALVES, 0.25)
    plain, keyed = Assignment(split), Assignment(split, "key")
    assert "".join(plain.variant(person) for person in people) == "bbbbaababbaababb"
    assert "".join(keyed.variant(person) for person in people) == "ababbbbabbaaabbb"
    assert [person[-2:] for person in people if plain.holds_out(person)] == [
        "03",
        "04",
        "05",
        "11",
        "12",
        "15",
    ]


def test_nothing_shows_the_secret() -> None:
    assert "hush" not in repr(Assignment(Split("spring", HALVES), "hush"))
