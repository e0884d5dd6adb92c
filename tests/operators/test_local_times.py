"""Sends at a time of day on each recipient's own clock, in windows, and on no holiday."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.exceptions import InvalidInput
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, stopped_after, texted
from tests.operators.campaign_sends import moments, requests
from tests.operators.runs import DE, GB, US, a_run, report

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_twilio_comms.emulator.server import Running

ZONES = {US: "America/New_York", DE: "Europe/Berlin", GB: "Europe/London"}


def clocks(emulator: Running, zones: dict[str, str] = ZONES) -> dict[str, str]:
    """Read what each person's clock shows when their message goes out."""
    return {
        number: datetime.fromtimestamp(at, ZoneInfo(zones[number])).strftime("%H:%M")
        for number, at in moments(emulator).items()
    }


def tomorrow(**clock: int) -> datetime:
    return (datetime.now(timezone.utc) + timedelta(days=1)).replace(
        **{"hour": 0, "minute": 0, "second": 0, "microsecond": 0, **clock}
    )


def test_everybody_gets_it_at_nine_their_time(emulator: Running) -> None:
    bulk([US, DE, GB], send_at_local="09:00").execute(context(MemoryStore()))
    assert clocks(emulator) == dict.fromkeys(ZONES, "09:00")
    assert max(moments(emulator).values()) < datetime.now(timezone.utc).timestamp() + 86_400


def test_a_column_may_name_the_time_zone(emulator: Running) -> None:
    rows = [
        {"phone": US, "zone": "Asia/Tokyo"},
        {"phone": DE, "zone": " Pacific/Auckland "},
        {"phone": GB, "zone": ""},
    ]
    bulk(rows, number_column="phone", send_at_local="09:00", time_zone_column="zone").execute(
        context(MemoryStore())
    )
    there = {US: "Asia/Tokyo", DE: "Pacific/Auckland", GB: "Europe/London"}
    assert clocks(emulator, there) == dict.fromkeys(there, "09:00")


def test_a_time_zone_that_is_none_is_an_invalid_recipient(emulator: Running, tmp_path: Path) -> None:
    rows = [{"phone": US, "zone": "Mars/Olympus"}, {"phone": DE, "zone": "../../etc/passwd"}, {"phone": GB}]
    given = {"number_column": "phone", "send_at_local": "09:00", "time_zone_column": "zone"}
    with pytest.raises(
        AirflowFailException, match="2 of 3 recipients are invalid, and nothing was sent"
    ) as caught:
        bulk(rows, **given).execute(context(MemoryStore()))
    assert "row 1, recipient: has a zone that is not a time zone" in str(caught.value)
    rejects = tmp_path / "rejects.jsonl"
    more = {"on_invalid_recipient": "skip", "rejects_path": str(rejects)}
    bulk(rows, **given, **more).execute(context(MemoryStore()))
    assert list(moments(emulator)) == [GB]
    assert len(rejects.read_text().splitlines()) == 2


def test_a_window_and_quiet_hours_hold_on_each_clock(emulator: Running) -> None:
    begin = tomorrow(hour=12)  # seven in New York
    bulk([US, DE], send_at=begin, send_window="10:00-20:00", quiet_hours="09:00-11:30").execute(
        context(MemoryStore())
    )
    assert clocks(emulator) == {US: "11:30", DE: f"{begin.astimezone(ZoneInfo(ZONES[DE])):%H:%M}"}


def test_holidays_are_those_of_the_number(emulator: Running) -> None:
    now = datetime.now(timezone.utc)
    found = report([US, DE, "+815012345678"], send_window="Mon-Sun", holidays=True)
    assert "schedule" in found or now.strftime("%m-%d") not in ("12-25", "01-01")
    bulk([US, DE], send_at=tomorrow(hour=16), holidays="DE").execute(context(MemoryStore()))
    assert texted(emulator) == [2, 1]


def test_those_for_whom_it_is_too_late_may_be_left_out(emulator: Running, tmp_path: Path) -> None:
    rejects, begin = tmp_path / "rejects.jsonl", tomorrow(hour=13)
    values = a_run()
    given = {"send_at": begin, "send_at_local": "09:00", "if_passed": "skip"}
    bulk([US, DE, GB], rejects_path=str(rejects), **given).execute(values)
    assert clocks(emulator) == {US: "09:00"}
    left_out = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert {each["reason"] for each in left_out} == {"passed"}
    assert len(left_out) == 2
    assert values["ti"].xcoms["preflight"]["rejected"] == {"passed": 2}


@pytest.mark.parametrize("if_passed", ["tomorrow", "now"])
def test_or_get_it_tomorrow_or_now(emulator: Running, if_passed: Any) -> None:
    begin = tomorrow(hour=13)
    bulk([US, DE], send_at=begin, send_at_local="09:00", if_passed=if_passed).execute(context(MemoryStore()))
    german = datetime.fromtimestamp(moments(emulator)[DE], timezone.utc)
    assert (german == begin) is (if_passed == "now")
    assert (german.date() > begin.date()) is (if_passed == "tomorrow")


def test_a_retry_counts_from_the_first_try(emulator: Running) -> None:
    store, given = MemoryStore(), {"send_at_local": "09:00", "recipients_per_request": 1}
    stopped_after(emulator, 1, store, [US, DE, GB], **given)
    heads = store.get("twilio.ledger")
    (head,) = heads.values()
    head["start"] -= 3 * 86_400.0  # as if the first try had been three days ago
    store.set("twilio.ledger", heads)
    bulk([US, DE, GB], **given).execute(context(store, 2))
    assert texted(emulator) == [3, 1]
    assert [at is None for at, _ in requests(emulator)] == [False, True, True]


def test_it_goes_with_a_spread(emulator: Running) -> None:
    numbers = [f"+49301234{number:04d}" for number in range(60)]
    bulk(numbers, send_at=tomorrow(), send_at_local="14:00", spread_over=timedelta(hours=4)).execute(
        context(MemoryStore())
    )
    shown = sorted(clocks(emulator, dict.fromkeys(numbers, "Europe/Berlin")).values())
    assert (shown[0], shown[-1]) == ("14:00", "17:56")
    assert len(set(shown)) == 60


def test_a_template_may_name_the_day() -> None:
    operator = bulk([US], send_at_local="{{ ds }}T09:00")
    assert "send_at_local" in operator.template_fields


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"send_at_local": "nine"}, "send_at_local: is not a time of day"),
        ({"send_window": "sometimes"}, "send_window: 'sometimes' cannot be read"),
        ({"holidays": 5}, "holidays: 5 is not a country"),
        ({"if_passed": "never", "send_at_local": "09:00"}, "if_passed: 'never' is unknown"),
        ({"if_passed": "now"}, "if_passed: 'now' goes with send_at_local"),
        ({"if_passed": "skip"}, "if_passed: 'skip' says nothing"),
        ({"time_zone_column": "zone"}, "time_zone_column: says nothing without a local time"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_when_the_dag_is_parsed(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        bulk([US], **given)


def test_stored_people_have_no_clock_that_can_be_seen(emulator: Running) -> None:
    person = {
        "profile_id": "mem_profile_01h9krwprkeee8fzqspvwy6nq8",
        "memory_store_id": "mem_store_01h9krwprkeee8fzqspvwy6nq8",
    }
    with pytest.raises(AirflowFailException, match="send_at_local"):
        bulk([person], send_at_local="09:00").execute(context(MemoryStore()))
