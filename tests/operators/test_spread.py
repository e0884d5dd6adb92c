"""Sends that are spread over time: a ladder that Twilio holds, smooth, bounded, and the same on every try."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import break_bulk, bulk, people, stopped_after, texted
from tests.operators.campaign_sends import moments, requests
from tests.operators.classic_sends import break_classic, classic
from tests.operators.runs import a_run, report

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

HOUR = 3600.0
LATER = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def soon(**span: float) -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(**span)


def offsets(emulator: Running, start: datetime) -> list[float]:
    """Find when the requests go out, in seconds after the start."""
    return [at - start.timestamp() for at, _ in requests(emulator) if at is not None]


@pytest.mark.parametrize("hour", [timedelta(hours=1), pendulum.duration(hours=1), 3600])
def test_a_list_is_spread_evenly_over_the_time(emulator: Running, hour: Any) -> None:
    start = soon(days=1)
    bulk(people(120), send_at=start, spread_over=hour).execute(context(MemoryStore()))
    assert texted(emulator) == [120, 1]
    assert [len(numbers) for _, numbers in requests(emulator)] == [2] * 60
    assert offsets(emulator, start) == [60.0 * number for number in range(60)]


def test_the_number_of_requests_is_bounded(emulator: Running) -> None:
    start = soon(days=1)
    bulk(people(3_000), send_at=start, spread_over=timedelta(days=20)).execute(context(MemoryStore()))
    assert len(requests(emulator)) == 500
    found = offsets(emulator, start)
    assert {round(b - a) for a, b in pairwise(found)} == {20 * 86_400 // 500}


def test_so_many_messages_go_out_in_a_second(emulator: Running) -> None:
    start = soon(days=1)
    bulk(people(1_200), send_at=start, messages_per_second=2).execute(context(MemoryStore()))
    assert offsets(emulator, start) == [60.0 * number for number in range(10)]
    assert {len(numbers) for _, numbers in requests(emulator)} == {120}


def test_mapped_tasks_share_the_pace(emulator: Running) -> None:
    start = soon(days=1)
    shared = {**a_run(), "expanded_ti_count": 4}
    bulk(people(120), send_at=start, messages_per_second=4).execute(shared)
    assert offsets(emulator, start) == [0.0, 60.0]


def test_a_ladder_without_send_at_begins_at_once(emulator: Running) -> None:
    before = time.time()
    bulk(people(10), spread_over=600).execute(context(MemoryStore()))
    found = requests(emulator)
    assert found[0][0] is None
    assert len(found) == 10
    assert all(at is not None for at, _ in found[1:])
    assert int(before) + 60 <= (found[1][0] or 0) <= time.time() + 60


def test_closed_hours_do_not_count(emulator: Running) -> None:
    start = soon(days=1).replace(hour=20, minute=0, second=0)
    bulk(people(120), send_at=start, spread_over=timedelta(hours=2), quiet_hours="21:00-08:00 UTC").execute(
        context(MemoryStore())
    )
    hours = [datetime.fromtimestamp(at or 0, timezone.utc) for at, _ in requests(emulator)]
    tonight = [each for each in hours if each.date() == start.date()]
    assert len(tonight) == len(hours) / 2
    assert {each.hour for each in tonight} == {20}
    assert {each.hour for each in hours if each not in tonight} == {8}
    assert len(set(hours)) == len(hours)


def test_each_time_zone_is_spread_over_the_whole_time(emulator: Running) -> None:
    start = soon(days=1).replace(hour=15, minute=0, second=0)
    berlin = [f"+49301234{number:04d}" for number in range(60)]
    bulk(
        [*(each["address"] for each in people(60)), *berlin],
        send_at=start,
        spread_over=timedelta(hours=1),
        quiet_hours="23:00-07:00",
    ).execute(context(MemoryStore()))
    for prefix in ("+1202", "+4930"):
        found = [at for number, at in moments(emulator).items() if number.startswith(prefix)]
        assert min(found) < start.timestamp() + 0.1 * HOUR
        assert max(found) > start.timestamp() + 0.9 * HOUR


class TestARetry:
    def test_computes_the_same_rungs_whatever_the_clock_says(self, emulator: Running) -> None:
        store, given = MemoryStore(), {"spread_over": timedelta(hours=2)}
        stopped_after(emulator, 3, store, people(60), **given)
        begun = store.get("twilio.ledger")
        (head,) = begun.values()
        head["start"] -= 0.25 * HOUR  # a quarter of an hour passes
        store.set("twilio.ledger", begun)
        bulk(people(60), **given).execute(context(store, 2))
        assert texted(emulator) == [60, 1]
        found = requests(emulator)
        rungs = [head["start"] + 120.0 * number for number in range(60)]
        now = time.time()
        for place, (at, _) in enumerate(found[3:], 3):
            if at is None:
                assert rungs[place] <= now
            else:
                assert at == int(rungs[place])  # Twilio's times have no fractions
        assert [at for at, _ in found[3:8]] == [None] * 5  # their time is over: at once, and not in the past
        assert found[9][0] is not None

    def test_keeps_the_size_of_requests_where_the_list_has_grown(self, emulator: Running) -> None:
        start = soon(days=1)
        store, given = MemoryStore(), {"send_at": start, "spread_over": timedelta(minutes=30)}
        stopped_after(emulator, 4, store, people(60), **given)
        bulk(people(64), **given).execute(context(store, 2))
        assert texted(emulator) == [64, 1]
        assert {len(numbers) for _, numbers in requests(emulator)} == {2}
        assert offsets(emulator, start)[:30] == [60.0 * number for number in range(30)]  # nobody's has moved
        assert offsets(emulator, start)[30:] == [1770.0, 1770.0]

    def test_does_not_send_a_part_again_whose_rung_has_moved(self, emulator: Running) -> None:
        store = MemoryStore()
        stopped_after(emulator, 2, store, people(30), send_at=soon(days=1), spread_over=timedelta(hours=1))
        given = {"send_at": soon(days=2), "spread_over": timedelta(hours=3)}
        bulk(people(30), **given).execute(context(store, 2))
        assert texted(emulator) == [30, 1]

    def test_finds_a_part_of_unknown_outcome_on_its_rung(self, emulator: Running) -> None:
        store, given = MemoryStore(), {"send_at": soon(days=1), "spread_over": timedelta(hours=1)}
        break_bulk(emulator, "drop_after", skip=5)
        with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1, timeout=5)):
            bulk(people(30), **given).execute(context(store))
        assert texted(emulator) == [30, 1]

    def test_without_a_store_needs_to_know_what_to_count_from(self, emulator: Running) -> None:
        with pytest.raises(AirflowFailException, match=r"send_at: is missing: pace and local time"):
            bulk(people(3), spread_over=600).execute(context())
        assert texted(emulator) == [0, 0]
        bulk(people(3), spread_over=600, send_at=soon(days=1)).execute(context())
        assert texted(emulator) == [3, 1]


def test_a_snapshot_keeps_the_rungs(emulator: Running, tmp_path: Any) -> None:
    store, start = MemoryStore(), soon(days=1)
    given = {"send_at": start, "spread_over": timedelta(hours=1), "snapshot_path": str(tmp_path)}
    stopped_after(emulator, 10, store, people(60), **given)
    bulk([], **given).execute(context(store, 2))
    assert texted(emulator) == [60, 1]
    assert offsets(emulator, start) == [60.0 * number for number in range(60)]


def test_a_ladder_that_ends_later_than_twilio_schedules_is_refused(emulator: Running) -> None:
    operator = bulk(people(100), send_at=soon(days=20), spread_over=timedelta(days=12))
    with pytest.raises(AirflowFailException, match=r"send_at: cannot be scheduled\. Expected up to 30 days"):
        operator.execute(context(MemoryStore()))
    assert texted(emulator) == [0, 0]


@pytest.mark.parametrize("given", [0, -5, timedelta(days=36)])
def test_a_length_that_cannot_be_is_refused_when_the_dag_is_parsed(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"spread_over: .* is not possible"):
        bulk(people(1), spread_over=given)


def test_the_report_says_when_messages_go_out(emulator: Running) -> None:
    found = report(people(60), send_at=soon(days=1), spread_over=timedelta(hours=1))
    assert found["requests"] == found["schedule"]["times"] == 60
    span = datetime.fromisoformat(found["schedule"]["last"]) - datetime.fromisoformat(
        found["schedule"]["first"]
    )
    assert span == timedelta(minutes=59)


class TestTheClassicApi:
    @pytest.fixture
    def service(self, emulator: Running) -> str:
        operator = TwilioMessagingServiceOperator(
            task_id="service", friendly_name="campaigns", phone_numbers=["+15005550006"]
        )
        return str(operator.execute(context(MemoryStore()))["sid"])

    def test_spreads_through_a_messaging_service(self, emulator: Running, service: str) -> None:
        before = time.time()
        classic(people(60), sender=service, spread_over=timedelta(hours=1)).execute(context(MemoryStore()))
        found = sorted(moments(emulator).values())
        assert len(found) == 60
        assert found[0] >= before + 300
        assert {round(b - a) for a, b in pairwise(found)} <= {59, 60, 61}

    def test_schedules_up_to_35_days_ahead(self, emulator: Running, service: str) -> None:
        given = {"sender": service, "send_at": soon(days=30)}
        with pytest.raises(AirflowFailException, match="over 5 minutes and up to 35 days ahead"):
            classic(people(20), spread_over=timedelta(days=6), **given).execute(context(MemoryStore()))
        assert texted(emulator) == [0, 0]
        classic(people(20), spread_over=timedelta(days=4), **given).execute(context(MemoryStore()))
        assert texted(emulator) == [20, 1]

    def test_a_retry_sends_nobody_twice(self, emulator: Running, service: str) -> None:
        store, given = MemoryStore(), {"sender": service, "spread_over": timedelta(hours=1)}
        break_classic(emulator, "rate_limited", skip=20, times=None)
        with (
            environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)),
            pytest.raises(RateLimited),
        ):
            classic(people(60), **given).execute(context(store))
        emulator.twilio.faults.clear()
        classic(people(60), **given).execute(context(store, 2))
        assert texted(emulator) == [60, 1]
        found = sorted(moments(emulator).values())
        assert len(set(found)) == 60
