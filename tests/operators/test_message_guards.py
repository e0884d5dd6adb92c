"""The guards of single messages: those of a list, on people who are named one by one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.fakes import MemoryStore
from tests.operators.runs import DE, GB, US, a_run, received
from tests.operators.single_sends import FROM, message

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running
    from tests.postgres import Postgres

ALL = [US, DE, GB]


@pytest.mark.parametrize(
    ("given", "reached", "left_out"),
    [
        ({"to": ALL, "suppress": [DE]}, [US, GB], {"suppressed": 1}),
        ({"to": [US, f"whatsapp:{DE}"], "suppress": [DE]}, [US], {"suppressed": 1}),
        (
            {"to": ALL, "suppress": {"sql": f"SELECT '{US}'", "conn_id": "bookings"}},
            [DE, GB],
            {"suppressed": 1},
        ),
        ({"to": ALL, "allowed_recipients": ["+44*", "+49*"]}, [DE, GB], {"not_allowed": 1}),
        ({"to": [US, "12", GB], "on_invalid_recipient": "skip"}, [US, GB], {"invalid": 1}),
        ({"to": [US, GB, US]}, [US, GB], {"duplicate": 1}),
        ({"to": f"{US}, {GB}, {US}", "on_duplicate": "last"}, [US, GB], {"duplicate": 1}),
        ({"to": ALL}, ALL, None),
    ],
    ids=str,
)
def test_who_is_left_out(
    emulator: Running,
    postgres: Postgres,
    given: dict[str, Any],
    reached: list[str],
    left_out: dict[str, int] | None,
) -> None:
    values = a_run()
    result = message(**given).execute(values)
    assert received(emulator) == sorted(reached)
    assert len(result["sids"]) == len(reached)
    report = values["ti"].xcoms.get("preflight")
    assert (report and report["rejected"]) == left_out


def test_the_author_may_text_somebody_twice(emulator: Running) -> None:
    result = message(to=[US, US], on_duplicate="keep").execute(a_run())
    assert len(set(result["sids"])) == 2
    assert emulator.twilio.ledger.recipients[US] == 2


def test_a_whatsapp_number_without_a_plus_does_not_walk_past_suppress(emulator: Running) -> None:
    given: dict[str, Any] = {"to": [f"whatsapp:{US[1:]}", GB], "suppress": [US]}
    with pytest.raises(AirflowFailException, match="has no country code"):
        message(**given).execute(a_run())
    assert len(message(**given, default_region="US").execute(a_run())["sids"]) == 1
    assert received(emulator) == [GB]


def test_equal_addresses_count_as_one_where_the_author_says_so(emulator: Running) -> None:
    values = a_run()
    result = message(to=[US, GB, US], on_duplicate="equal").execute(values)
    assert len(result["sids"]) == 2
    assert values["ti"].xcoms["preflight"]["rejected"] == {"duplicate": 1}
    assert received(emulator) == sorted([US, GB])


def test_the_price_of_an_sms_is_no_price_of_an_mms(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match=r"max_cost: .* no single price for US, or none of an MMS"):
        message(to=US, media_url="https://example.com/a.png", max_cost=1000).execute(a_run())
    assert received(emulator) == []


def test_the_last_of_those_with_the_same_number_keeps_its_place(emulator: Running) -> None:
    message(to=[US, GB, US], on_duplicate="last").execute(a_run())
    assert [sent.to for sent in emulator.twilio.part(Messages).by_sid.values()] == [GB, US]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_recipients": 2}, "max_recipients: the send is at least 3 recipients, and 2 is the limit"),
        ({"max_segments": 5}, "max_segments: the send is 6 segments, and 5 is the limit: nothing was sent"),
        ({"max_cost": "0.40"}, "max_cost: the send is up to 0.4960 USD, and 0.40 USD is the limit"),
        ({"max_segments": 5, "media_url": "https://example.com/a.png", "to": ALL * 2}, None),
        ({"max_segments": 5, "from_": "whatsapp:+14155238886"}, "segments cannot be counted here"),
    ],
    ids=str,
)
def test_messages_over_a_limit_are_refused_whole(
    emulator: Running, limits: dict[str, Any], said: str | None
) -> None:
    given = {"to": ALL, "body": "x" * 161, **limits}
    if said is None:
        assert len(message(**given).execute(a_run())["sids"]) == 3
        return
    with pytest.raises(AirflowFailException) as caught:
        message(**given).execute(a_run())
    assert said in str(caught.value)
    assert received(emulator) == []


def test_messages_within_their_limits_go_out(emulator: Running, capsys: Any) -> None:
    message(to=ALL, max_recipients=3, max_segments=3, max_cost=1).execute(a_run())
    assert received(emulator) == sorted(ALL)
    told = capsys.readouterr().out
    assert "Preflight: 3 recipients of 3 rows" in told
    assert "at most USD" in told
    assert not any(number[1:] in told for number in ALL)


def test_those_left_out_are_written_down_with_the_reason(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    given: dict[str, Any] = {"on_invalid_recipient": "skip", "suppress": [DE], "rejects_path": str(path)}
    message(to=[US, "12", DE, US], **given).execute(a_run())
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["row"], row["reason"], row["given"]) for row in rows) == [
        (2, "invalid", "12"),
        (3, "suppressed", DE),
        (4, "duplicate", US),
    ]


def test_when_nobody_is_left(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match=r"all 1 are left out \(1 suppressed\)"):
        message(to=[US], suppress=[US]).execute(a_run())
    with pytest.raises(AirflowSkipException):
        message(to=[], on_empty="skip").execute(a_run())
    assert received(emulator) == []


def test_a_later_try_sends_what_the_first_one_planned(emulator: Running, tmp_path: Path) -> None:
    store = MemoryStore()
    first = message(to=[US, DE], snapshot_path=str(tmp_path)).execute(a_run(store=store))
    again = message(to=[GB], snapshot_path=str(tmp_path)).execute(a_run(store=store, try_number=2))
    assert again["sids"] == first["sids"]
    assert received(emulator) == sorted([US, DE])


def test_a_variable_that_the_template_needs(emulator: Running) -> None:
    from airflow_provider_twilio_comms.api import content
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

    made = TwilioHook().run(
        content.create(
            language="en",
            types={"twilio/text": {"body": "Hi {{1}}, at {{2}}" + "." * 150}},
            variables={"1": "Ada"},
        )
    )
    given: dict[str, Any] = {"body": None, "content_sid": made.sid, "on_missing_variable": "fail", "to": US}
    with pytest.raises(AirflowFailException, match="no recipient has the variable 2, which has no default"):
        message(**given).execute(a_run())
    assert received(emulator) == []
    with pytest.raises(AirflowFailException, match="the send is 2 segments"):
        message(**given, content_variables={"2": "noon"}, max_segments=1).execute(a_run())
    message(**given, content_variables={"2": "noon"}, max_segments=2).execute(a_run())
    assert received(emulator) == [US]


class TestQuietHours:
    """Whatever the time is: hours that are quiet now in New York, and not in Berlin."""

    def quiet(self, **kwargs: Any) -> Any:
        now = datetime.now(ZoneInfo("America/New_York"))
        hours = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
        service = TwilioMessagingServiceOperator(task_id="service", friendly_name="o", phone_numbers=[FROM])
        sid = service.execute(a_run())["sid"]
        given = {"to": [US, DE], "from_": None, "messaging_service_sid": sid, "quiet_hours": hours}
        return message(**{**given, **kwargs})

    def statuses(self, emulator: Running) -> dict[str, str]:
        sent = emulator.twilio.part(Messages).by_sid.values()
        return {each.to: each.status(emulator.twilio.clock.now()) for each in sent}

    def test_hold_back_whom_they_would_wake(self, emulator: Running, caplog: Any) -> None:
        caplog.set_level("INFO")
        self.quiet().execute(a_run())
        assert {to: status == "scheduled" for to, status in self.statuses(emulator).items()} == {
            US: True,
            DE: False,
        }
        assert "waits at Twilio until" in caplog.text

    def test_that_are_over_soon_hold_as_long_as_twilio_takes(self, emulator: Running) -> None:
        end = datetime.now(ZoneInfo("America/New_York")) + timedelta(seconds=90)
        self.quiet(quiet_hours=f"{end - timedelta(hours=1):%H:%M}-{end:%H:%M}", to=US).execute(a_run())
        assert self.statuses(emulator) == {US: "scheduled"}

    @pytest.mark.parametrize("try_number", [1, 2])
    def test_count_in_the_wait_of_every_try(self, emulator: Running, try_number: int) -> None:
        store = MemoryStore()
        for number in range(1, try_number + 1):
            operator = self.quiet(wait_for="delivered", deferrable=True, timeout=60)
            with pytest.raises(TaskDeferred) as deferred:
                operator.execute(a_run(store=store, try_number=number))
        deadline = deferred.value.trigger.serialize()[1]["deadline"]
        later = datetime.now(timezone.utc) + timedelta(hours=2)
        assert deadline == pytest.approx(later.timestamp() + 60, abs=70)

    def test_take_a_service_that_can_hold(self, emulator: Running) -> None:
        with pytest.raises(AirflowFailException, match="only a messaging service holds messages"):
            self.quiet(from_=FROM, messaging_service_sid=None).execute(a_run())
        assert received(emulator) == []
