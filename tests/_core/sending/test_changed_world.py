"""Once, also when the world changes between two tries: lists, files, keys, clears, clocks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms._core.sending.ledger import HEADS, Outline
from airflow_provider_twilio_comms._core.sending.shared_keys import SharedKey
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import (
    RateLimited,
    RecipientsChanged,
    SendUncertain,
)
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import break_bulk, bulk, people, stopped_after, texted
from tests.operators.single_sends import ADA, EVE, break_posts, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

BAD, WORSE, REFUSES = "+15005550001", "+15005550009", "+15005550004"
CHUNKS = {"recipients_per_request": 3}


def hasty(emulator: Running) -> Any:
    """A connection that does not wait and try again."""
    return environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(max_attempts=1))


# Lists


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ([REFUSES, BAD, ADA], [ADA]),
        ([REFUSES, BAD, WORSE, ADA, EVE], [ADA, EVE]),
        ([REFUSES, ADA, BAD, EVE], [EVE, ADA]),
        ([ADA, REFUSES], [ADA, EVE]),
    ],
)
def test_refused_numbers_may_go_and_nobody_is_texted_again(
    emulator: Running, then: list[str], now: list[str]
) -> None:
    store = MemoryStore()
    with pytest.raises(AirflowFailException):
        message(to=then, on_invalid_recipient="skip").execute(context(store))
    assert message(to=now).execute(context(store, try_number=2, max_tries=4))
    assert taken(emulator) == dict.fromkeys({*now, *(then if ADA in then else ())} & {ADA, EVE}, 1)


def test_a_source_that_shrank_is_red_and_the_rest_is_not_forgotten(emulator: Running) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(9), **CHUNKS)
    with pytest.raises(AirflowFailException, match=r"the recipients \(9 then, 3 now\)"):
        bulk(people(3), **CHUNKS).execute(context(store, try_number=2))
    with pytest.raises(AirflowFailException, match=r"the recipients \(9 then, none now\)"):
        bulk([], on_empty="skip", **CHUNKS).execute(context(store, try_number=3))
    assert bulk(people(9), **CHUNKS).execute(context(store, try_number=4))
    assert texted(emulator) == [9, 1]


def test_nobody_at_all_is_still_a_skip_where_nothing_was_begun(emulator: Running) -> None:
    with pytest.raises(AirflowSkipException):
        bulk([], on_empty="skip").execute(context(MemoryStore(), try_number=2))


@pytest.mark.parametrize(
    ("now", "kwargs", "said"),
    [
        ([*people(1, first=50), *people(9)], {}, r"the recipients \(9 then, 10 now\)"),
        (people(9)[1:], {}, r"the recipients \(9 then, 8 now\)"),
        (list(reversed(people(9))), {}, "the order of the recipients"),
        (people(9), {"recipients_per_request": 4}, r"recipients_per_request \(3 then, 4 now\)"),
        (people(9), {"content": "Something else"}, "the message or its sender"),
    ],
    ids=["in front", "one less", "another order", "another size", "another text"],
)
def test_the_error_says_what_changed_and_advises_nothing_that_texts_twice(
    emulator: Running, now: list[Any], kwargs: dict[str, Any], said: str
) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(9), **CHUNKS)
    with pytest.raises(AirflowFailException, match=said) as caught:
        bulk(now, **{**CHUNKS, **kwargs}).execute(context(store, try_number=2))
    told = str(caught.value)
    assert "sent to 3 recipients in 1 request." in told
    assert "send_key" not in told
    assert "resend" not in told
    assert "1202" not in told
    assert texted(emulator) == [3, 1]


def test_a_refused_chunk_may_change_and_shifts_nothing(emulator: Running) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(9), **CHUNKS)
    changed = [*people(3), *people(2, first=3), *people(4, first=70)]
    assert bulk(changed, **CHUNKS).execute(context(store, try_number=2))
    assert texted(emulator) == [9, 1]


def test_whoever_is_suppressed_between_tries_is_no_shrinking(emulator: Running) -> None:
    store, rows = MemoryStore(), people(9)
    stopped_after(emulator, 1, store, rows, **CHUNKS)
    gone = rows[8]["address"]
    result = bulk(rows, suppress=[gone], **CHUNKS).execute(context(store, try_number=2))
    assert result
    assert (result["recipients"], result["rejected"]) == (8, 1)
    assert gone not in emulator.twilio.ledger.to_dict()["recipients"]
    assert texted(emulator) == [8, 1]


def test_everything_sent_and_too_old_is_waited_for(emulator: Running) -> None:
    store = MemoryStore()
    first = bulk(people(3)).execute(context(store))
    old = context(store, try_number=2) | {"data_interval_end": datetime.now(timezone.utc) - timedelta(days=2)}
    assert bulk(people(3), max_age=60).execute(old) == first


@pytest.mark.parametrize("kind", ["bulk", "single"])
@pytest.mark.parametrize("fewer", [0, 1])
def test_a_send_that_died_before_it_noted_its_end_is_complete(
    emulator: Running, kind: str, fewer: int
) -> None:
    def refuse(key: str, value: Any) -> None:
        if key == HEADS and any("done" in head for head in value.values()):
            raise ConnectionError("killed")

    numbers = [ADA, EVE]
    store = MemoryStore(refuse)

    def send(to: list[str]) -> Any:
        return bulk(to, recipients_per_request=1) if kind == "bulk" else message(to=to)

    with pytest.raises(ConnectionError):
        send(numbers).execute(context(store))
    store.refuse = lambda key, value: None
    result = send(numbers[:fewer]).execute(context(store, try_number=2))
    assert len(result["operation_ids" if kind == "bulk" else "sids"]) == 2
    assert taken(emulator) == {ADA: 1, EVE: 1}


# Clears and generations


def test_another_tasks_clear_begins_nothing_anew(emulator: Running) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(9), on_clear="resend", **CHUNKS)
    retry = context(store, try_number=2, clear_number=1)
    assert bulk(people(9), on_clear="resend", **CHUNKS).execute(retry)
    assert texted(emulator) == [9, 1]


def test_a_clear_of_this_task_resends_though_its_run_goes_on(emulator: Running) -> None:
    store = MemoryStore()
    run: Any = {"dag_run": SimpleNamespace(clear_number=0, start_date=datetime.now(timezone.utc))}
    first = message().execute({**context(store), **run})
    again = message(on_clear="resend").execute({**context(store, try_number=2, max_tries=4), **run})
    assert again["sids"] != first["sids"]
    assert taken(emulator) == {ADA: 2}
    retried = message(on_clear="resend").execute({**context(store, try_number=3, max_tries=4), **run})
    assert retried["sids"] == again["sids"]
    assert message().execute({**context(store, try_number=4, max_tries=4), **run})["sids"] == again["sids"]


def test_a_first_try_that_never_began_takes_nobody_elses_message(emulator: Running) -> None:
    run: Any = {"dag_run": SimpleNamespace(clear_number=0, start_date=datetime.now(timezone.utc))}
    stage_1 = message().execute({**context(MemoryStore(), task_id="stage_1"), **run})
    stage_2 = message().execute({**context(MemoryStore(), try_number=2, task_id="stage_2"), **run})
    assert stage_1["sids"] != stage_2["sids"]
    assert taken(emulator) == {ADA: 2}


# Tags


def test_equal_keys_without_notes_never_take_each_others_messages(emulator: Running) -> None:
    """Outside of Airflow no notes are kept: the tags alone have to tell two sends apart."""
    bulk(people(2), send_key="spring").execute(context(MemoryStore(), task_id="a"))
    break_bulk(emulator, "drop_before")
    with pytest.raises(AirflowFailException) as caught:
        bulk(people(2, first=2), send_key="spring").execute(context(MemoryStore(), task_id="b"))
    assert isinstance(caught.value.__context__, RecipientsChanged)
    assert texted(emulator) == [2, 1]


def test_a_key_that_renders_to_nothing_is_no_default_key(emulator: Running) -> None:
    with pytest.raises(AirflowFailException, match="send_key: is empty"):
        bulk(people(2), send_key=" ").execute(context(MemoryStore()))
    assert texted(emulator) == [0, 0]


def test_two_airflows_with_equal_names_find_nothing_of_each_other(emulator: Running) -> None:
    with environment(AIRFLOW__TWILIO__INSTALLATION_ID="staging"):
        bulk(people(2)).execute(context(MemoryStore()))
    break_bulk(emulator, "drop_before")
    with environment(AIRFLOW__TWILIO__INSTALLATION_ID="production"), pytest.raises(SendUncertain):
        bulk(people(5)).execute(context(MemoryStore()))
    assert texted(emulator) == [2, 1]


def test_the_same_key_content_and_people_are_sent_once_in_whichever_airflow(emulator: Running) -> None:
    first = bulk(people(5), send_key="spring", **CHUNKS).execute(context(MemoryStore(), run_id="monday"))
    again = bulk(people(5), send_key="spring", **CHUNKS).execute(context(MemoryStore(), run_id="tuesday"))
    assert first
    assert again
    assert again["operation_ids"] == first["operation_ids"]
    assert texted(emulator) == [5, 1]


class MemoryNotes(dict[str, str]):
    """Airflow's Variables."""

    def read(self, name: str) -> str | None:
        return self.get(name)

    def write(self, name: str, text: str) -> None:
        self[name] = text


