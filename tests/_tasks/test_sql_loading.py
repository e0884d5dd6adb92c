"""Rows to tables: errors of a database never quote a row, and a table's name holds nothing but a name."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pendulum
import psycopg2
import pytest

from airflow_provider_twilio_comms._core.reporting.receipts import Receipt
from airflow_provider_twilio_comms._tasks.sql_loading import _Copier, loading, sql_hook, table_name
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError
from tests.conftest import environment

if TYPE_CHECKING:
    from tests.postgres import Postgres

PERSON = "ada@example.com"


def receipt(number: int, **values: Any) -> Receipt:
    given = {"recipient": PERSON, "recipient_channel": None, "channel": None, "status": "SENT", **values}
    return Receipt("comms_operation_1", f"comms_message_{number}", **given)


def load(conn_id: str, table: str, *rows: Receipt, create: bool = False) -> None:
    with loading(conn_id, table, Receipt, "message_id", create=create) as write:
        write(rows)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "warehouse.db"
    with environment(AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield path


def execute(path: Path, sql: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_a_triggers_own_words_do_not_name_a_person(postgres: Postgres) -> None:
    postgres.execute("DROP TABLE IF EXISTS guarded")
    load("bookings", "guarded", receipt(1), create=True)
    postgres.execute(
        """CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'refused row of % because', NEW.recipient USING ERRCODE = '42703'; END $$;
        CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse()"""
    )
    with pytest.raises(TwilioError, match=r"guarded: psycopg2?\.\S+ 42703: it refused") as caught:
        load("bookings", "guarded", receipt(1), receipt(2))
    assert "ada" not in str(caught.value)
    assert "refused row" not in str(caught.value)
    assert "are as they were" in str(caught.value)
    assert postgres.execute("SELECT message_id FROM guarded") == [("comms_message_1",)]


def test_a_broken_rule_is_told_by_the_columns_that_it_mentions(warehouse: Path) -> None:
    load("warehouse", "receipts", create=True)
    execute(warehouse, "ALTER TABLE receipts RENAME TO plain")
    columns = execute(warehouse, "SELECT sql FROM sqlite_master WHERE name = 'plain'")[0][0]
    rule = "recipient TEXT CHECK (recipient != 'x')"
    execute(warehouse, columns.replace("plain", "ruled").replace("recipient VARCHAR(4000)", rule))
    load("warehouse", "ruled", receipt(1))
    rule_broken = "SQLITE_CONSTRAINT_CHECK" if sys.version_info >= (3, 11) else "IntegrityError"
    with pytest.raises(TwilioError, match=rf"{rule_broken}.*mentions recipient\)") as caught:
        load("warehouse", "ruled", receipt(1, status="DELIVERED"), receipt(2, recipient="x"))
    assert PERSON not in str(caught.value)
    assert execute(warehouse, "SELECT message_id, status FROM ruled") == [("comms_message_1", "SENT")]


def test_a_missing_table_or_column_is_told_in_the_databases_words(warehouse: Path) -> None:
    with pytest.raises(TwilioError, match="no such table: nowhere"):
        load("warehouse", "nowhere", receipt(1))
    execute(warehouse, "CREATE TABLE narrow (message_id TEXT)")
    with pytest.raises(TwilioError, match="no such column: operation_id"):
        load("warehouse", "narrow", receipt(1))


class Odd(msgspec.Struct):
    """A row of one column of each kind, and of a kind that tables do not have."""

    key: str
    text: str | None = None
    whole: int | None = None
    share: float | None = None
    price: Decimal | None = None
    moment: datetime | None = None
    day: date | None = None
    is_last: bool | None = None
    shape: Any = None


ODD_TEXTS = (
    'she said "so"',
    "a\\b\\n",
    "tab\tline\nreturn\rend",
    "]\n[",
    "\\.",
    "\x01\b\f\x7f",
    "null",
    "NULL",
    "",
    "{,}",
    "\u2028 größe \U0001f600",
)
ODD = [
    *(Odd(f"key {text}", text) for text in ODD_TEXTS),
    Odd("values", None, -5, 1e16, Decimal("0.00750"), datetime(2026, 1, 2, 3, 4, 5, 678000, timezone.utc)),
    Odd("whole second", moment=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), is_last=True),
    Odd("elsewhere", moment=datetime(2026, 1, 2, 3, 4, tzinfo=ZoneInfo("Asia/Kolkata")), share=0.1),
    Odd("pendulum", moment=pendulum.datetime(2026, 1, 2, 3, 4), day=date(2026, 1, 2), shape={"a": [1, "]"]}),
]
COLUMNS = [column.name for column in msgspec.structs.fields(Odd)]


@pytest.mark.parametrize("driver", ["the hook's", "psycopg2"])
def test_postgresql_gets_every_value_as_text_has_it(postgres: Postgres, driver: str) -> None:
    postgres.execute("DROP TABLE IF EXISTS odd")
    postgres.execute(f"CREATE TABLE odd ({', '.join(f'{name} TEXT' for name in COLUMNS)})")
    write = _Copier(sql_hook("bookings"), "odd", Odd, "key").write
    if driver == "psycopg2":
        opened: Any = psycopg2.connect(
            host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres"
        )
    else:
        opened = sql_hook("bookings").get_conn()
    with closing(opened) as connection:
        for rows in (ODD, [], ODD[::-1]):
            write(connection, rows)
    found = postgres.execute(f"SELECT {', '.join(COLUMNS)} FROM odd")
    expected = [
        tuple(None if cell is None else str(cell) for cell in msgspec.structs.astuple(row)) for row in ODD
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_postgresql_keeps_texts_without_their_nul(postgres: Postgres) -> None:
    postgres.execute("DROP TABLE IF EXISTS nul")
    load("bookings", "nul", receipt(1, recipient="a\0b"), create=True)
    assert postgres.execute("SELECT recipient FROM nul") == [("ab",)]


@pytest.mark.parametrize(
    "name",
    ["t", "schema.t", " t ", "my-project.data.t", '"Odd -- name".t', "[dbo].[t]", "`a b`", "t$1", "größe"],
)
def test_a_name_is_taken(name: str) -> None:
    assert table_name(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "t--",
        "r-- ",
        "t;x",
        "t x",
        "",
        ".",
        "a..b",
        "t/*",
        '"t',
        't"',
        "t-",
        "-t",
        "1t",
        "a.",
        "t[0]",
        '"a""b"x',
    ],
)
def test_what_is_no_name_is_refused_before_anything_is_touched(warehouse: Path, name: str) -> None:
    execute(warehouse, "CREATE TABLE r (message_id TEXT)")
    execute(warehouse, "INSERT INTO r VALUES ('kept')")
    with pytest.raises(InvalidInput, match="table"):
        load("warehouse", name, receipt(1))
    assert execute(warehouse, "SELECT * FROM r") == [("kept",)]
