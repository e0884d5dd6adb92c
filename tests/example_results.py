"""Results that examples leave behind: rows in PostgreSQL, files, people who were texted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pyarrow import parquet

from airflow_provider_twilio_comms.api.classic import incoming_numbers
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
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


def nightly(emulator: Running, run: DagRun, folder: Path) -> None:
    """Everyone is texted once, and once more whose phone was off; nobody who opted out."""
    wanted = {phone for (phone,) in asked(f"SELECT phone {WANTED} EXCEPT SELECT phone FROM do_not_text")}
    off = {phone for phone in wanted if phone.endswith("7")}
    assert len(off) > 10
    assert emulator.twilio.ledger.to_dict()["recipients"] == {phone: 1 + (phone in off) for phone in wanted}
    assert xcom(run, "again")["recipients"] == len(off)


def data_quality(emulator: Running, run: DagRun, folder: Path) -> None:
    """The findings are told to whoever is on call."""
    (message,) = emulator.twilio.part(Messages).by_sid.values()
    assert message.body == "12 orders without a customer, 3 negative totals"


def rented_number(emulator: Running, run: DagRun, folder: Path) -> None:
    """Both were texted from the rented number, which is the account's no more."""
    assert emulator.twilio.ledger.to_dict()["recipients"] == {"+12025550101": 1, "+12025550102": 1}
    (sender,) = {message.from_ for message in emulator.twilio.part(Messages).by_sid.values()}
    assert sender == xcom(run, "buy")["phone_number"]
    hook = TwilioHook()
    assert sender not in {number.phone_number for number in hook.run(incoming_numbers.list()).items}


def approved_send(emulator: Running, run: DagRun, folder: Path) -> None:
    """Those were texted whom the question counted."""
    count = xcom(run, "preflight")["recipients"]
    said = [message.body for message in emulator.twilio.part(Messages).by_sid.values()]
    assert sum(text.startswith(f"Text {count} people for at most ") for text in said) == 2
    assert xcom(run, "approve")["option"] == "YES"
    assert xcom(run, "send")["recipients"] == count


def fallback(emulator: Running, run: DagRun, folder: Path) -> None:
    """WhatsApp to both, and an SMS to the one whom it did not reach."""
    assert emulator.twilio.ledger.to_dict()["recipients"] == {"+12025550101": 1, "+12025559003": 2}
    assert xcom(run, "sms")["recipients"] == 1


def segments(emulator: Running, run: DagRun, folder: Path) -> None:
    """Twenty people in each of three segments, each of them once."""
    assert set(emulator.twilio.ledger.to_dict()["recipients"].values()) == {1}
    assert len(emulator.twilio.ledger.to_dict()["recipients"]) == 60


def every_receipt(emulator: Running, run: DagRun, folder: Path) -> None:
    """Green with one of three delivered, and a receipt for each."""
    assert xcom(run, "send")["stats"]["delivered"] == 1
    assert xcom(run, "receipts")["statuses"] == {"DELIVERED": 1, "UNDELIVERED": 2}


def opt_outs(emulator: Running, run: DagRun, folder: Path) -> None:
    """Everybody but those in the table."""
    wanted = {phone for (phone,) in asked("SELECT phone FROM bookings EXCEPT SELECT phone FROM do_not_text")}
    assert emulator.twilio.ledger.to_dict()["recipients"] == dict.fromkeys(wanted, 1)
    assert xcom(run, "send")["rejected"] == len(asked("SELECT 1 FROM do_not_text"))


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


def opted_out(emulator: Running, run: DagRun, folder: Path) -> None:
    """Somebody who answered BASTA gets no offer, and word of the order."""
    assert xcom(run, "opt_outs")["counts"]["inbound"] == {"stop": 1}
    assert (xcom(run, "offer")["recipients"], xcom(run, "offer")["rejected"]) == (2, 1)
    assert set(emulator.twilio.ledger.to_dict()["recipients"].values()) == {1}
    assert xcom(run, "order")["recipients"] == 1


def twice_a_week(emulator: Running, run: DagRun, folder: Path) -> None:
    """Nobody gets the third message."""
    assert xcom(run, "survey")["rejected"] == 1
    assert emulator.twilio.ledger.to_dict()["recipients"] == {f"+1202555010{n}": 2 for n in (1, 2, 3)}


def channel_fallback(emulator: Running, run: DagRun, folder: Path) -> None:
    """The one without WhatsApp gets a text, and nobody else."""
    sent, text = xcom(run, "whatsapp"), xcom(run, "text")
    assert sent["codes"] == {"63003": 1}
    assert (text["recipients"], text["stats"]["delivered"]) == (1, 1)
    texted = emulator.twilio.ledger.to_dict()["recipients"]
    assert texted == {"+12025550101": 1, "+12035559337": 2, "+12045550102": 1}


CHECKS: dict[str, Callable[[Running, DagRun, Path], None]] = {
    "twilio_sql_reminders": reminders,
    "twilio_backfill": thanks,
    "twilio_message_log": message_log,
    "twilio_people": lapsed_customers,
    "twilio_recipe_nightly": nightly,
    "twilio_recipe_data_quality": data_quality,
    "twilio_recipe_rent_number": rented_number,
    "twilio_recipe_approved_send": approved_send,
    "twilio_recipe_whatsapp_fallback": fallback,
    "twilio_recipe_segments": segments,
    "twilio_recipe_every_receipt": every_receipt,
    "twilio_recipe_opt_outs_campaign": opt_outs,
    "twilio_opt_outs": opted_out,
    "twilio_frequency_cap": twice_a_week,
    "twilio_channel_fallback": channel_fallback,
    "twilio_campaign_local_time": nine_their_time,
    "twilio_campaign_variants": variants,
}
