"""Rows as profiles: values by the type of their trait, identifiers as numbers are, and hashes of both."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms._core.profiles.hashes import KnownRows, RowHasher, merged
from airflow_provider_twilio_comms._core.profiles.rows import Column, Row, RowEncoder, parse_traits
from airflow_provider_twilio_comms._core.recipients.reader import Reject, Rows
from airflow_provider_twilio_comms.exceptions import InvalidInput

COLUMNS = [
    Column("phone", "Contact", "phone", "STRING", "phone"),
    Column("mail", "Contact", "email", "STRING", "email"),
    Column("note", "Orders", "note", "STRING", None),
    Column("total", "Orders", "total", "NUMBER", None),
    Column("lapsed", "Orders", "lapsed", "BOOLEAN", None),
    Column("tags", "Orders", "tags", "ARRAY", None),
]
NAMES = [column.name for column in COLUMNS]
ADA = "+12025550100"


def read(*rows: tuple[Any, ...], region: str | None = None) -> list[Row | Reject]:
    table = Rows(NAMES, [(*row, *[None] * (len(NAMES) - len(row))) for row in rows])
    encoder = RowEncoder(COLUMNS, region)
    found = list(encoder.read(table, 1))
    mappings = [dict(zip(NAMES, row, strict=True)) for row in table]
    assert found == list(encoder.read(mappings, 1))  # a file's rows are a table's
    return found


def traits(found: Row | Reject) -> Any:
    assert isinstance(found, Row)
    return msgspec.json.decode(found.body)["traits"]


def test_profile_rows_take_the_types_of_their_traits() -> None:
    (row,) = read((ADA, "ada@example.com", date(2027, 1, 2), Decimal("10.50"), True, ["a", 1]))
    assert traits(row) == {
        "Contact": {"phone": ADA, "email": "ada@example.com"},
        "Orders": {"note": "2027-01-02", "total": 10.5, "lapsed": True, "tags": ["a", 1]},
    }
    (row,) = read((ADA, None, "x", "3", "FALSE", '["a"]'))
    assert traits(row)["Orders"] == {"note": "x", "total": 3, "lapsed": False, "tags": ["a"]}


def test_profile_rows_leave_out_what_is_empty() -> None:
    found = read((ADA,), (None, "ada@example.com", "", "", "", ""))
    assert [traits(row) for row in found] == [
        {"Contact": {"phone": ADA}},
        {"Contact": {"email": "ada@example.com"}},
    ]
    assert [row.identity for row in found if isinstance(row, Row)] == [
        f"phone:{ADA}",
        "email:ada@example.com",
    ]


def test_profile_rows_have_numbers_written_out() -> None:
    (row,) = read(("(202) 555-0100",), region="US")
    assert traits(row)["Contact"]["phone"] == ADA


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        (
            ("202 555 0100",),
            "phone",
            "has no country code (write + and the code first, or set default_region)",
        ),
        (("+1202",), "phone", "is too short"),
        ((None, "ada"), "mail", "is not an e-mail address"),
        ((None, None, "x"), "phone", "has no identifier"),
        ((ADA, None, "x" * 1025), "note", "is longer than 1,024 characters"),
        ((ADA, None, b"x"), "note", "bytes are no text"),
        ((ADA, None, None, "many"), "total", "is not a number"),
        ((ADA, None, None, float("nan")), "total", "is not a number"),
        ((ADA, None, None, True), "total", "is not a number"),
        ((ADA, None, None, None, "perhaps"), "lapsed", "is neither true nor false"),
        ((ADA, None, None, None, None, "[1"), "tags", "is not an array"),
        ((ADA, None, None, None, None, [1] * 101), "tags", "has more than 100 items"),
    ],
)
def test_profile_rows_that_are_none_are_left_out(row: tuple[Any, ...], field: str, problem: str) -> None:
    good, bad, last = read(("+12025550101",), row, ("+12025550102",))
    assert isinstance(good, Row)
    assert isinstance(last, Row)
    assert isinstance(bad, Reject)
    assert (bad.row, bad.field, bad.problem) == (2, field, problem)


def test_profile_rows_need_their_columns() -> None:
    with pytest.raises(InvalidInput, match="'phone' is not a column"):
        list(RowEncoder(COLUMNS).read([{"number": ADA}], 1))


@pytest.mark.parametrize("given", [{}, {"phone": "phone"}, {"phone": ".phone"}, {"phone": "Contact."}])
def test_profile_rows_need_whole_names_of_traits(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        parse_traits(given)


def test_profile_hashes_tell_changed_rows_and_are_keyed() -> None:
    hasher = RowHasher("secret", "mem_store_1")
    pair, changed = hasher.pair(f"phone:{ADA}", b"{1}"), hasher.pair(f"phone:{ADA}", b"{2}")
    known = KnownRows.sorting([hasher.pair("phone:+12025550199", b"{1}"), pair])
    assert (known.holds(pair), known.holds(changed), len(known)) == (True, False, 2)
    assert RowHasher("other", "mem_store_1").pair(f"phone:{ADA}", b"{1}") != pair
    assert RowHasher("secret", "mem_store_2").pair(f"phone:{ADA}", b"{1}") != pair


def test_profile_hashes_of_the_newest_load_remain() -> None:
    assert list(merged([[(1, 9), (5, 9), (7, 1)], [(2, 1), (5, 8)], [(5, 2)]])) == [
        (1, 9),
        (2, 1),
        (5, 2),
        (7, 1),
    ]
    assert list(merged([])) == []
