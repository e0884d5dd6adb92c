"""The delivery view's reading, sums and pictures, without Airflow and without a browser."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger, Outline
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.error_codes import Verdict
from airflow_provider_twilio_comms.plugins.delivery import charts, pages
from airflow_provider_twilio_comms.plugins.delivery.overview import (
    ADVICE,
    Bucket,
    Counters,
    Point,
    accepted_over_time,
    counters_of,
    over_time,
    overview,
    round_down,
)
from airflow_provider_twilio_comms.plugins.delivery.sends import Found, Key, Note, Part, Send, read

AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
KEY = Key("campaign", "manual__1", "send")
ONE, TWO = "comms_operation_01", "comms_operation_02"
SID = "SM" + "0" * 31
COUNTS = {"total": 100, "delivered": 80, "read": 5, "failed": 10, "unaddressable": 2}


def found(state: str | None = "success", notes: tuple[Note, ...] = (), **xcoms: Any) -> Found:
    return Found(KEY, state, AT, AT + timedelta(minutes=1), xcoms, notes)


def note(name: str, value: Any, seconds: int = 0, ledger: str = "ab" * 10) -> Note:
    return Note(f"twilio.{ledger}.{name}", json.dumps(value), AT + timedelta(seconds=seconds))


def head(parts: int = 1, since: float = 0.0, ledger: str = "ab" * 10) -> dict[str, Any]:
    return {"name": ledger, "max_tries": 0, "outline": {"parts": parts}, "since": since}


def heads(*each: Any) -> Note:
    return Note("twilio.ledger", json.dumps({str(slot): value for slot, value in enumerate(each)}), AT)


def send(**values: Any) -> Send:
    return Send(**{"key": KEY, "kind": "operations", "phase": "done", "began": AT, **values})


BULK = {"twilio_sent": {"operation_ids": [ONE, TWO], "recipients": 100, "rejected": 3}}


def test_a_bulk_send_is_read() -> None:
    one = read(found(**BULK, return_value={"operation_ids": [ONE, TWO], "stats": COUNTS}))
    assert one
    assert (one.kind, one.phase, one.ids, one.recipients, one.rejected) == (
        "operations",
        "done",
        (ONE, TWO),
        100,
        3,
    )
    assert counters_of(one) == Counters(delivered=85, failed=12, open=3)
    assert not one.in_flight


def test_the_codes_of_a_green_send_are_read_and_are_a_sample_only_if_they_do_not_add_up() -> None:
    stats = {"total": 10, "failed": 1, "undelivered": 2, "delivered": 7}
    for codes, sampled in (({"30003": 2, "30005": 1}, False), ({"30003": 2}, True), ({}, True)):
        one = read(found(**BULK, return_value={"operation_ids": [ONE], "stats": stats, "codes": codes}))
        assert one
        assert dict(one.codes) == {int(code): count for code, count in codes.items()}
        assert one.sampled == sampled


def test_single_messages_are_read() -> None:
    statuses = {"delivered": 2, "failed": 1, "accepted": 1}
    ids = [SID + each for each in "0123"]
    one = read(found(twilio_sent=ids, return_value={"sids": ids, "statuses": statuses}))
    assert one
    assert (one.kind, one.ids, one.recipients) == ("messages", tuple(ids), 4)
    assert counters_of(one) == Counters(2, 1, 1)
    failed = read(found("failed", twilio_sent=ids, twilio_outcome={"stats": statuses, "codes": {"30003": 1}}))
    assert failed
    assert (counters_of(failed), failed.codes, failed.sampled) == (Counters(2, 1, 1), ((30003, 1),), False)


def test_an_answered_question_has_nothing_open() -> None:
    ids = [SID + each for each in "01"]
    asked = read(found("deferred", twilio_sent=ids))
    assert asked
    assert counters_of(asked) == Counters(open=2)
    for via, delivered, words in (
        ("text", 1, "2 messages, answered by text"),
        ("airflow", 0, "2 messages, answered in Airflow"),
    ):
        answered = read(found(twilio_sent=ids, return_value={"option": "YES", "via": via}))
        assert answered
        assert (answered.phase, counters_of(answered)) == ("done", Counters(delivered))
        assert pages.words(answered) == words


def test_a_task_that_failed_before_it_sent_is_read_with_its_error() -> None:
    error = f"InvalidInput: row 1, phone: {NUMBER} has no country code\nand more"
    for state, phase in (("failed", "failed"), ("up_for_retry", "resumable")):
        refused = read(found(state, twilio_outcome={"error": error}))
        assert refused
        assert (refused.kind, refused.phase) == ("nothing", phase)
        assert refused.error == "InvalidInput: row 1, phone: <number> has no country code"
        told = overview([refused])
        assert (told.sends, told.counters, told.failures) == ([refused], Counters(), [])
        assert pages.words(refused) == "sent nothing"


def test_a_sensor_and_receipts_are_read_and_other_tasks_are_not() -> None:
    link = "https://console.twilio.com/messages"
    waiting = read(found("deferred", twilio_messages_url=link))
    assert waiting
    assert (waiting.kind, waiting.phase) == ("wait", "waiting")
    receipts = read(found(twilio_outcome={"operation_ids": [ONE], "codes": {"30003": 2}, "complete": True}))
    assert receipts
    assert (receipts.kind, receipts.codes, receipts.sampled) == ("receipts", ((30003, 2),), False)
    assert read(found(return_value={"operation_ids": [ONE], "stats": COUNTS})) is None
    assert read(found(notes=(Note("twilio.read.x", "{}", AT), Note("other", "1", AT)))) is None


@pytest.mark.parametrize(
    ("state", "sent", "phase"),
    [
        ("running", False, "sending"),
        ("running", True, "waiting"),
        ("deferred", True, "waiting"),
        ("up_for_reschedule", True, "waiting"),
        ("up_for_retry", False, "resumable"),
        (None, True, "resumable"),
        ("success", True, "done"),
        ("failed", False, "failed"),
        ("removed", True, "skipped"),
        ("a state of tomorrow", True, "resumable"),
    ],
)
def test_the_phase_follows_the_tasks_state(state: str | None, sent: bool, phase: str) -> None:
    one = read(found(state, (heads(head()),), **(BULK if sent else {})))
    assert one
    assert one.phase == phase


def test_the_ledger_tells_of_requests_that_came_back_and_of_one_that_did_not() -> None:
    notes = (
        heads(head(7, 1.0, "cd" * 10), head(3, AT.timestamp() - 60), "no head", {"name": TEXT}),
        note("1", {"state": "sending", "count": 50, "since": 1.0}, 9),
        note("0", {"state": "accepted", "count": 100, "operation_id": ONE}, 5),
        note("0", {"state": "accepted", "count": 7, "operation_id": TWO}, 1, "cd" * 10),  # of a send before
    )
    one = read(found("failed", notes))
    assert one
    assert [(part.number, part.state, part.people, part.identity) for part in one.parts] == [
        (0, "accepted", 100, ONE),
        (1, "sending", 50, None),
    ]
    assert (one.planned, one.ids, one.recipients, one.uncertain) == (3, (ONE,), 100, 1)
    assert one.began == AT - timedelta(seconds=60)
    going = read(found("running", notes))
    assert going
    assert going.uncertain == 0


def test_what_the_ledger_writes_is_read() -> None:
    stored: dict[str, Any] = {}

    class Store:
        def get(self, key: str, default: Any = None) -> Any:
            return stored.get(key, default)

        def set(self, key: str, value: Any, *, retention: Any = None) -> None:
            stored[key] = value

    def seen(**xcoms: Any) -> Send:
        notes = tuple(Note(key, json.dumps(value), AT) for key, value in stored.items())
        one = read(found("running", notes, **xcoms))
        assert one
        return one

    ledger = Ledger(Store(), "a send", retried=False, slot="a slot")
    ledger.begin(Outline("content", "people", "plan", parts=3, recipients=250), AT.timestamp())
    assert (seen().kind, seen().phase, seen().planned, seen().began) == ("operations", "sending", 3, AT)
    entry = ledger.sending(Entry("sending", "f", 100), "chunk 1")
    ledger.settled(msgspec.structs.replace(entry, state="accepted", operation_id=ONE))
    ledger.sending(Entry("sending", "g", 100, part=1), "chunk 2")
    assert [(part.number, part.state, part.people) for part in seen().parts] == [
        (0, "accepted", 100),
        (1, "sending", 100),
    ]
    assert (seen().ids, seen().recipients) == ((ONE,), 100)

    stored.clear()
    ledger = Ledger(Store(), "a classic send", retried=False, noun="batch")
    ledger.begin(Outline("content", "people", "plan", parts=1, recipients=5), AT.timestamp())
    entry = ledger.sending(Entry("sending", "f", 5), "batch 1")
    places = [SID + "1", SID + "2", "21211", "~", ""]
    ledger.settled(msgspec.structs.replace(entry, state="accepted", messages=places))
    one = seen()
    assert (one.kind, one.recipients, one.ids) == ("messages", 3, ())
    assert pages.words(one) == "3 messages"

    stored.clear()
    ledger = Ledger(Store(), "a few messages", retried=False, noun="message")
    ledger.begin(Outline("content", "people", "plan", parts=3, recipients=3), AT.timestamp())
    entry = ledger.sending(Entry("sending", "f", 3, people=["a", "b", "c"]), "message 1 and 2 after it")
    assert (seen().kind, seen().recipients, pages.words(seen())) == ("messages", 0, "0 messages")
    sids = (f"SM{1:032x}", f"SM{2:032x}")
    ledger.settled(msgspec.structs.replace(entry, state="accepted", count=2, messages=[*sids, "!"]))
    assert (seen().kind, seen().recipients, seen().ids) == ("messages", 2, sids)


NUMBER, TEXT = "+12025550101", "Hello Zoë"


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        [NUMBER, TEXT],
        {"operation_ids": [NUMBER, ONE + TEXT], "recipients": NUMBER, "stats": {NUMBER: 1, "total": TEXT}},
        {"operation_ids": NUMBER, "stats": [TEXT], "codes": {NUMBER: 1, TEXT: 2, "30003": -1}},
        {"statuses": {TEXT: True}, "codes": [NUMBER], "error": [TEXT], "via": TEXT},
        {"error": f"to {NUMBER}: password={TEXT.replace(' ', '')}"},
        None,
        7,
    ],
    ids=repr,
)
def test_what_an_author_puts_into_our_xcoms_is_not_shown(value: Any) -> None:
    xcoms = dict.fromkeys(("twilio_sent", "twilio_outcome", "return_value", "twilio_messages_url"), value)
    one = read(
        found(
            notes=(
                heads(value, head()),
                Note("twilio.ledger", json.dumps(value), AT),
                note("0", value),
                note("1", TEXT),
            ),
            **xcoms,
        )
    )
    shown = repr(one) + repr(overview([one] if one else []))
    assert NUMBER not in shown
    assert TEXT not in shown


def test_notes_that_are_no_json_are_left_alone() -> None:
    one = read(found(notes=(heads(head()), Note(f"twilio.{'ab' * 10}.0", "{", AT))))
    assert one
    assert one.parts == ()


def test_an_operation_counts_once_whoever_waits_for_it() -> None:
    sent = send(ids=(ONE,), recipients=100)
    waits = send(kind="wait", ids=(ONE,), stats=Stats(**COUNTS), key=KEY._replace(task_id="wait"))
    again = send(kind="wait", ids=(ONE,), stats=Stats(**COUNTS), key=KEY._replace(task_id="again"))
    going = send(phase="waiting", ids=(TWO,), recipients=40)
    both = overview([sent, waits, again, going])
    assert both.counters == Counters(85, 12, 43)
    assert (both.operations_done, both.operations_in_flight, both.in_flight) == (1, 1, 1)
    assert overview([send(ids=(ONE,), stats=Stats(**COUNTS)), waits]).counters == Counters(85, 12, 3)


def test_failures_are_told_with_verdict_and_advice() -> None:
    sampled = send(
        phase="failed", ids=(ONE,), stats=Stats(**COUNTS), codes=((21610, 3), (99999, 1)), sampled=True
    )
    unreached, unasked, opted, unlisted = sorted(
        overview([sampled]).failures, key=lambda each: (each.code or 0, each.count)
    )
    assert (unreached.count, unreached.verdict) == (2, "recipient")
    assert (unasked.count, unasked.verdict, unasked.meaning) == (6, "", "reason not looked up")
    assert (opted.code, opted.count, opted.sampled) == (21610, 3, True)
    assert (opted.meaning, opted.advice) == ("the recipient opted out", ADVICE[Verdict.OPT_OUT])
    assert (unlisted.code, unlisted.meaning, unlisted.verdict) == (99999, "not listed", "unknown")


def test_receipts_explain_every_failure_of_the_sends_they_were_read_of() -> None:
    sends = [
        send(ids=(name,), stats=Stats(**COUNTS), codes=((21610, 1),), key=KEY._replace(run_id=name))
        for name in (ONE, TWO)
    ]
    receipts = send(kind="receipts", ids=(ONE, TWO), codes=((30003, 15), (30005, 5)))
    told = overview([*sends, receipts])
    reasons = {(each.code, each.count, each.sampled) for each in told.failures}
    assert reasons == {(30003, 15, False), (30005, 5, False), (None, 4, False)}
    assert [each.kind for each in told.sends] == ["operations", "operations"]


def test_counters_over_time_fall_into_equal_stretches() -> None:
    until = AT + timedelta(hours=4)
    one = send(stats=Stats(**COUNTS), ids=(ONE,))
    late = send(began=until, recipients=7, ids=(TWO,))
    early = send(began=AT - timedelta(seconds=1), recipients=9)
    unbegun = send(began=None, recipients=3)
    found = overview([one, late, early, unbegun])
    buckets = over_time(found, AT, until, timedelta(hours=1))
    assert [bucket.start for bucket in buckets] == [AT + timedelta(hours=hour) for hour in range(4)]
    # Whatever the totals count is in a column, the first or the last if need be.
    assert [bucket.counters.total for bucket in buckets] == [109, 0, 0, 10]
    assert sum(bucket.counters.total for bucket in buckets) == found.counters.total


@pytest.mark.parametrize(("width", "start"), [(1, 13), (6, 12), (24, 0)])
def test_columns_begin_at_round_times(width: int, start: int) -> None:
    at = AT.replace(hour=13, minute=38, second=7)
    assert round_down(at, timedelta(hours=width)) == at.replace(hour=start, minute=0, second=0)


def test_what_was_accepted_grows_and_is_thinned() -> None:
    parts = [Part(n, "accepted", 10, None, AT + timedelta(seconds=n)) for n in range(1000)]
    points = accepted_over_time(AT, [*parts, Part(1000, "sending", 10, None, AT)])
    assert len(points) <= 202
    assert (points[0], points[-1]) == (Point(AT, 0), Point(AT + timedelta(seconds=999), 10_000))
    assert all(one.accepted <= two.accepted for one, two in pairwise(points))
    assert accepted_over_time(AT, []) == []


@pytest.mark.parametrize(("count", "top"), [(0, 0), (1, 1), (3, 4), (10, 10), (11, 20), (61_000, 80_000)])
def test_the_scale_ends_at_a_round_number(count: int, top: int) -> None:
    picture = charts.columns([Bucket(AT, Counters(count, 0, 0))], "Messages")
    assert (f"<span>{top:,}</span>" in picture) == (top > 0)


def test_pictures_have_a_text_and_no_style_of_their_own() -> None:
    buckets = [Bucket(AT + timedelta(days=day), Counters(day, 1, 0)) for day in range(30)]
    points = [Point(AT, 0), Point(AT + timedelta(minutes=5), 10_000)]
    for picture in (
        charts.columns(buckets, 'a "label" <b>'),
        charts.steps(points, 'a "label" <b>'),
        charts.steps(points[:1], 'a "label" <b>'),
        charts.steps([], 'a "label" <b>'),
    ):
        assert 'aria-label="a &#34;label&#34; &lt;b&gt;"' in picture
        assert not re.search(r"style=|<script|href|url\(", picture)
        assert "nan" not in picture
    assert "<text" not in picture, "text would be scaled with the drawing"
    assert "<title>2026-11-20 12:00: 0 delivered, 1 failed, 0 open</title>" in charts.columns(buckets, "x")
    assert charts.bar(Counters(1, 1, 2)).count("<rect") == 4
    assert charts.bar(Counters()).count("<rect") == 1


@pytest.mark.parametrize("count", [24, 29, 31])
def test_the_last_column_has_its_date(count: int) -> None:
    buckets = [Bucket(AT + timedelta(days=day), Counters(1, 0, 0)) for day in range(count)]
    ticks = charts.columns(buckets, "x").split('<div class="ticks"')[1]
    assert 4 <= ticks.count("<time") <= 8
    assert f">{buckets[-1].start:%d %b}</time></span></div>" in ticks


@pytest.mark.parametrize(
    ("width", "count", "named"),
    [
        (1, 24, ["12:00", "16:00", "20:00", "00:00", "04:00", "11:00"]),
        (6, 28, [*(f"{day} Nov" for day in range(21, 27)), "27 Nov"]),
    ],
)
def test_columns_are_named_at_round_times(width: int, count: int, named: list[str]) -> None:
    buckets = [Bucket(AT + timedelta(hours=width) * place, Counters(1, 0, 0)) for place in range(count)]
    assert re.findall(r">([^<>]+)</time>", charts.columns(buckets, "x")) == named


def test_ends_of_one_minute_differ_by_their_seconds() -> None:
    picture = charts.steps([Point(AT, 0), Point(AT + timedelta(seconds=5), 10)], "x")
    assert ">2026-11-20 12:00:00</time>" in picture
    assert ">2026-11-20 12:00:05</time>" in picture
    assert charts.moment(AT, AT + timedelta(minutes=1)) == "2026-11-20 12:00"


@pytest.mark.parametrize(
    ("page", "shown", "first", "last"), [(1, 50, 1, 50), (3, 20, 101, 120), (9, 20, 101, 120), (0, 50, 1, 50)]
)
def test_a_long_list_is_shown_a_page_at_a_time(page: int, shown: int, first: int, last: int) -> None:
    slice_ = pages.Slice.of(range(120), page)
    assert (len(slice_.items), slice_.first, slice_.last, slice_.pages) == (shown, first, last, 3)
    assert pages.Slice.of([], page).first == 0


def test_addresses_take_any_name() -> None:
    key = Key("a/b", "manual__2026-11-20T12:00:00+00:00", "t", 3)
    assert (
        pages.of_airflow(key) == "/dags/a%2Fb/runs/manual__2026-11-20T12%3A00%3A00%2B00%3A00/tasks/t/mapped/3"
    )
    assert "run_id=manual__2026-11-20T12%3A00%3A00%2B00%3A00" in pages.of_ours(key)
    assert pages.of_airflow(KEY) == "/dags/campaign/runs/manual__1/tasks/send"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ids": (ONE,)}, "1 operation"),
        ({"ids": (ONE,), "phase": "sending", "planned": 1000}, "1 operation of 1,000"),
        ({"ids": (SID, SID), "kind": "messages"}, "2 messages"),
        ({"kind": "wait", "ids": (ONE,)}, "waits for others' sends"),
    ],
)
def test_what_a_task_is_about_is_told_in_words(values: dict[str, Any], words: str) -> None:
    assert pages.words(send(**values)) == words
