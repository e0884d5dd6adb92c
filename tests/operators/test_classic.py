"""Bulk sends through the classic API: the same operator, recipients, texts, guards and result."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_twilio_comms._core.planning.texts import renderer
from airflow_provider_twilio_comms._core.sending.ledger import HEADS, digest_of
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.comms.content import rendered, template
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import InvalidInput, RateLimited
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.send_each import merged
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator
from airflow_provider_twilio_comms.transfers.sql_to_twilio import SqlToTwilioOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import people, texted
from tests.operators.classic_sends import classic, texts
from tests.operators.runs import DE, GB, US, a_run, received
from tests.operators.test_send_message import outbox, service

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from airflow_provider_twilio_comms.emulator.server import Running

ROWS = [{"phone": US, "name": "Ada"}, {"phone": GB, "name": ""}, {"phone": DE, "day": "Tuesday"}]
NUMBERS = {"phone_numbers": ["+15005550006"]}


def test_everybody_gets_their_own_text_and_the_result_is_small(emulator: Running) -> None:
    result = classic(ROWS, content="Hi {{ name | default: 'there' }}, {{ day }}").execute(a_run())
    assert texts(emulator) == {US: "Hi Ada, ", GB: "Hi there, ", DE: "Hi there, Tuesday"}
    assert result
    messages = result.pop("messages")
    assert result == {
        "operation_ids": [],
        "status": "ACCEPTED",
        "recipients": 3,
        "rejected": 0,
        "stats": None,
        "codes": None,
        "unexplained": None,
        "generation": "classic",
    }
    assert (messages["sent"], messages["refused"], messages["assumed"]) == (3, {}, 0)
    assert (messages["from"], messages["messaging_service_sid"]) == ("+15005550006", None)
    created = [each.created for each in outbox(emulator)]
    assert datetime.fromisoformat(messages["since"]).timestamp() < min(created)
    assert max(created) < datetime.fromisoformat(messages["until"]).timestamp()


TEMPLATES = [
    "Hi {{ name }}!",
    "Hi {{ name | default: 'you' }}, 100 % {{ day }}",
    "{% if name %}Hi {{ name | upcase }}{% else %}Hello{% endif %} {{ missing.deep }}",
    "{{ name | split: ' ' | first | escape }} {{ day | append: '!' }}",
    "{% assign n = name | default: 'x' %}{{ n }}{% for i in (1..3) %}{{ i }}{% endfor %}",
    "{% raw %}{{ name }}{% endraw %} {{ 'a' }}{{ 3 | plus: 4 }}",
    "No variables at all",
]
VALUES = [
    {},
    {"name": "Ada Lovelace", "day": "Tuesday"},
    {"name": "", "day": "<b>"},
    {"name": "{{ day }}", "day": "%s"},
    {"name": "Zoë \N{PARTY POPPER}"},
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_liquid_is_rendered_as_the_communications_api_does(text: str) -> None:
    compiled = template(text, "$.content.text", False)
    render = renderer({"text": text}).render
    assert render
    assert [render(values) for values in VALUES] == [rendered(compiled, values) for values in VALUES]


def test_a_content_template_gets_each_recipients_variables(emulator: Running) -> None:
    made = TwilioHook().run(
        content.create(language="en", types={"twilio/text": {"body": "Hi {{1}}"}}, variables={"1": "you"})
    )
    rows = [{"phone": US, "1": "Ada"}, {"phone": GB}]
    assert classic(rows, content={"content_sid": made.sid}, on_missing_variable="fail").execute(a_run())
    assert texts(emulator) == {US: "Hi Ada", GB: "Hi you"}


def test_media_whatsapp_and_other_options(emulator: Running) -> None:
    picture = {"text": "Look", "media": ["https://example.com/a.png"]}
    emulator.twilio.change(check_senders=False)
    classic([US], content=picture, options={"provide_feedback": True}).execute(a_run())
    classic([GB], content="Hi", sender="whatsapp:+15005550006", send_key="b").execute(a_run())
    first, second = outbox(emulator)
    assert (first.media_count, first.body, first.provide_feedback) == (1, "Look", True)
    assert (second.to, second.from_) == (f"whatsapp:{GB}", "whatsapp:+15005550006")


def test_the_connection_may_choose_the_generation(emulator: Running) -> None:
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(bulk_generation="classic")):
        result = classic([US], generation=None).execute(a_run())
        assert result
        assert result["generation"] == "classic"
        other = classic([GB], generation="comms", messages_per_second=None).execute(a_run())
        assert other
        assert other["operation_ids"]
    mistyped = emulator.connection_json(bulk_generation="new")
    with (
        environment(AIRFLOW_CONN_TWILIO_DEFAULT=mistyped),
        pytest.raises(AirflowFailException, match="bulk_generation"),
    ):
        classic([US], generation=None).execute(a_run())


def test_files_go_the_same_way(emulator: Running, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(f"phone,name\n{US},Ada\n{GB},Eve\n")
    ObjectStorageToTwilioOperator(
        task_id="send",
        path=str(tmp_path / "people.csv"),
        content="Hi {{ name }}",
        sender="+15005550006",
        generation="classic",
        messages_per_second="unlimited",
        wait_for="accepted",
    ).execute(a_run())
    assert texts(emulator) == {US: "Hi Ada", GB: "Hi Eve"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sender": "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"}, "sender: is one of the Communications"),
        ({"sender": {"sender_id": "x"}}, "sender: is not one of the classic API"),
        ({"content": {"modules": [{"sms": {"text": "x"}}]}}, "content: modules are of the Communications"),
        ({"tags": {"a": "b"}}, "tags: are of the Communications"),
        ({"send_at": "2030-01-01T00:00:00Z"}, "send_at: only a messaging service"),
        ({"quiet_hours": "21:00-08:00"}, "quiet_hours: only a messaging service"),
        ({"options": {"validity": 3}}, "validity: there is no such argument"),
        ({"options": {"shorten_urls": True}}, "shorten_urls: needs a messaging service"),
        ({"generation": "comms", "messages_per_second": 3, "pace_by": "segments"}, "pace_by: is of the"),
        ({"generation": "comms", "messages_per_second": 3, "spread_over": 60}, "and spread_over both say"),
        ({"spread_over": 60}, "spread_over: only a messaging service"),
        ({"send_at_local": "09:00"}, "send_at_local: only a messaging service"),
        ({"generation": "comms", "options": {"attempt": 1}}, "options: is of the classic API"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_before_anything_is_read(
    emulator: Running, given: dict[str, Any], said: str
) -> None:
    given = {"messages_per_second": None, **given}
    with pytest.raises(AirflowFailException, match=said):
        classic(iter(()), **given).execute(a_run())


@pytest.mark.parametrize("given", [{"generation": "old"}, {"messages_per_second": 0}, {"pace_by": "words"}])
def test_arguments_are_checked_when_the_dag_is_parsed(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(given))):
        classic([US], **given)


def test_profiles_and_several_addresses_are_left_out(emulator: Running) -> None:
    rows = [{"profileId": "mem_profile_1", "memoryStoreId": "mem_store_1"}, {"phone": US}]
    result = classic(rows, on_invalid_recipient="skip").execute(a_run())
    assert result
    assert (result["recipients"], result["rejected"]) == (1, 1)


def test_guards_hold(emulator: Running) -> None:
    values = a_run()
    rows = [{"phone": each} for each in (US, GB, DE, US)]
    classic(rows, suppress=[DE], allowed_recipients=["+1*", "+49*"]).execute(values)
    assert received(emulator) == [US]
    assert values["ti"].xcoms["preflight"]["rejected"] == {"duplicate": 1, "suppressed": 1, "not_allowed": 1}


def test_the_preflight_counts_requests_and_segments_and_prices(emulator: Running) -> None:
    values = a_run()
    rows = [{"phone": US, "name": "x" * 160}, {"phone": GB, "name": "Ada"}]
    classic(rows, content="Hi {{ name }}", dry_run=True).execute(values)
    report = values["ti"].xcoms["preflight"]
    assert (report["requests"], report["segments"]["total"]) == (2, 3)
    assert report["cost"]["high"]
    assert report["drain"] == {"per_second": 1.0, "seconds": 3, "in_time": True}
    assert texted(emulator) == [0, 0]


def test_a_queue_that_does_not_drain_in_time_is_said(
    emulator: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        values = a_run()
        classic(people(30), options={"validity_period": 10}, dry_run=True).execute(values)
    assert values["ti"].xcoms["preflight"]["drain"] == {"per_second": 1.0, "seconds": 30, "in_time": False}
    assert "does not drain within the validity period (10 s)" in capsys.readouterr().out + caplog.text
    values = a_run()
    paced = {"messages_per_second": None, "options": {"validity_period": 10}}
    classic(people(30), dry_run=True, **paced).execute(values)
    assert values["ti"].xcoms["preflight"]["drain"]["in_time"]


def test_quiet_hours_are_scheduled_through_the_service(emulator: Running) -> None:
    sid = service(**NUMBERS)
    now = datetime.now(timezone.utc)
    quiet = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M} UTC"
    result = classic([US], sender=sid, quiet_hours=quiet).execute(a_run())
    assert result
    (message,) = outbox(emulator)
    assert message.status(emulator.twilio.clock.now()) == "scheduled"
    assert result["messages"]["messaging_service_sid"] == sid
    held = datetime.fromisoformat(result["messages"]["held_until"])
    assert abs(held.timestamp() - message.start) < 1


# Pace


def begun(emulator: Running) -> list[float]:
    return sorted(message.created for message in emulator.twilio.part(Messages).by_sid.values())


def test_a_number_sends_at_its_own_pace_if_none_is_given(emulator: Running) -> None:
    classic(people(3), messages_per_second=None).execute(a_run())
    times = begun(emulator)
    assert times[2] - times[0] > 1.5


def test_mapped_tasks_share_the_pace_by_segments(emulator: Running) -> None:
    values = {**a_run(), "expanded_ti_count": 4}
    given = {"messages_per_second": 40, "pace_by": "segments", "content": "x" * 170}
    classic(people(6), **given).execute(values)
    times = begun(emulator)
    assert times[5] - times[0] > 0.7  # ten segments a second, two in each message


def test_a_worker_that_waits_at_429_goes_on_slower(emulator: Running) -> None:
    emulator.twilio.faults.add(
        Fault(kind="rate_limited", method="POST", path="/Messages.json$", times=3, retry_after=0)
    )
    assert classic(people(20)).execute(a_run())
    assert texted(emulator) == [20, 1]


def test_a_send_that_is_done_reads_nothing_again(emulator: Running) -> None:
    store = MemoryStore()
    first = classic(people(5)).execute(context(store))
    again = classic([], on_empty="skip").execute(context(store, try_number=2))
    assert again == first
    assert store.get(HEADS)


def test_a_kept_plan_keeps_the_sids_for_other_tasks(emulator: Running, tmp_path: Path) -> None:
    store, kept = MemoryStore(), {"snapshot_path": str(tmp_path)}
    emulator.twilio.faults.add(
        Fault(kind="rate_limited", method="POST", path="/Messages.json$", skip=11, times=None)
    )
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        classic(people(30), **kept).execute(context(store))
    emulator.twilio.faults.clear()
    result = classic(people(3, first=90), **kept).execute(context(store, try_number=2))
    assert result
    assert texted(emulator) == [30, 1]
    sids = Path(result["messages"]["sids_path"].removeprefix("file://")).read_text().split("\n")
    assert sorted(sids) == sorted(emulator.twilio.part(Messages).by_sid)
    assert digest_of(sids) == result["messages"]["digest"]
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_whoever_opts_out_between_tries_is_left_out_of_a_batch_that_was_begun(
    emulator: Running, tmp_path: Path
) -> None:
    store, kept = MemoryStore(), {"snapshot_path": str(tmp_path)}
    emulator.twilio.faults.add(
        Fault(kind="rate_limited", method="POST", path="/Messages.json$", skip=11, times=None)
    )
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        classic(people(30), **kept).execute(context(store))
    emulator.twilio.faults.clear()
    sent = emulator.twilio.ledger.to_dict()["recipients"]
    numbers = [person["address"] for person in people(30)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    out = [
        number for pair in pairs if len(sent.keys() & set(pair)) == 1 for number in pair if number not in sent
    ]
    assert out, "no batch was half sent"
    assert classic(people(30), suppress=out, **kept).execute(context(store, try_number=2))
    assert set(numbers) - emulator.twilio.ledger.to_dict()["recipients"].keys() == set(out)
    assert texted(emulator) == [30 - len(out), 1]


# Waiting


@pytest.mark.parametrize("wait_for", ["processed", "delivered"])
def test_it_waits_in_the_worker_and_counts(emulator: Running, wait_for: Any) -> None:
    emulator.twilio.change(pace=0.3)
    result = classic(
        [*people(5), {"address": "+15005550004"}], wait_for=wait_for, **ENOUGH[wait_for]
    ).execute(a_run())
    assert result
    assert result["status"] == "COMPLETED"
    assert result["stats"]["failed"] == 1
    assert result["messages"]["refused"] == {"21610": 1}


ENOUGH: dict[str, dict[str, Any]] = {"processed": {"max_failed": 1}, "delivered": {"min_delivered": 5}}


def test_a_failure_is_red_with_the_codes(emulator: Running) -> None:
    emulator.twilio.change(pace=0.0)
    unreachable = "+12025559003"  # fails with 30003, by the emulator's table
    with pytest.raises(AirflowFailException, match="30003"):
        classic([US, unreachable], wait_for="delivered").execute(a_run())


def test_it_waits_in_the_triggerer_and_judges_by_its_own_sids(emulator: Running) -> None:
    store, values = MemoryStore(), None
    values = a_run(store=store)
    emulator.twilio.change(pace=3600.0)
    task = classic(people(5), wait_for="delivered", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(values)
    _, kwargs = deferred.value.trigger.serialize()
    assert "1202" not in str(kwargs)
    assert "SM" not in str(kwargs)
    emulator.twilio.clock.advance(7200.0)
    trigger = deferred.value.trigger

    async def events() -> Any:
        return [found.payload async for found in trigger.run()]

    trigger.not_before = 0.0
    (found,) = asyncio.run(events())
    result = classic(people(5), wait_for="delivered", deferrable=True).execute_complete(values, found)
    assert result["stats"]["delivered"] == 5


def test_results_of_mapped_sends_are_added_up(emulator: Running) -> None:
    results = [classic([each], send_key=each).execute(a_run()) for each in (US, GB)]
    total = merged(results)
    assert total["recipients"] == 2
    assert [each["sent"] for each in total["messages"]] == [1, 1]


# Tables and functions


def test_a_table_goes_the_same_way(emulator: Running, tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE people (id INTEGER, phone TEXT, name TEXT)")
        database.executemany("INSERT INTO people VALUES (?, ?, ?)", [(1, US, "Ada"), (2, GB, None)])
    table = json.dumps({"conn_type": "sqlite", "host": str(path)})
    with environment(AIRFLOW_CONN_PEOPLE=table):
        SqlToTwilioOperator(
            task_id="send",
            sql_conn_id="people",
            sql="SELECT phone, name FROM people ORDER BY id",
            content="Hi {{ name | default: 'there' }}",
            sender="+15005550006",
            generation="classic",
            messages_per_second="unlimited",
            wait_for="accepted",
        ).execute(a_run())
    assert texts(emulator) == {US: "Hi Ada", GB: "Hi there"}


def test_a_function_says_who_gets_it(emulator: Running, run_dag: Callable[..., DagRun]) -> None:
    with DAG("classic_function", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:

        @task.twilio_message(
            content="Hi {{ name }}",
            sender="+15005550006",
            generation="classic",
            messages_per_second="unlimited",
            wait_for="accepted",
        )
        def remind() -> list[dict[str, str]]:
            return [{"phone": US, "name": "Ines"}]

        remind()
    run_dag(dag)
    assert texts(emulator) == {US: "Hi Ines"}
