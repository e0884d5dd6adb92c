"""The message log to files: exact to the interval, the same in any order, and resumed where it broke."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import dataset, parquet

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import ServerFailed
from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
    TwilioMessagesToObjectStorageOperator,
)
from tests.fakes import MemoryStore, context
from tests.transfers.logged import bounds, day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

LIST = {"method": "GET", "path": r"/Messages\.json$"}


def copy(folder: Path, **kwargs: Any) -> TwilioMessagesToObjectStorageOperator:
    return TwilioMessagesToObjectStorageOperator(task_id="log", output_path=str(folder), **kwargs)


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of all files, as a reader of a folder of Parquet finds them."""
    found: list[dict[str, Any]] = dataset.dataset(folder, format="parquet").to_table().to_pylist()
    return sorted(found, key=lambda row: str(row["sid"]))


def asked(emulator: Running) -> int:
    counts: dict[str, int] = emulator.twilio.journal.to_dict()["counts"]
    return sum(count for route, count in counts.items() if route.endswith("/Messages.json"))


def test_a_message_is_in_the_interval_in_which_it_was_sent(emulator: Running, tmp_path: Path) -> None:
    second = timedelta(seconds=1)
    edges = [day(9) - second, day(9), day(9, 5), day(8) - second, day(8), day(7)]
    sids = log(emulator, *edges)
    result = copy(tmp_path, **bounds(9)).execute(context())
    assert [row["sid"] for row in rows(tmp_path)] == sids[1:4]
    name = f"messages_{day(9):%Y%m%d}T000000Z_{day(8):%Y%m%d}T000000Z.parquet"
    assert result == {
        "interval_start": day(9).isoformat(),
        "interval_end": day(8).isoformat(),
        "rows": 3,
        "counts": {"delivered": 3},
        "output_path": str(tmp_path / name),
        "refreshed": 0,
    }
    hourly = {"interval_start": day(9, 4).isoformat(), "interval_end": day(9, 6).isoformat()}
    assert copy(tmp_path / "hourly", **hourly).execute(context())["rows"] == 1


@pytest.mark.parametrize("order", [[5, 4, 3, 2], [2, 3, 4, 5], [3, 5, 2, 4]])
@pytest.mark.parametrize("lookback", [0, 2])
def test_a_backfill_gives_the_same_rows_in_any_order(
    emulator: Running, tmp_path: Path, order: list[int], lookback: int
) -> None:
    log(emulator, *(day(before, hour) for before in range(6, 0, -1) for hour in range(0, 24, 2)))
    for before in order:
        copy(tmp_path, **bounds(before), lookback=timedelta(days=lookback)).execute(context())
    copy(tmp_path, **bounds(4)).execute(context(run_id="again"))
    first, end = day(5).timestamp(), day(1).timestamp()
    box = emulator.twilio.part(Messages).by_sid
    expected = [sid for sid, message in box.items() if first <= message.start < end]
    assert [row["sid"] for row in rows(tmp_path)] == sorted(expected)
    assert len(expected) == 48
    assert not list(tmp_path.glob("_staging/*"))


def test_a_look_back_brings_earlier_files_up_to_date(emulator: Running, tmp_path: Path) -> None:
    log(emulator, *(day(before, 12) for before in (6, 5, 4)), outcome=Outcome("SENT"))
    for before in (6, 5, 4):
        copy(tmp_path, **bounds(before)).execute(context())
    for message in emulator.twilio.part(Messages).by_sid.values():
        message.outcome = Outcome("DELIVERED")
    result = copy(tmp_path, **bounds(3), lookback=timedelta(days=2)).execute(context())
    assert result["refreshed"] == 2
    assert [row["status"] for row in rows(tmp_path)] == ["sent", "delivered", "delivered"]


def test_a_broken_copy_goes_on_with_the_next_page(emulator: Running, tmp_path: Path) -> None:
    log(emulator, *(day(3, n / 200) for n in range(4500)))
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="error_before", skip=3, times=None, **LIST))
    with pytest.raises(ServerFailed):
        copy(tmp_path, **bounds(3)).execute(context(store))
    assert not list(tmp_path.glob("*.parquet"))
    assert "+1202" not in str(store.values)
    emulator.twilio.faults.clear()
    before = asked(emulator)
    result = copy(tmp_path, **bounds(3)).execute(context(store, try_number=2))
    assert asked(emulator) - before == 2
    assert (result["rows"], result["counts"]) == (4500, {"delivered": 4500})
    assert len({row["sid"] for row in rows(tmp_path)}) == 4500
    cleared = copy(tmp_path, **bounds(3)).execute(context(store, try_number=3))
    assert cleared["rows"] == 4500
    assert asked(emulator) - before == 7