def test_a_key_that_a_killed_try_took_is_done_with_the_retry(emulator: Running) -> None:
    notes, outline = MemoryNotes(), Outline("content", "people", "plan", 1, 3)
    hook = TwilioHook()
    assert hook.run(SharedKey(notes, "spring", "monday", settle=0.0).take(outline)) is None
    SharedKey(notes, "spring", "monday").finish(["an id"])  # by another try, which did not take it
    note = hook.run(SharedKey(notes, "spring", "tuesday", patience=0.0).take(outline))
    assert note
    assert note.ids == ["an id"]


@pytest.mark.parametrize("changed", [{"content": "Another text"}, {"recipients": people(4, first=1)}])
def test_another_send_under_the_same_key_is_an_error(emulator: Running, changed: dict[str, Any]) -> None:
    bulk(people(4), send_key="spring").execute(context(MemoryStore(), run_id="monday"))
    given = {"recipients": people(4), "send_key": "spring", **changed}
    with pytest.raises(AirflowFailException, match="another send under the tag"):
        bulk(**given).execute(context(MemoryStore(), run_id="tuesday"))
    assert texted(emulator) == [4, 1]


def test_a_list_that_ignores_the_filter_by_tag_is_not_believed(emulator: Running) -> None:
    store = MemoryStore()
    bulk(people(3), send_key="other").execute(context(MemoryStore(), task_id="other"))
    break_bulk(emulator, "drop_before")
    emulator.twilio.change(ignore_tags=True)
    with pytest.raises(SendUncertain, match="ignores the filter"):
        bulk(people(3, first=10)).execute(context(store))
    emulator.twilio.change(ignore_tags=False)
    assert bulk(people(3, first=10), on_unknown="resend").execute(context(store, try_number=2))
    assert texted(emulator) == [6, 1]


