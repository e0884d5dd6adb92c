"""Copies of the message log miss nothing: random messages, lags, late statuses, killed runs; each once."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import dataset

from airflow_provider_twilio_comms.emulator.classic.outbox import Message, Messages
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import ServerFailed
from airflow_provider_twilio_comms.transfers._message_log import LOOKBACK
from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
    TwilioMessagesToObjectStorageOperator,
)
from airflow_provider_twilio_comms.transfers.messages_to_sql import TwilioMessagesToSqlOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.transfers.logged import day, log

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

LAG = 600.0  # seconds, which the triggers reckon with as well
BEGIN, HOURS, COUNT = day(2, 1), 6.0, 2500  # of one UTC day: three pages of the list


class Killed(BaseException):
    """A worker that is gone."""


class World:
    """A day of messages, each of which comes into the list late, in a random order of the same seed."""

    def __init__(self, emulator: Running, seed: int) -> None:
        self.emulator, self.random = emulator, random.Random(seed)
        moments = [BEGIN + timedelta(hours=HOURS * self.random.random()) for _ in range(COUNT)]
        lags = [self.random.choice((0.0, self.random.uniform(0, LAG))) for _ in moments]
        self.coming = sorted(
            (moment.timestamp() + lag, moment) for moment, lag in zip(moments, lags, strict=True)
        )

    @property
    def messages(self) -> dict[str, Message]:
        return self.emulator.twilio.part(Messages).by_sid

    def pass_to(self, now: float) -> None:
        """Let messages come into the list; what was sent before is delivered or not by now."""
        due = [moment for listed, moment in self.coming if listed <= now]
        self.coming = self.coming[len(due) :]
        for message in self.messages.values():
            if message.outcome.status == "SENT" and self.random.random() < 0.5:
                message.outcome = Outcome(self.random.choice(("DELIVERED", "UNDELIVERED")))
        log(self.emulator, *due, outcome=Outcome("SENT"))

    def intervals(self) -> list[tuple[float, float]]:
        """Intervals that follow one another, of 4 minutes to an hour."""
        edges = [BEGIN.timestamp()]
        while edges[-1] < BEGIN.timestamp() + HOURS * 3600:
            edges.append(edges[-1] + self.random.choice((240, 1200, 3600)))
        return list(pairwise(edges))

    def copy(self, task: Callable[..., Any], **lookback: Any) -> None:
        """Copy each interval once it is over, in runs that break and are tried again."""
        spans = self.intervals()
        end = spans[-1][1]
        for start, until in [*spans, (end, end + 3600)]:
            self.pass_to(now := until + self.random.uniform(0, 20))
            given = {"interval_start": _iso(start), "interval_end": _iso(until), **lookback}
            self._run(lambda given=given: task(task_id="log", **given), now)

    def _run(self, made: Callable[[], Any], now: float) -> None:
        def note(key: str, value: Any) -> None:
            self.pass_to(now + 1.0)  # more come while it is read
            if self.random.random() < 0.2:
                raise Killed

        store = MemoryStore(note)
        for _ in range(100):
            if self.random.random() < 0.2:
                skip = self.random.randrange(3)
                fault = Fault(kind="error_before", method="GET", path=r"/Messages\.json$", skip=skip, times=5)
                self.emulator.twilio.faults.add(fault)
            try:
                made().execute(context(store))
                return
            except (Killed, ServerFailed):
                now += 30.0
                self.pass_to(now)
            finally:
                self.emulator.twilio.faults.clear()
        raise AssertionError("it never came through")


def _iso(moment: float) -> str:
    return (day(0) + timedelta(seconds=moment - day(0).timestamp())).isoformat()


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    path = tmp_path / "warehouse.db"
    with environment(AIRFLOW_CONN_WAREHOUSE=json.dumps({"conn_type": "sqlite", "host": str(path)})):
        yield path


def to_table(**given: Any) -> TwilioMessagesToSqlOperator:
    return TwilioMessagesToSqlOperator(sql_conn_id="warehouse", table="log", create_table=True, **given)


def rows(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT sid, status FROM log").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_message_is_once_in_the_table(emulator: Running, warehouse: Path, seed: int) -> None:
    world = World(emulator, seed)
    world.copy(to_table)
    sids = [sid for sid, _ in rows(warehouse)]
    assert len(sids) == len(set(sids)) == COUNT
    assert set(sids) == set(world.messages)
    for message in world.messages.values():
        if message.outcome.status == "SENT":
            message.outcome = Outcome("DELIVERED")
    last = {"interval_start": _iso(BEGIN.timestamp() + 86_400), "interval_end": day(0).isoformat()}
    to_table(task_id="log", lookback=timedelta(days=2), **last).execute(context())
    box = world.messages
    assert {sid: status for sid, status in rows(warehouse)} == {
        sid: box[sid].outcome.status.lower() for sid in box
    }


def test_every_message_is_in_one_file(emulator: Running, tmp_path: Path) -> None:
    world = World(emulator, 4)
    folder = tmp_path / "log"

    def to_files(**given: Any) -> TwilioMessagesToObjectStorageOperator:
        return TwilioMessagesToObjectStorageOperator(output_path=str(folder), **given)

    world.copy(to_files)
    sids = dataset.dataset(folder, format="parquet").to_table().column("sid").to_pylist()
    assert len(sids) == len(set(sids)) == COUNT
    assert set(sids) == set(world.messages)


def test_without_a_look_back_the_same_world_loses_messages(emulator: Running, warehouse: Path) -> None:
    """So that the tests above are known to look at something."""
    world = World(emulator, 1)
    world.copy(to_table, lookback=0)
    assert len(rows(warehouse)) < COUNT
    assert LOOKBACK.total_seconds() > LAG


def test_a_look_back_that_is_too_short_is_warned_of(
    emulator: Running, warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(timezone.utc)
    given = {"interval_start": now - timedelta(hours=1), "interval_end": now - timedelta(seconds=5)}
    to_table(task_id="log", **given).execute(context())
    assert "may lack its last rows" not in capsys.readouterr().out
    to_table(task_id="log", lookback=60, **given).execute(context())
    assert "may lack its last rows" in capsys.readouterr().out
