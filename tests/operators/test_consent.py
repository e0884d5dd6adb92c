"""Consent: whoever has opted out by the table of the connection is left out of every send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms._core.campaigns.consent import ConsentEvent, event
from airflow_provider_twilio_comms._tasks.sql_loading import loading
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited, TwilioError
from airflow_provider_twilio_comms.operators.preflight import TwilioPreflightOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, texted
from tests.operators.classic_sends import classic
from tests.operators.runs import a_run, received, report
from tests.warehouse import SECRET, Warehouse, hashed, in_postgres, in_sqlite, linked

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

NUMBERS = [f"+1202{n:07d}" for n in range(20)]


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    """A table in which the first two people have opted out, and the third came back."""
    opened = (
        in_sqlite(tmp_path) if request.param == "sqlite" else in_postgres(request.getfixturevalue("postgres"))
    )
    with opened as found, linked(emulator):
        say("stop", *NUMBERS[:3])
        say("start", NUMBERS[2], hour=10)
        yield found


@pytest.fixture
def sqlite(tmp_path: Path, emulator: Running) -> Iterator[Warehouse]:
    with in_sqlite(tmp_path) as found, linked(emulator):
        say("stop", *NUMBERS[:2])
        yield found


def say(kind: str, *numbers: str, hour: int = 9) -> None:
    """Write to the table what people want, the last one of them as a hash."""
    at = datetime(2026, 11, 1, hour, tzinfo=timezone.utc)
    people = [*numbers[:-1], hashed(numbers[-1])]
    with loading("warehouse", "opt_outs", ConsentEvent, "event_id", create=True) as write:
        write([event(kind, person, at, "inbound") for person in people])


def single(numbers: Any, **kwargs: Any) -> TwilioSendMessageOperator:
    return TwilioSendMessageOperator(task_id="send", to=numbers, body="Hi", from_="+15005550006", **kwargs)


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_who_has_opted_out_is_left_out(
    emulator: Running, warehouse: Warehouse, tmp_path: Path, make: Any, capsys: Any
) -> None:
    path, values = tmp_path / "rejects.jsonl", a_run()
    make(NUMBERS, rejects_path=str(path)).execute(values)
    assert received(emulator) == NUMBERS[2:]
    assert values["ti"].xcoms["preflight"]["rejected"] == {"opted_out": 2}
    assert values["ti"].xcoms["preflight"]["recipients"] == 18
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["row"], each["given"], each["reason"]) for each in rejects] == [
        (1, NUMBERS[0], "opted_out"),
        (2, NUMBERS[1], "opted_out"),
    ]
    assert NUMBERS[0] not in "".join(capsys.readouterr())


def test_the_result_counts_those_who_are_left(emulator: Running, sqlite: Warehouse) -> None:
    result = bulk(NUMBERS, wait_for="processed").execute(context(MemoryStore()))
    assert result
    assert (result["recipients"], result["rejected"], result["stats"]["recipients"]) == (18, 2, 18)


def test_rows_are_those_of_the_source_whatever_else_is_left_out(
    emulator: Running, sqlite: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "rejects.jsonl"
    rows = [NUMBERS[5], NUMBERS[5], NUMBERS[9], NUMBERS[1], NUMBERS[6]]
    bulk(rows, rejects_path=str(path), suppress=[NUMBERS[9]]).execute(context(MemoryStore()))
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(each["row"], each["reason"]) for each in rejects} == {
        (2, "duplicate"),
        (3, "suppressed"),
        (4, "opted_out"),
    }


def test_limits_and_counts_are_of_those_who_are_left(emulator: Running, sqlite: Warehouse) -> None:
    found = report(NUMBERS, max_recipients=18)
    assert (found["recipients"], found["segments"]["total"]) == (18, 18)
    with pytest.raises(AirflowFailException, match="max_recipients"):
        report(NUMBERS, max_recipients=17)


def test_a_preflight_leaves_them_out_too(emulator: Running, sqlite: Warehouse) -> None:
    found = TwilioPreflightOperator(task_id="look", recipients=NUMBERS, content="Hi", sender="+15005550006")
    assert found.execute(a_run())["rejected"] == {"opted_out": 2}


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_where_all_have_opted_out_nothing_is_sent(emulator: Running, sqlite: Warehouse, make: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"all 2 are left out \(2 opted_out\)"):
        make(NUMBERS[:2]).execute(a_run())
    with pytest.raises(AirflowSkipException):
        make(NUMBERS[:2], on_empty="skip").execute(a_run())
    assert received(emulator) == []


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_a_purpose_is_an_exception_that_stands_in_the_report(
    emulator: Running, sqlite: Warehouse, make: Any, capsys: Any
) -> None:
    values = a_run()
    make(NUMBERS, purpose="transactional").execute(values)
    assert received(emulator) == NUMBERS
    assert values["ti"].xcoms["preflight"]["purpose"] == "transactional"
    assert "purpose='transactional'" in capsys.readouterr().out


def test_a_purpose_has_a_name() -> None:
    with pytest.raises(InvalidInput, match="purpose"):
        bulk(NUMBERS, purpose="marketing")


@pytest.mark.parametrize("make", [bulk, classic, single])
def test_a_task_that_cannot_read_the_table_sends_nothing(
    emulator: Running, sqlite: Warehouse, make: Any
) -> None:
    sqlite.execute("DROP TABLE opt_outs")
    with pytest.raises(TwilioError, match=r"the table opt_outs of the connection 'warehouse'.*Check the con"):
        make(NUMBERS).execute(a_run())
    with (
        linked(emulator, consent={"conn_id": "nowhere", "table": "opt_outs"}),
        pytest.raises(TwilioError, match="the connection 'nowhere'"),
    ):
        make(NUMBERS).execute(a_run())
    assert received(emulator) == []


def test_a_table_of_hashes_with_another_key_stops_the_send(emulator: Running, sqlite: Warehouse) -> None:
    from airflow_provider_twilio_comms.operators.opt_outs import TwilioOptOutsOperator

    TwilioOptOutsOperator(task_id="opt_outs").execute(context())
    for secret in ("another-secret-of-sixteen", None):
        with linked(emulator, hash_secret=secret), pytest.raises(AirflowFailException, match="hash_secret"):
            bulk(NUMBERS).execute(a_run())
    assert received(emulator) == []


def test_a_retry_leaves_out_who_has_opted_out_since(emulator: Running, sqlite: Warehouse) -> None:
    """Also of the chunk that was sent: it stays what it was, and is not sent again."""
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=1, method="POST", path="/Messages$"))
    with linked(emulator, max_attempts=1), pytest.raises(RateLimited):
        bulk(NUMBERS, recipients_per_request=10).execute(context(store))
    assert received(emulator) == NUMBERS[2:10]
    say("stop", NUMBERS[5], NUMBERS[15], NUMBERS[16])
    result = bulk(NUMBERS, recipients_per_request=10).execute(context(store, try_number=2))
    assert received(emulator) == [*NUMBERS[2:15], *NUMBERS[17:]]
    assert texted(emulator)[1] == 1
    assert result
    assert (result["recipients"], result["rejected"]) == (16, 4)


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_chunk_whose_reply_was_lost_is_found_though_others_have_opted_out(
    emulator: Running, sqlite: Warehouse, tmp_path: Path, snapshot: bool
) -> None:
    store = MemoryStore()
    kept = {"snapshot_path": str(tmp_path / "plans")} if snapshot else {}
    emulator.twilio.faults.add(Fault(kind="drop_after", method="POST", path="/Messages$"))
    emulator.twilio.faults.add(Fault(kind="bad_gateway", method="GET", path="/Messages", times=None))
    with linked(emulator, max_attempts=1), pytest.raises(TwilioError):
        bulk(NUMBERS, **kept).execute(context(store))
    emulator.twilio.faults.clear()
    say("stop", NUMBERS[5], NUMBERS[6])
    result = bulk(NUMBERS, **kept).execute(context(store, try_number=2))
    assert texted(emulator) == [18, 1]
    assert result
    assert (result["recipients"], result["rejected"]) == (18, 2)


def test_a_chunk_that_goes_out_again_is_screened_again(emulator: Running, sqlite: Warehouse) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="bad_gateway", method="POST", path="/Messages$"))
    emulator.twilio.faults.add(Fault(kind="bad_gateway", method="GET", path="/Messages", times=None))
    with linked(emulator, max_attempts=1), pytest.raises(TwilioError):
        bulk(NUMBERS).execute(context(store))
    emulator.twilio.faults.clear()
    say("stop", NUMBERS[5], NUMBERS[6])
    bulk(NUMBERS, on_unknown="resend", unknown_after=0.1).execute(context(store, try_number=2))
    assert received(emulator) == [*NUMBERS[2:5], *NUMBERS[7:]]


def test_a_classic_retry_leaves_out_who_has_opted_out_since(emulator: Running, sqlite: Warehouse) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="rate_limited", skip=7, times=None, path="/Messages.json$"))
    with linked(emulator, max_attempts=1), pytest.raises(RateLimited):
        classic(NUMBERS, requests_at_once=4).execute(context(store))
    before = received(emulator)
    emulator.twilio.faults.clear()
    say("stop", before[0], NUMBERS[-2], NUMBERS[-1])
    result = classic(NUMBERS, requests_at_once=4).execute(context(store, try_number=2))
    assert received(emulator) == NUMBERS[2:-2]
    assert texted(emulator)[1] == 1
    assert result
    assert (result["recipients"], result["messages"]["sent"], result["rejected"]) == (16, 16, 4)


def test_who_opts_out_while_it_is_sent_is_left_out(emulator: Running, sqlite: Warehouse) -> None:
    """The first chunk is what makes people answer STOP."""
    told: list[str] = []

    def stop(key: str, value: Any) -> None:
        if isinstance(value, dict) and value.get("state") == "accepted" and not told:
            told.append(key)
            say("stop", *NUMBERS[15:])

    values = context(MemoryStore(stop))
    result = bulk(NUMBERS, recipients_per_request=5).execute(values)
    assert told
    assert received(emulator) == NUMBERS[2:15]
    assert result
    assert (result["recipients"], result["rejected"], len(result["operation_ids"])) == (13, 7, 3)


@pytest.mark.parametrize("make", [classic, single])
def test_who_is_refused_by_twilio_for_an_opt_out_is_noted(
    emulator: Running, warehouse: Warehouse, make: Any
) -> None:
    """Twilio heard a STOP that the table does not know of yet."""
    with emulator.twilio.lock:
        receive(emulator.twilio, Arrival(from_=NUMBERS[7], to="+15005550006", body="STOP"))
    fails = pytest.raises(AirflowFailException, match="21610") if make is single else nullcontext()
    with fails:
        make(NUMBERS).execute(a_run())
    rows = warehouse.execute("SELECT person, source, code FROM opt_outs WHERE code = 21610")
    assert rows == [(hashed(NUMBERS[7]), "send", 21610)]
    make(NUMBERS, send_key="another").execute(a_run())
    assert received(emulator) == [*NUMBERS[2:7], *NUMBERS[8:]]


def test_stored_people_whom_it_cannot_see_are_refused(emulator: Running, sqlite: Warehouse) -> None:
    person = {"profile_id": "mem_profile_" + "0" * 26, "memory_store_id": "mem_store_" + "0" * 26}
    with pytest.raises(AirflowFailException, match="consent"):
        bulk([person]).execute(a_run())


def test_the_connection_says_where_in_an_object_or_its_json(emulator: Running, sqlite: Warehouse) -> None:
    with linked(emulator, consent='{"conn_id": "warehouse", "table": "opt_outs"}'):
        bulk(NUMBERS).execute(a_run())
    assert received(emulator) == NUMBERS[2:]
    wrong = emulator.connection_json(hash_secret=SECRET, consent={"conn_id": "warehouse"})
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=wrong), pytest.raises(AirflowFailException, match="consent"):
        bulk(NUMBERS).execute(a_run())
