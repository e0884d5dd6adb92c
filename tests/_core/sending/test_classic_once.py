"""Classic bulk sends, once: batches that are noted, killed workers, lost replies, and pages of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.sending.ledger import HEADS, digest_of
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    RateLimited,
    SendUncertain,
    TwilioError,
)
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import people, texted
from tests.operators.classic_sends import break_classic, classic

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

REFUSES, OPTED_OUT, NO_COUNTRY = "+15005550001", "+15005550004", "+15005550003"


class Died(BaseException):
    """The worker is gone."""


def places(store: MemoryStore) -> list[str]:
    """Return what the ledger knows of each message that was begun; "?" in a batch never settled."""
    found: list[str] = []
    for key in store.values:
        entry = store.get(key)
        if key != HEADS and entry["state"] != "refused":
            found += entry.get("messages") or ["?"] * entry["count"]
    return found


def requests(emulator: Running, method: str, path: str) -> int:
    counts = emulator.twilio.journal.to_dict()["counts"]
    return sum(count for name, count in counts.items() if name.startswith(method) and path in name)


def dying(after: int) -> MemoryStore:
    """A store at whose given write the worker dies; later ones do not get through either."""
    left = [after]

    def write(key: str, value: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    return MemoryStore(write)


def test_a_batch_is_noted_before_its_first_message_and_once_after(emulator: Running) -> None:
    writes: list[str] = []

    def look(key: str, value: Any) -> None:
        writes.append(value.get("state", "head"))
        sent = len(emulator.twilio.ledger.recipients)
        assert sent <= len(places(store)) or value.get("state") == "sending"
        assert places(store).count("?") <= 8

    store = MemoryStore(look)
    result = classic(people(30)).execute(context(store))
    assert writes.count("sending") == writes.count("accepted") == 15
    assert writes.count("head") == 2
    sids = list(emulator.twilio.part(Messages).by_sid)
    assert sorted(places(store)) == sorted(sids)
    assert result
    assert result["messages"]["digest"] == digest_of(sids)


@pytest.mark.parametrize("write", range(0, 22, 2))
def test_a_worker_that_dies_at_any_write_loses_nobody(emulator: Running, write: int) -> None:
    store = dying(write)
    with pytest.raises(Died):
        classic(people(20)).execute(context(store))
    store.refuse = lambda key, value: None
    unknown = places(store).count("?")
    assert unknown <= 8
    told = ""
    try:
        classic(people(20), unknown_after=0.3).execute(context(store, try_number=2))
    except SendUncertain as error:
        told = str(error)
    assert int((told or "0").split(" ", 1)[0]) <= unknown
    assert "1202" not in told
    settled = classic(people(20), on_unknown="resend", unknown_after=0.3)
    assert settled.execute(context(store, try_number=3))
    assert texted(emulator) == [20, 1]


def test_a_send_is_not_complete_while_a_message_of_a_dead_worker_is_unknown(emulator: Running) -> None:
    """Batches that are found at Twilio are settled before the one that is not."""

    def die(key: str, value: Any) -> None:
        if value.get("state") == "accepted":
            raise Died

    break_classic(emulator, "drop_before", skip=5)
    store = MemoryStore(die)
    with pytest.raises(Died):
        classic(people(6)).execute(context(store))
    store.refuse = lambda key, value: None
    for attempt in (2, 3):
        with pytest.raises(SendUncertain, match="1 of 6 messages"):
            classic(people(6), unknown_after=0.3).execute(context(store, try_number=attempt))
    assert texted(emulator) == [5, 1]
    assert classic(people(6), on_unknown="resend").execute(context(store, try_number=4))
    assert texted(emulator) == [6, 1]


def test_what_a_dead_worker_left_is_looked_up_by_pages(emulator: Running) -> None:
    store = dying(60)
    with pytest.raises(Died):
        classic(people(300), requests_at_once=40).execute(context(store))
    store.refuse = lambda key, value: None
    unknown = places(store).count("?")
    assert 0 < unknown <= 40
    before = emulator.twilio.journal.to_dict()["total"]
    posted = texted(emulator)[0]
    again = classic(people(300), requests_at_once=40, on_unknown="resend", unknown_after=0.0)
    assert again.execute(context(store, try_number=2))
    made = emulator.twilio.journal.to_dict()["total"] - before
    assert texted(emulator) == [300, 1]
    assert made - (300 - posted) <= 3  # looks


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "error_before", "error_after", "cut"])
def test_a_lost_reply_is_looked_up_and_the_rest_goes_on(emulator: Running, kind: str) -> None:
    break_classic(emulator, kind, skip=5)
    store = MemoryStore()
    task = classic(people(20), unknown_after=0.3)
    if kind in ("drop_before", "error_before"):
        with pytest.raises(SendUncertain, match=r"1 of 20 messages were given to Twilio.*numbers \d+\."):
            task.execute(context(store))
        assert classic(people(20), on_unknown="resend").execute(context(store, try_number=2))
    else:
        assert task.execute(context(store))
    assert texted(emulator) == [20, 1]


def test_assumed_is_no_sid_and_is_looked_for_again(emulator: Running) -> None:
    emulator.twilio.change(list_lag=3600.0)
    break_classic(emulator, "drop_after", skip=2)
    store = MemoryStore()
    given = {"on_unknown": "assume_sent", "unknown_after": 0.0}
    result = classic(people(6), **given).execute(context(store))
    assert result
    assert (result["messages"]["sent"], result["messages"]["assumed"]) == (5, 1)
    emulator.twilio.change(list_lag=0.0)
    again = classic(people(6), **given).execute(context(store, try_number=2))
    assert again
    assert (again["messages"]["sent"], again["messages"]["assumed"]) == (6, 0)
    assert texted(emulator) == [6, 1]


def test_recipients_that_are_refused_are_counted_and_keep_nobody_back(emulator: Running) -> None:
    rows = [REFUSES, *(each["address"] for each in people(5)), OPTED_OUT, NO_COUNTRY]
    result = classic(rows).execute(context(MemoryStore()))
    assert result
    assert result["messages"]["refused"] == {"21211": 1, "21610": 1, "21408": 1}
    assert texted(emulator) == [5, 1]
    with pytest.raises(AirflowFailException) as caught:
        classic([REFUSES, OPTED_OUT]).execute(context(MemoryStore(), task_id="other"))
    assert isinstance(caught.value.__context__, DeliveryFailed)


def test_a_sender_that_cannot_send_ends_it_soon_and_a_later_try_sends_all(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.raises(AirflowFailException, match="messages were refused and not sent"):
        classic(people(200), sender="+15005550007").execute(context(store))
    assert emulator.twilio.journal.to_dict()["total"] < 40
    assert classic(people(200)).execute(context(store, try_number=2))
    assert texted(emulator) == [200, 1]


def test_too_many_requests_end_it_and_a_later_try_goes_on(emulator: Running) -> None:
    break_classic(emulator, "rate_limited", skip=11, times=None)
    store = MemoryStore()
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        classic(people(40)).execute(context(store))
    assert texted(emulator) == [11, 1]
    assert places(store).count("?") == 0
    emulator.twilio.faults.clear()
    assert classic(people(40)).execute(context(store, try_number=2))
    assert texted(emulator) == [40, 1]


def test_a_fence_that_refuses_ends_it(emulator: Running) -> None:
    def refuse(key: str, value: Any) -> None:
        if value.get("part") == 4:
            raise ConnectionError("no")

    store = MemoryStore(refuse)
    with pytest.raises(TwilioError, match="does not take the note"):
        classic(people(30)).execute(context(store))
    assert texted(emulator) == [8, 1]
    assert "?" not in places(store)


def test_another_number_at_once_changes_nothing_for_a_later_try(emulator: Running) -> None:
    store = dying(9)
    with pytest.raises(Died):
        classic(people(20)).execute(context(store))
    store.refuse = lambda key, value: None
    again = classic(people(20), requests_at_once=100, on_unknown="resend", unknown_after=0.0)
    assert again.execute(context(store, try_number=2))
    assert texted(emulator) == [20, 1]


def test_a_changed_list_or_text_is_an_error(emulator: Running) -> None:
    store = dying(9)
    with pytest.raises(Died):
        classic(people(20)).execute(context(store))
    store.refuse = lambda key, value: None
    for given, said in (({}, r"the recipients \(20 then, 19 now\)"), ({"content": "x"}, "the message")):
        rows = people(19, first=1) if not given else people(20)
        with pytest.raises(AirflowFailException, match=said):
            classic(rows, **given).execute(context(store, try_number=2))


def test_without_a_store_the_list_tells_what_was_sent(emulator: Running) -> None:
    break_classic(emulator, "rate_limited", skip=11, times=None)
    hasty = emulator.connection_json(max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty), pytest.raises(RateLimited):
        classic(people(40)).execute(context(None))
    emulator.twilio.faults.clear()
    before = emulator.twilio.journal.to_dict()["total"]
    assert classic(people(40), unknown_after=0.0).execute(context(None, try_number=2))
    assert texted(emulator) == [40, 1]
    assert emulator.twilio.journal.to_dict()["total"] - before == 29 + 1


def test_a_clear_that_is_meant_to_resend_begins_anew(emulator: Running) -> None:
    store = MemoryStore()
    classic(people(5)).execute(context(store))
    classic(people(5), on_clear="resend").execute(context(store, try_number=2, max_tries=4))
    assert texted(emulator) == [5, 2]


def test_the_authors_own_key_is_sent_once(emulator: Running) -> None:
    first = classic(people(5), send_key="spring").execute(context(MemoryStore(), run_id="monday"))
    assert first
    assert texted(emulator) == [5, 1]


def test_a_slow_one_holds_up_its_own_batch_only(emulator: Running) -> None:
    emulator.twilio.faults.add(
        Fault(kind="slow", seconds=2.0, method="POST", path="/Messages.json$", times=1, skip=3)
    )
    order: list[int] = []

    def look(key: str, value: Any) -> None:
        if value.get("state") == "accepted":
            order.append(value.get("part", 0))

    assert classic(people(40)).execute(context(MemoryStore(look)))
    assert order[-1] == 1  # the second batch, in which the slow one is
    assert len(order) == 20


def test_files_without_a_text_of_another_send_are_not_taken_for_these(emulator: Running) -> None:
    """Two messages with a file may be the one that is unknown: the list tells nothing."""
    files = {"content": {"media": [{"url": "https://example.com/a.png"}]}, "unknown_after": 0.0}
    store = MemoryStore()
    emulator.twilio.change(list_lag=3600.0)
    break_classic(emulator, "drop_before")
    with pytest.raises(SendUncertain):
        classic(people(1), **files).execute(context(store))
    emulator.twilio.change(list_lag=0.0)
    for number in range(2):
        classic(people(1), **files).execute(context(MemoryStore(), task_id=f"other {number}"))
    with pytest.raises(SendUncertain, match="its list shows more messages without a text than these"):
        classic(people(1), **files).execute(context(store, try_number=2))
    assert classic(people(1), on_unknown="resend", **files).execute(context(store, try_number=3))
    assert texted(emulator) == [1, 3]


@pytest.mark.parametrize(("doubtful", "pages"), [(3, 3), (4, 1)])
def test_a_few_are_looked_for_by_their_own_lists(emulator: Running, doubtful: int, pages: int) -> None:
    store = dying(3)  # after the head and two batches of two were noted
    with pytest.raises(Died):
        classic(people(doubtful)).execute(context(store))
    store.refuse = lambda key, value: None
    before = requests(emulator, "GET", "Messages")
    again = classic(people(doubtful), on_unknown="resend", unknown_after=0.0)
    assert again.execute(context(store, try_number=2))
    assert requests(emulator, "GET", "Messages") - before == pages
    assert texted(emulator) == [doubtful, 1]