def test_a_clock_that_is_ahead_finds_its_chunk(emulator: Running) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_after")
    emulator.twilio.change(list_lag=3600.0)
    with pytest.raises(SendUncertain):
        bulk(people(3)).execute(context(store))
    emulator.twilio.change(list_lag=0.0)
    for key, value in store.values.items():  # as if that worker's clock had been ten minutes ahead
        entry = json.loads(value)
        if entry.get("state") == "sending":
            store.values[key] = json.dumps({**entry, "since": entry["since"] + 600})
    assert bulk(people(3)).execute(context(store, try_number=2))
    assert texted(emulator) == [3, 1]


def moved(store: MemoryStore, seconds: float) -> None:
    """As if the clock of the worker that was killed had been so far ahead."""
    for key, value in store.values.items():
        entry = json.loads(value)
        if entry.get("state") == "sending":
            store.values[key] = json.dumps({**entry, "since": entry["since"] + seconds})


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_message_is_found_whichever_way_the_clock_was_wrong(emulator: Running, seconds: float) -> None:
    store = MemoryStore()
    break_posts(emulator, "drop_after")
    emulator.twilio.change(list_lag=3600.0)
    with pytest.raises(SendUncertain):
        message().execute(context(store))
    emulator.twilio.change(list_lag=0.0)
    moved(store, seconds)
    assert message().execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1}


