"""Bulk sends of which several requests are under way together: once, in order, and noted before each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import SendUncertain, TwilioError
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import break_bulk, bulk, people, texted

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

TOGETHER = {"recipients_per_request": 3, "requests_at_once": 4}


class Died(BaseException):
    """The worker is gone."""


def slow(emulator: Running, seconds: float, **kwargs: Any) -> None:
    emulator.twilio.faults.add(
        Fault(kind="slow", seconds=seconds, method="POST", path="/Messages$", **kwargs)
    )


def states(store: MemoryStore) -> list[str]:
    values = [store.get(key) for key in store.values if key != HEADS]
    return [value["state"] for value in values]


def test_everybody_is_texted_once_and_the_ids_keep_the_order_of_the_list(emulator: Running) -> None:
    slow(emulator, 0.3)
    result = bulk(people(30), **TOGETHER).execute(context(MemoryStore()))
    assert result
    first = bulk(people(30), **TOGETHER | {"requests_at_once": 1}).execute(context(MemoryStore(), run_id="b"))
    assert first
    assert len(result["operation_ids"]) == len(first["operation_ids"]) == 10
    assert emulator.twilio.ledger.to_dict()["recipients"] == {each["address"]: 2 for each in people(30)}


def test_each_request_is_noted_before_it_is_made_and_never_more_than_so_many(emulator: Running) -> None:
    open_: list[int] = []

    def look(key: str, value: Any) -> None:
        if key == HEADS:
            return
        noted = [*states(store), value["state"]] if key not in store.values else states(store)
        open_.append(noted.count("sending"))
        assert len(emulator.twilio.ledger.recipients) <= 3 * len(noted)

    store = MemoryStore(look)
    assert bulk(people(30), **TOGETHER).execute(context(store))
    assert max(open_) == 4
    assert set(states(store)) == {"accepted"}


def test_after_one_that_is_lost_none_is_begun_and_those_under_way_are_noted(emulator: Running) -> None:
    store = MemoryStore()
    break_bulk(emulator, "drop_before")
    with pytest.raises(SendUncertain, match="none was begun after it"):
        bulk(people(30), **TOGETHER).execute(context(store))
    assert sorted(states(store)) == ["accepted", "accepted", "accepted", "sending"]
    assert texted(emulator) == [9, 1]
    again = bulk(people(30), **TOGETHER, on_unknown="resend").execute(context(store, try_number=2))
    assert again
    assert texted(emulator) == [30, 1]


def test_a_fence_that_refuses_lets_those_under_way_be_noted(emulator: Running) -> None:
    refused = threading.Event()

    def refuse(key: str, value: Any) -> None:
        if value.get("part") == 2:
            refused.set()
            raise ConnectionError("no")

    slow(emulator, 0.2, times=2)
    store = MemoryStore(refuse)
    with pytest.raises(TwilioError, match="does not take the note"):
        bulk(people(30), **TOGETHER).execute(context(store))
    assert refused.is_set()
    assert states(store) == ["accepted", "accepted"]
    assert texted(emulator) == [6, 1]


@pytest.mark.parametrize("write", range(9))
def test_a_worker_that_dies_at_any_write_leaves_no_more_than_were_under_way(
    emulator: Running, write: int
) -> None:
    left = [write]

    def die(key: str, value: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    store = MemoryStore(die)
    with pytest.raises(Died):
        bulk(people(12), **TOGETHER).execute(context(store))
    store.refuse = lambda key, value: None
    assert states(store).count("sending") <= 4
    assert bulk(people(12), **TOGETHER, on_unknown="resend").execute(context(store, try_number=2))
    assert texted(emulator) == [12, 1]


def test_the_last_note_says_that_all_is_sent_whichever_request_ends_last(emulator: Running) -> None:
    def refuse(key: str, value: Any) -> None:
        if key == HEADS and any("done" in head for head in value.values()):
            raise ConnectionError("killed")

    slow(emulator, 0.3, times=1)
    store = MemoryStore(refuse)
    with pytest.raises(ConnectionError):
        bulk(people(12), **TOGETHER).execute(context(store))
    store.refuse = lambda key, value: None
    result = bulk([], **TOGETHER).execute(context(store, try_number=2))
    assert result
    assert result["recipients"] == 12


def test_a_send_is_not_complete_while_one_that_was_lost_is_unknown(emulator: Running) -> None:
    """Whichever is settled last: a later try would take the send as done, and leave people out."""
    break_bulk(emulator, "drop_before")
    break_bulk(emulator, "drop_after", skip=1, times=3)
    store = MemoryStore()
    for attempt in (1, 2):
        with pytest.raises(SendUncertain):
            bulk(people(12), **TOGETHER, unknown_after=0.3).execute(context(store, try_number=attempt))
    assert texted(emulator) == [9, 1]
    assert bulk(people(12), **TOGETHER, on_unknown="resend").execute(context(store, try_number=3))
    assert texted(emulator) == [12, 1]
