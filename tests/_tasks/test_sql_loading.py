"""Rows to tables: errors of a database never quote a row, and a table's name holds nothing but a name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.reporting.receipts import Receipt
from airflow_provider_twilio_comms._tasks.sql_loading import loading, table_name
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
    with pytest.raises(TwilioError, match=r"SQLITE_CONSTRAINT_CHECK.*mentions recipient\)") as caught:
        load("warehouse", "ruled", receipt(1, status="DELIVERED"), receipt(2, recipient="x"))
    assert PERSON not in str(caught.value)
    assert execute(warehouse, "SELECT message_id, status FROM ruled") == [("comms_message_1", "SENT")]


def test_a_missing_table_or_column_is_told_in_the_databases_words(warehouse: Path) -> None:
    with pytest.raises(TwilioError, match="no such table: nowhere"):
        load("warehouse", "nowhere", receipt(1))
    execute(warehouse, "CREATE TABLE narrow (message_id TEXT)")
    with pytest.raises(TwilioError, match="no such column: operation_id"):
        load("warehouse", "narrow", receipt(1))


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
