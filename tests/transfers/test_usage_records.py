"""Usage records to files: a row for each category and day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import dataset

from airflow_provider_twilio_comms.transfers.usage_records_to_object_storage import (
    TwilioUsageRecordsToObjectStorageOperator,
)
from tests.fakes import MemoryStore, context
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


def copy(folder: Path, **kwargs: Any) -> TwilioUsageRecordsToObjectStorageOperator:
    return TwilioUsageRecordsToObjectStorageOperator(task_id="usage", output_path=str(folder), **kwargs)


def test_a_file_has_each_day_of_its_interval(emulator: Running, tmp_path: Path) -> None:
    log(emulator, day(5, 1), day(4, 1), day(4, 2), day(3, 0))
    result = copy(tmp_path, **bounds(5, days=2)).execute(context(MemoryStore()))
    assert result["rows"] == 2 * 4
    copy(tmp_path, **bounds(3), lookback=timedelta(days=9)).execute(context(MemoryStore()))
    found = dataset.dataset(tmp_path, format="parquet").to_table().to_pylist()
    assert len(found) == 3 * 4
    sent = {row["start_date"]: int(row["count"]) for row in found if row["category"] == "sms-outbound"}
    assert sent == {day(5).date(): 1, day(4).date(): 2, day(3).date(): 1}


def test_one_category_alone(emulator: Running, tmp_path: Path) -> None:
    result = copy(tmp_path, **bounds(5), category="totalprice").execute(context())
    assert result["counts"] == {"totalprice": 1}


def test_usage_is_counted_by_whole_days(emulator: Running, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="not whole days"):
        copy(tmp_path, interval_start=day(2, 1), interval_end=day(1)).execute(context())
