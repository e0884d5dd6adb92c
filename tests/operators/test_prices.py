"""Prices of messages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_twilio_comms.operators.prices import TwilioMessagingPricesOperator
from tests.fakes import context

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def test_a_country_is_a_few_rows(emulator: Running) -> None:
    result = TwilioMessagingPricesOperator(task_id="prices", countries=["US"]).execute(context())
    assert result["count"] == len(result["rows"]) > 1
    assert {row["direction"] for row in result["rows"]} == {"inbound", "outbound"}
    assert {row["iso_country"] for row in result["rows"]} == {"US"}
    assert all(float(row["current_price"]) > 0 for row in result["rows"])


def test_all_countries_are_a_file(emulator: Running, tmp_path: Path) -> None:
    path = str(tmp_path / "prices.parquet")
    prices = TwilioMessagingPricesOperator(task_id="prices", output_path=path)
    table = parquet.read_table(path) if prices.execute(context()) else None
    assert table is not None
    assert str(table.schema.field("base_price").type).startswith("decimal128")
    assert len(set(table["iso_country"].to_pylist())) > 1
    few = TwilioMessagingPricesOperator(task_id="prices", limit=3, fields=["iso_country", "base_price"])
    assert [set(row) for row in few.execute(context())["rows"]] == [{"iso_country", "base_price"}] * 3


def test_a_country_that_is_none_is_refused(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="iso_country"):
        TwilioMessagingPricesOperator(task_id="prices", countries=["US", "usa"]).execute(context())
    assert not emulator.twilio.journal.counts
