"""Guards of the operators: refuse, leave out, put off and report, before anything is sent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from tests.conftest import environment
from tests.fakes import MemoryStore
from tests.operators.bulk_sends import bulk, people
from tests.operators.runs import DE, GB, US, a_run, received, report

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres


def single(**kwargs: Any) -> TwilioSendMessageOperator:
    return TwilioSendMessageOperator(task_id="send", to=US, body="Hi", from_="+15005550006", **kwargs)


@pytest.mark.parametrize("make", [lambda **kwargs: bulk([US], **kwargs), single], ids=["bulk", "single"])
class TestABackfill:
    def test_sends_nothing_and_is_skipped(self, emulator: Running, make: Any, capsys: Any) -> None:
        with pytest.raises(AirflowSkipException, match="Nothing is sent in a backfill"):
            make().execute(a_run("backfill"))
        assert emulator.twilio.journal.to_dict()["counts"] == {}
        assert "This run is a backfill, and on_backfill='skip'" in capsys.readouterr().out

    def test_checks_everything_in_a_dry_run(self, emulator: Running, make: Any) -> None:
        assert make(on_backfill="dry_run").execute(a_run("backfill"))["status"] == "DRY_RUN"
        assert received(emulator) == []

    def test_sends_where_the_author_says_so(self, emulator: Running, make: Any) -> None:
        make(on_backfill="send").execute(a_run("backfill"))
        assert received(emulator) == [US]

    @pytest.mark.parametrize("kind", ["scheduled", "manual", "asset_triggered"])
    def test_is_no_other_run(self, emulator: Running, make: Any, kind: str) -> None:
        make().execute(a_run(kind))
        assert received(emulator) == [US]


@pytest.mark.parametrize("make", [lambda **kwargs: bulk([US], **kwargs), single], ids=["bulk", "single"])
def test_what_is_too_old_is_not_sent(emulator: Running, make: Any) -> None:
    make(max_age=timedelta(hours=2)).execute(a_run(age=3600))
    assert received(emulator) == [US]
    with pytest.raises(AirflowSkipException, match="more than max_age=7,200 s ago"):
        make(max_age=7200, send_key="another").execute(a_run(age=7300))
    assert make(max_age=7200, send_key="third", dry_run=True).execute(a_run(age=7300))["status"] == "DRY_RUN"


def test_what_was_begun_in_time_and_is_too_old_now_is_red(emulator: Running) -> None:
    store, people = MemoryStore(), [US, "+15005550004"]
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)):
        emulator.twilio.faults.add(Fault(kind="rate_limited", skip=1, method="POST", path="/Messages$"))
        with pytest.raises(RateLimited):
            bulk(people, max_age=60, recipients_per_request=1).execute(a_run(store=store))
    with pytest.raises(AirflowFailException, match="an earlier try has sent a part"):
        bulk(people, max_age=60, recipients_per_request=1).execute(a_run(store=store, age=90, try_number=2))


def test_what_was_sent_whole_in_time_may_be_waited_for_later(emulator: Running) -> None:
    store = MemoryStore()
    first = bulk([US], max_age=60).execute(a_run(store=store))
    assert bulk([US], max_age=60).execute(a_run(store=store, age=90, try_number=2)) == first


def test_the_report_counts_people_texts_and_money(emulator: Running, capsys: Any) -> None:
    rows = [
        {"phone": US, "name": "Ines"},
        {"phone": DE, "name": "Jörg"},
        {"phone": GB, "name": "Zoë 🎉"},
        {"phone": GB[:-1] + "4"},
    ]
    found = report(rows, content="Hello {{ name }}" + "." * 150)
    assert found["rows"] == found["recipients"] == 4
    assert found["lacking"] == {"name": 1}
    assert found["segments"] == {"total": 6, "longest": 3, "gsm7": 3, "ucs2": 1, "exact": True}
    assert found["countries"]["GB"] == {"recipients": 2, "segments": 4, "low": "0.2096", "high": "0.3144"}
    assert found["cost"] == {"low": "0.3226", "high": "0.4838", "unit": "USD", "unpriced": []}
    told = capsys.readouterr().out
    assert "Preflight: 4 recipients of 4 rows, in 1 request\n" in told
    assert "6 segments, at most 3 segments per text; GSM-7 3, UCS-2 1" in told
    assert "GB" in told
    assert "0.3144" in told
    assert not any(number[1:] in told for number in (US, DE, GB))
    assert received(emulator) == []
    routes = emulator.twilio.journal.to_dict()["counts"]
    assert sum(count for route, count in routes.items() if "Messaging/Countries" in route) == 3


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_recipients": 2}, "max_recipients: the send is at least 3 recipients, and 2 is the limit"),
        ({"max_segments": 2}, "max_segments: the send is 3 segments, and 2 is the limit: nothing was sent"),
        ({"max_cost": 0.03}, "max_cost: the send is up to 0.0372 USD, and 0.03 USD is the limit"),
        ({"max_cost": "0.001", "content": {"text": "x", "media": ["https://example.org/a.png"]}}, "max_cost"),
    ],
    ids=str,
)
def test_a_send_over_a_limit_is_refused_whole(emulator: Running, limits: dict[str, Any], said: str) -> None:
    with pytest.raises(AirflowFailException) as caught:
        bulk(people(3), **limits).execute(a_run())
    assert said in str(caught.value)
    assert received(emulator) == []


def test_a_send_within_its_limits_goes_out(emulator: Running) -> None:
    bulk(people(3), max_recipients=3, max_segments=3, max_cost="0.04").execute(a_run())
    assert len(received(emulator)) == 3


@pytest.mark.parametrize(
    "given",
    [
        {"content": {"text": "Hi", "media": ["https://example.org/a.png"]}},
        {"sender": "rcs:shop_agent"},
        {"sender": {"sender_pool_id": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8", "channels": ["RCS"]}},
    ],
    ids=["MMS", "RCS", "pool"],
)
def test_the_price_of_an_sms_is_no_price_of_anything_else(emulator: Running, given: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"max_cost: .* no single price for US, or none of"):
        bulk([US], max_cost=1000, **given).execute(a_run())
    assert report([US], **given)["cost"]["unpriced"] == ["US"]
    assert received(emulator) == []


def test_a_cost_that_nobody_knows_is_over_any_limit(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="no single price for PT"):
        bulk(["+351912345678"], max_cost=10).execute(a_run())
    assert report(["+351912345678"])["cost"]["unpriced"] == ["PT"]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"max_recipients": -1},
        {"max_segments": 1.5},
        {"max_cost": "much"},
        {"max_cost": -1},
        {"on_backfill": "maybe"},
        {"on_duplicate": "middle"},
        {"on_missing_variable": "ignore"},
        {"on_empty": "cry"},
    ],
    ids=str,
)
def test_what_can_be_seen_when_the_dag_is_parsed_is_said_then(kwargs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        bulk([US], **kwargs)
    assert caught.value.field in kwargs


def test_suppression_takes_lists_files_and_tables(
    emulator: Running, postgres: Postgres, tmp_path: Path
) -> None:
    deactivated = tmp_path / "deactivated.txt"
    deactivated.write_text("+12020000000\n12020000001\n")
    bare = tmp_path / "bare.csv"
    bare.write_text("+12020000002\n+12020000003,2027-01-01\n")
    titled = tmp_path / "titled.csv"
    titled.write_text("name,phone\nInes,(202) 000-0004\n")
    result = bulk(
        people(8),
        suppress=[
            *map(str, (deactivated, bare, titled)),
            "+1 202 000 0005",
            {"sql": "SELECT '+12020000006'", "conn_id": "bookings"},
        ],
        rejects_path=str(tmp_path / "rejects.jsonl"),
        default_region="US",
    ).execute(a_run())
    assert result
    assert (result["recipients"], result["rejected"]) == (1, 7)
    assert received(emulator) == ["+12020000007"]
    rows = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert {(row["reason"], row["problem"]) for row in rows} == {("suppressed", "is suppressed")}


def test_a_suppression_list_that_cannot_be_read_stops_the_send(emulator: Running, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("+12025550101\nunknown\n")
    with pytest.raises(AirflowFailException, match="row 2, suppress: is not a phone number"):
        bulk([US], suppress=str(tmp_path / "list.txt")).execute(a_run())
    with pytest.raises(AirflowFailException, match="cannot be read"):
        bulk([US], suppress=str(tmp_path / "none.txt")).execute(a_run())


@pytest.mark.parametrize(
    ("given", "region", "said"),
    [
        (["2025550101"], None, "row 1, suppress: has no country code"),
        (["5125550101", DE], None, "row 1, suppress: has no country code"),
        ("12025550101", None, "row 1, suppress: has no country code"),
        ("13812345678", None, "row 1, suppress: has no country code"),  # of China, or of New York
        ("", None, "suppress: is empty"),
        ({}, None, "suppress: is empty"),
        ([""], None, "suppress: holds an empty text"),
        ([None], None, "suppress: holds a NoneType"),
        (["2025550101"], "PT", "row 1, suppress: is too long"),
    ],
)
def test_an_opt_out_that_would_leave_nobody_out_stops_the_send(
    emulator: Running, given: Any, region: str | None, said: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        bulk([US], suppress=given, default_region=region).execute(a_run())
    assert said in str(caught.value)
    assert "nothing was sent" in str(caught.value) or "holds" in said
    assert "5550101" not in str(caught.value)
    assert received(emulator) == []


@pytest.mark.parametrize("argument", ["suppress", "allowed_recipients"])
@pytest.mark.parametrize("result", [None, ""])
def test_a_guard_that_another_task_gives_as_nothing_stops_the_send(
    emulator: Running, argument: str, result: Any
) -> None:
    operator = bulk([US], **{argument: [US]})
    setattr(operator, argument, Hidden(result))  # as rendering leaves it
    with pytest.raises(AirflowFailException, match=argument):
        operator.execute(a_run())
    assert received(emulator) == []


def test_an_empty_opt_out_list_leaves_nobody_out(emulator: Running, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    bulk([US], suppress=[]).execute(a_run())
    bulk([GB], suppress=str(tmp_path / "none.txt")).execute(a_run())
    assert received(emulator) == sorted([US, GB])


@pytest.mark.parametrize("allowed", [",", [""], [" "], [], "", ["+1202*", ""]])
def test_an_allow_list_without_a_pattern_lets_nobody_through(emulator: Running, allowed: Any) -> None:
    with pytest.raises(AirflowFailException, match="allowed_recipients: has no pattern, or an empty one"):
        bulk([US], allowed_recipients=allowed).execute(a_run())
    assert received(emulator) == []


def test_digits_that_can_be_two_numbers_suppress_both(emulator: Running) -> None:
    result = bulk([US, "+4912025550101", GB], suppress=[US[1:]], default_region="DE").execute(a_run())
    assert result
    assert (result["recipients"], result["rejected"]) == (1, 2)
    assert received(emulator) == [GB]


def test_a_first_line_that_is_neither_number_nor_header_is_not_lost(
    emulator: Running, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(f"tel:{US}\n")
    with pytest.raises(AirflowFailException, match="row 1, suppress: the first line") as caught:
        bulk([US], suppress=str(tmp_path / "list.csv")).execute(a_run())
    assert US[2:] not in str(caught.value)
    assert received(emulator) == []


def test_profiles_are_refused_where_numbers_are_suppressed(emulator: Running, capsys: Any) -> None:
    """Before, they were texted with a warning: the list of opt-outs was passed over."""
    profile = {"profileId": "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "memoryStoreId": "mem_store_01"}
    with pytest.raises(AirflowFailException, match="suppress cannot see into them"):
        bulk([US, profile], suppress=[GB], dry_run=True).execute(a_run())
    bulk([US, profile], suppress=[GB], dry_run=True, unseen="allow").execute(a_run())
    assert "1 recipient by stored profile or group" in capsys.readouterr().out


def test_profiles_do_not_walk_past_the_connections_allow_list(emulator: Running) -> None:
    profile = {"profileId": "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "memoryStoreId": "mem_store_01"}
    extra = {"allowed_recipients": "+15005550006"}
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(**extra)):
        with pytest.raises(AirflowFailException, match="is a profile, which hides its numbers"):
            bulk([profile]).execute(a_run())
        result = bulk(["+15005550006", profile], on_invalid_recipient="skip").execute(a_run())
    assert result
    assert (result["recipients"], result["rejected"]) == (1, 1)


def test_a_person_who_is_given_twice(emulator: Running, capsys: Any) -> None:
    rows = [{"phone": US, "name": "Ada"}, {"phone": US, "name": "Ada"}, {"phone": US, "name": "Eve"}]
    values = a_run()
    result = bulk(rows).execute(values)
    assert result
    assert (result["recipients"], result["rejected"]) == (2, 1)
    assert values["ti"].xcoms["preflight"]["rejected"] == {"duplicate": 1}
    assert emulator.twilio.ledger.recipients[US] == 2
    told = capsys.readouterr().out
    assert "1 row with the number of an earlier row and other variables: all are sent" in told
    assert US[1:] not in told
    assert bulk(rows, on_duplicate="keep", send_key="all").execute(a_run())["recipients"] == 3  # type: ignore[index]


def test_a_time_that_a_template_leaves_out_does_not_send_at_once(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="send_at: is empty: nothing was sent"):
        bulk([US], send_at="").execute(a_run())
    assert received(emulator) == []


def test_whoever_is_outside_is_left_out(emulator: Running) -> None:
    result = bulk([US, DE, GB], allowed_recipients=["+1202*", "+44*"]).execute(a_run())
    assert result
    assert (result["recipients"], result["rejected"]) == (2, 1)
    assert received(emulator) == [US, GB]


def test_when_all_are_left_out(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match=r"all 1 are left out \(1 suppressed\)"):
        bulk([US], suppress=[US]).execute(a_run())
    with pytest.raises(AirflowSkipException):
        bulk([US], suppress=[US], on_empty="skip").execute(a_run())


def test_a_variable_that_somebody_lacks(emulator: Running) -> None:
    lacking = [{"phone": US, "nmae": "Ines"}, {"phone": GB, "name": "Zoë"}]
    with pytest.raises(AirflowFailException, match=r"no default: name \(1\)"):
        bulk(lacking, content="Hi {{ name }}", on_missing_variable="fail").execute(a_run())
    assert received(emulator) == []


class TestQuietHours:
    """Whatever the time is: hours that are quiet now somewhere."""

    def quiet(self, zone: str, **kwargs: Any) -> Any:
        from zoneinfo import ZoneInfo

        now = datetime.now(ZoneInfo(zone))
        hours = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
        return bulk([US, DE, US[:-1] + "2"], quiet_hours=hours, **kwargs)

    def scheduled(self, emulator: Running) -> dict[str, bool]:
        from airflow_provider_twilio_comms.api.comms import messages
        from airflow_provider_twilio_comms.api.flows import every_item
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        rows = TwilioHook().run(every_item(messages.list()))
        return {row.to[0]["address"]: row.status == "SCHEDULED" for row in rows}

    def test_hold_back_those_who_would_be_woken(self, emulator: Running, caplog: Any) -> None:
        caplog.set_level("INFO")
        result = self.quiet("America/New_York").execute(a_run())
        assert len(result["operation_ids"]) == 2
        assert self.scheduled(emulator) == {US: True, US[:-1] + "2": True, DE: False}
        assert "2 recipients, America/New_York) waits at Twilio until" in caplog.text

    def test_that_never_end_for_somebody_send_to_nobody(self, emulator: Running) -> None:
        operator = bulk(["+27821234567", "+27821234568", "+18005550101"], quiet_hours="19:00-11:00")
        with pytest.raises(AirflowFailException, match="it is always quiet in one of these"):
            operator.execute(a_run())
        assert received(emulator) == []
        with pytest.raises(AirflowFailException, match="it is always quiet in one of these"):
            report(["+27821234567", "+18005550101"], quiet_hours="19:00-11:00")

    def test_do_not_move_people_between_requests_on_a_retry(self, emulator: Running) -> None:
        store = MemoryStore()
        first = self.quiet("America/New_York").execute(a_run(store=store))
        again = self.quiet("Europe/Berlin").execute(a_run(store=store, try_number=2))
        assert again["operation_ids"] == first["operation_ids"]
        assert set(emulator.twilio.ledger.to_dict()["recipients"].values()) == {1}

    @pytest.mark.parametrize("try_number", [1, 2])
    def test_count_in_the_wait_of_every_try(self, emulator: Running, try_number: int) -> None:
        store = MemoryStore()
        for number in range(1, try_number + 1):
            operator = self.quiet("America/New_York", wait_for="processed", deferrable=True, timeout=60)
            with pytest.raises(TaskDeferred) as deferred:
                operator.execute(a_run(store=store, try_number=number))
        deadline = deferred.value.trigger.serialize()[1]["deadline"]
        later = datetime.now(timezone.utc) + timedelta(hours=2)
        assert deadline == pytest.approx(later.timestamp() + 60, abs=70)


def test_prices_that_cannot_be_read_only_matter_where_they_limit(emulator: Running) -> None:
    from airflow_provider_twilio_comms.emulator.faults import Fault

    emulator.twilio.faults.add(Fault(kind="error_before", times=None, method="GET", path="/Messaging/"))
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1)):
        assert report([US])["cost"] is None
        with pytest.raises(Exception, match="500"):
            bulk([US], max_cost=5).execute(a_run())
    assert received(emulator) == []