def test_where_no_note_helps_it_begins_anew(emulator: Running, tmp_path: Path) -> None:
    log(emulator, *(day(3, n / 200) for n in range(2500)))
    store = MemoryStore()
    for spoil in ("the pages", "the token", "nothing"):
        emulator.twilio.faults.add(Fault(kind="error_before", skip=2, times=None, **LIST))
        with pytest.raises(ServerFailed):
            copy(tmp_path, **bounds(3)).execute(context(store))
        emulator.twilio.faults.clear()
        if spoil == "the pages":
            for part in tmp_path.glob("_staging/*/*"):
                part.unlink()
        if spoil == "the token":
            store.values = {
                key: json.dumps(noted)
                for key, value in store.values.items()
                if (noted := json.loads(value) | {"next": [["PageSize", "1000"], ["PageToken", "old"]]})
            }
        given = store if spoil != "nothing" else None
        assert copy(tmp_path, **bounds(3)).execute(context(given, try_number=2))["rows"] == 2500
        assert len({row["sid"] for row in rows(tmp_path)}) == 2500


def test_rows_that_new_ones_push_to_the_next_page_come_once(emulator: Running, tmp_path: Path) -> None:
    log(emulator, *(day(0, 0) - timedelta(seconds=n) for n in range(1, 1201)))
    task = copy(tmp_path, **bounds(1))
    store = MemoryStore(refuse=lambda key, value: late(emulator))

    def late(emulator: Running) -> None:
        if len(emulator.twilio.part(Messages).by_sid) < 1250:
            log(emulator, *(day(0, 0) - timedelta(milliseconds=n) for n in range(1, 51)))

    assert task.execute(context(store))["rows"] == 1200
    sids = [row["sid"] for row in rows(tmp_path)]
    assert len(sids) == len(set(sids))


def test_nothing_personal_is_written_unless_asked_for(
    emulator: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    number, body = "+12025550123", "Your code is 4711"
    log(emulator, day(2, 1), to=number, body=body)
    texts = {}
    for redact in ("all", "numbers", "text", "none"):
        folder = tmp_path / redact
        copy(folder, **bounds(2), redact=redact, file_format="jsonl").execute(context())
        (path,) = folder.glob("*.jsonl")
        texts[redact] = path.read_text()
    copy(tmp_path / "default", **bounds(2)).execute(context())
    assert rows(tmp_path / "default")[0]["body"] is None
    assert {name for name, text in texts.items() if number in text} == {"text", "none"}
    assert {name for name, text in texts.items() if body in text} == {"numbers", "none"}
    assert "+15005550006" in texts["all"]  # our own
    assert number[1:] not in caplog.text
    assert body not in caplog.text


def test_a_file_has_types_even_without_rows(emulator: Running, tmp_path: Path) -> None:
    result = copy(tmp_path, **bounds(2)).execute(context())
    schema = parquet.read_table(result["output_path"]).schema
    assert str(schema.field("price").type) == "decimal128(38, 10)"
    assert str(schema.field("date_sent").type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize(
    ("problem", "given"),
    [
        ("400 days", bounds(402)),
        ("CronDataIntervalTimetable", {"interval_start": "2026-03-01", "interval_end": "2026-03-01"}),
        ("before interval_start", {"interval_start": "2026-03-02", "interval_end": "2026-03-01"}),
        ("interval_start: is not a date", {"interval_start": "None", "interval_end": "2026-03-01"}),
        (
            "interval_end: has no time zone",
            {**bounds(2), "interval_end": day(1).isoformat()[:19]},
        ),
    ],
)
def test_an_interval_that_cannot_be_read_is_refused(
    emulator: Running, tmp_path: Path, problem: str, given: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        copy(tmp_path, **given).execute(context())
    assert not emulator.twilio.journal.counts


def test_no_row_gets_into_two_files(emulator: Running, tmp_path: Path) -> None:
    log(emulator, day(5, 1))
    copy(tmp_path, **bounds(6, days=3)).execute(context())
    with pytest.raises(AirflowFailException, match="two files"):
        copy(tmp_path, **bounds(5)).execute(context())


def test_the_events_of_its_assets_carry_the_counts(emulator: Running, tmp_path: Path) -> None:
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.context import OutletEventAccessors

    asset = Asset("message_log")
    given = {**context(), "outlet_events": OutletEventAccessors()}
    log(emulator, day(2, 1))
    result = copy(tmp_path, **bounds(2), outlets=[asset]).execute(given)
    assert given["outlet_events"][asset].extra == result