def test_a_clock_that_was_ahead_keeps_no_later_try_waiting(emulator: Running) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_before")
    with pytest.raises(SendUncertain):
        bulk(people(3)).execute(context(store))
    moved(store, 600)
    looks = emulator.twilio.journal.to_dict()["total"]
    with pytest.raises(SendUncertain):
        bulk(people(3)).execute(context(store, try_number=2))
    assert emulator.twilio.journal.to_dict()["total"] - looks < 10
    assert texted(emulator) == [0, 0]


def test_a_look_that_fails_leaves_the_send_uncertain(emulator: Running) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_after")
    emulator.twilio.faults.add(Fault(kind="error_before", method="GET", path="/Messages$", times=None))
    with hasty(emulator), pytest.raises(SendUncertain, match=r"request 1 of 1 .* Twilio's list answered"):
        bulk(people(3)).execute(context(store))
    emulator.twilio.faults.clear()
    assert bulk(people(3)).execute(context(store, try_number=2))
    assert texted(emulator) == [3, 1]


# What nobody knows


@pytest.mark.parametrize("wait_for", ["processed", "delivered"])
def test_what_was_only_assumed_is_not_green(emulator: Running, wait_for: Any) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_before")
    with pytest.raises(SendUncertain, match="3 recipients were taken as sent"):
        bulk(people(3), on_unknown="assume_sent", wait_for=wait_for).execute(context(store))


def test_an_assumed_chunk_does_not_count_as_delivered(emulator: Running) -> None:
    emulator.twilio.change(pace=0.0)
    break_bulk(emulator, "drop_before", skip=1)
    given = {"on_unknown": "assume_sent", "wait_for": "delivered", **CHUNKS}
    with pytest.raises(AirflowFailException, match=r"3 of 6 were delivered"):
        bulk(people(6), min_delivered=1.0, **given).execute(context(MemoryStore()))


def test_an_assumed_chunk_that_turns_up_is_counted_on_the_next_try(emulator: Running) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_after")
    emulator.twilio.change(list_lag=3600.0)
    given = {"on_unknown": "assume_sent", "wait_for": "processed"}
    with pytest.raises(SendUncertain):
        bulk(people(3), **given).execute(context(store))
    emulator.twilio.change(list_lag=0.0, pace=0.0)
    result = bulk(people(3), **given).execute(context(store, try_number=2))
    assert result
    assert len(result["operation_ids"]) == 1
    assert texted(emulator) == [3, 1]


@pytest.mark.parametrize("wait_for", ["sent", "delivered"])
def test_an_assumed_message_is_not_green(emulator: Running, wait_for: Any) -> None:
    break_posts(emulator, "drop_before")
    with pytest.raises(SendUncertain, match="1 of 1 messages were taken as sent"):
        message(on_unknown="assume_sent", wait_for=wait_for).execute(context(MemoryStore()))


def test_messages_without_a_text_are_told_apart_by_their_files(emulator: Running) -> None:
    files = {"body": None, "media_url": ["https://example.com/a.png", "https://example.com/b.png"]}
    message(body=None, media_url=["https://example.com/invoice.png"]).execute(context(MemoryStore()))
    break_posts(emulator, "drop_before")
    with pytest.raises(SendUncertain):
        message(**files).execute(context(MemoryStore(), task_id="ticket"))


def test_many_failures_are_told_in_few_words_and_not_all_are_tried(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="rate_limited", times=None, method="POST", path="/Messages.json$"))
    numbers = [f"+1202555{number:04d}" for number in range(200)]
    with hasty(emulator), pytest.raises(RateLimited) as caught:
        message(to=numbers).execute(context(MemoryStore()))
    assert len(str(caught.value)) < 1_000
    assert emulator.twilio.journal.to_dict()["total"] == 5


def test_a_resumed_task_that_lost_its_xcom_asks_the_ledger(emulator: Running) -> None:
    store = MemoryStore()
    emulator.twilio.change(pace=0.0)
    task = bulk(people(3), wait_for="processed")
    result = task.execute(context(store))
    assert result
    from airflow_provider_twilio_comms._core.waiting.operations import Outcome, observed

    (identity,) = result["operation_ids"]
    operation = TwilioHook().run(observed(identity))
    assert operation
    event = Outcome("done", {identity: operation}).to_event()
    assert bulk(people(3), wait_for="processed").execute_complete(context(store), event) == result
