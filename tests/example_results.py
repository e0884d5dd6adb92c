"""What examples leave behind: rows in PostgreSQL, files, people who were texted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pyarrow import parquet

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from tests.operators.campaign_sends import moments, said
from tests.transfers.logged import TODAY, day, log

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["CHECKS", "asked", "month_of_messages"]

WANTED = "FROM bookings WHERE starts_at::date = (now() AT TIME ZONE 'UTC')::date"


def asked(statement: str) -> list[tuple[Any, ...]]:
    """The rows of the database that the connection ``bookings`` names."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return [tuple(row) for row in PostgresHook("bookings").get_records(statement)]


def xcom(run: DagRun, task_id: str) -> Any:
    (instance,) = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return instance.xcom_pull(task_ids=task_id)


def reminders(emulator: Running, run: DagRun, folder: Path) -> None:
    """Everyone with a table tonight is texted once, but for those who do not want it; each has a receipt."""
    wanted = {phone for (phone,) in asked(f"SELECT phone {WANTED} EXCEPT SELECT phone FROM do_not_text")}
    texted = emulator.twilio.ledger.to_dict()["recipients"]
    assert len(wanted) == 196
    assert texted == dict.fromkeys(wanted, 1)
    rows = asked("SELECT recipient, status, operation_id FROM reminder_receipts")
    (operation,) = xcom(run, "send")["operation_ids"]
    ours = [(recipient, status) for recipient, status, sent in rows if sent == operation]
    assert {recipient for recipient, _ in ours} == wanted
    assert len(ours) == 196
    statuses = Counter(status for _, status in ours)
    assert xcom(run, "receipts")["statuses"] == statuses
    assert xcom(run, "report").startswith(f"{statuses['DELIVERED'] + statuses['READ']} of 196 reminded")
    assert xcom(run, "preflight")["rejected"] == {"suppressed": 4}


def thanks(emulator: Running, run: DagRun, folder: Path) -> None:
    """Outside a backfill it sends."""
    guests = f"mod(id, 31) = {run.run_after.day} AND phone NOT IN (SELECT phone FROM do_not_text)"
    wanted = {phone for (phone,) in asked(f"SELECT phone FROM bookings WHERE {guests}")}
    assert xcom(run, "report") == f"{len(wanted)} guests, {len(wanted)} texted"
    assert emulator.twilio.ledger.to_dict()["recipients"] == dict.fromkeys(wanted, 1)


def lapsed_customers(emulator: Running, run: DagRun, folder: Path) -> None:
    """Those in Lisbon who are lapsed are texted once, one of them by SMS; receipts join by profile."""
    wanted = {phone for (phone,) in asked("SELECT phone FROM customers WHERE id % 6 = 0")}
    assert len(wanted) == 20
    assert emulator.twilio.ledger.to_dict()["recipients"] == dict.fromkeys(wanted, 1)
    assert xcom(run, "profiles")["sent"] == 120
    assert xcom(run, "group")["profile_count"] == 20
    assert xcom(run, "joined") == {"RCS": 19, "SMS": 1}


def nine_their_time(emulator: Running, run: DagRun, folder: Path) -> None:
    """Each gets it at nine on their own clock, on a working day."""
    zones = {
        "+12025550101": "America/Los_Angeles",
        "+4915255501001": "Europe/Berlin",
        "+447400123456": "Europe/London",
        "+819012345678": "Asia/Tokyo",
    }
    clocks = {
        number: datetime.fromtimestamp(at, ZoneInfo(zones[number]))
        for number, at in moments(emulator).items()
    }
    assert {number: f"{clock:%H:%M}" for number, clock in clocks.items()} == dict.fromkeys(zones, "09:00")
    assert {clock.weekday() for clock in clocks.values()} <= set(range(5))


def variants(emulator: Running, run: DagRun, folder: Path) -> None:
    """Everybody but the holdout gets one of the texts, and the report counts them."""
    campaign = xcom(run, "send")["campaign"]
    assert sum(campaign["variants"].values()) == 200 - campaign["held_out"] == len(said(emulator))
    assert len((folder / "left_out.jsonl").read_text().splitlines()) == campaign["held_out"]
    rows = [json.loads(line) for line in (folder / "campaign.jsonl").read_text().splitlines()]
    assert {row["variant"]: row["people"] for row in rows} == campaign["variants"]


def month_of_messages(emulator: Running) -> None:
    """Ten messages on each of the last 32 days."""
    log(emulator, *(day(before, hour) for before in range(32, 0, -1) for hour in range(1, 21, 2)))


def message_log(emulator: Running, run: DagRun, folder: Path) -> None:
    """A file for each day, and in each the messages of that day."""
    box = emulator.twilio.part(Messages).by_sid
    for before in range(1, 31):
        start = day(before)
        name = f"messages_{start:%Y%m%dT%H%M%SZ}_{start + timedelta(days=1):%Y%m%dT%H%M%SZ}.parquet"
        rows = parquet.read_table(folder / "messages" / name).to_pylist()
        sent = {sid for sid, message in box.items() if 0 <= message.start - start.timestamp() < 86_400}
        assert {row["sid"] for row in rows} == sent
        assert len(rows) == 10
        assert {row["body"] for row in rows} == {None}
        assert {len(row["recipient"]) for row in rows} == {64}
    assert len(list((folder / "messages").glob("*.parquet"))) == 30
    (usage,) = (folder / "usage").glob("*.parquet")
    days = {row["start_date"] for row in parquet.read_table(usage).to_pylist()}
    assert days == {(TODAY - timedelta(days=before)).date() for before in range(1, 31)}


CHECKS: dict[str, Callable[[Running, DagRun, Path], None]] = {
    "twilio_sql_reminders": reminders,
    "twilio_backfill": thanks,
    "twilio_message_log": message_log,
    "twilio_people": lapsed_customers,
    "twilio_campaign_local_time": nine_their_time,
    "twilio_campaign_variants": variants,
}
