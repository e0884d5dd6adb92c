"""Files of recipients whose header is doubled or missing: an error that quotes nobody's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.recipients.sources import rows_of
from airflow_provider_twilio_comms.exceptions import InvalidInput


def refusal(path: Path, column: str | None = "phone") -> str:
    with pytest.raises(InvalidInput) as caught:
        list(rows_of(path, column))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "+12025550101,Ada Lovelace\n+12025550102,Eve\n"),
        ("a.csv", "12025550101,Ada\n"),
        ("a.csv", "id,Ada Lovelace\n"),
        ("a.csv", "ada@example.org,Ada\n"),
        ("a.jsonl", '{"+12025550101": "Ada", "Ada Lovelace": 1}\n'),
        ("a.csv", "x+12025550101,x+12025550101,Ada\n"),
    ],
)
def test_a_file_without_a_header_tells_nothing_of_its_rows(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    said = refusal(tmp_path / name)
    assert "names that look like data" in said
    assert not any(secret in said for secret in ("202555", "Ada", "ada", "Lovelace"))


def test_plain_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("tel,first_name,größe,\n+12025550101,Ada,1,\n")
    assert "'phone' is not a column of the file (it has tel, first_name, größe" in refusal(tmp_path / "a.csv")


@pytest.mark.parametrize("column", ["phone", "name", None])
def test_a_doubled_column_is_refused(tmp_path: Path, column: str | None) -> None:
    (tmp_path / "a.csv").write_text("phone,name,phone\n+12025550101,Ada,+12025550102\n")
    said = refusal(tmp_path / "a.csv", column)
    assert "recipients: the file has a column twice: phone" in said
    assert "202555" not in said


def test_a_doubled_column_of_parquet_is_refused(tmp_path: Path) -> None:
    from pyarrow import array, parquet, table

    columns: Any = [array(["+12025550101"]), array(["+12025550102"])]
    parquet.write_table(table(columns, names=["phone", "phone"]), tmp_path / "a.parquet")
    assert "has a column twice: phone" in refusal(tmp_path / "a.parquet")


def test_empty_columns_of_a_spreadsheet_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("phone,name,,\n+12025550101,Ada,,\n")
    assert len(list(rows_of(tmp_path / "a.csv", "phone"))) == 1
