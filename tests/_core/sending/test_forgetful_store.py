"""Once, though Airflow empties the store of a green task (``[state_store] clear_on_success``), or a try dies.

What the ledger does not know any more is looked for at Twilio, by every try until the send is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from airflow_provider_twilio_comms.exceptions import TwilioError
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, texted
from tests.operators.classic_sends import classic
from tests.operators.single_sends import ADA, EVE, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


@pytest.fixture(autouse=True)
def forgets() -> Iterator[None]:
    with environment(AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS="True"):
        yield


def tried(store: MemoryStore, try_number: int = 1, clears: int = 0) -> Any:
    run = SimpleNamespace(clear_number=clears, start_date=datetime.now(timezone.utc))
    return {**context(store, try_number=try_number, max_tries=3 + try_number * bool(clears)), "dag_run": run}


def send(kind: str, **kwargs: Any) -> Any:
    if kind == "single":
        return message(to=[ADA, EVE], unknown_after=1.0, **kwargs)
    return {"bulk": bulk, "classic": classic}[kind]([ADA, EVE], recipients_per_request=1, **kwargs)


def after_the_plan(key: str, value: Any) -> None:
    """Die when the plan is noted, before anything else is."""
    if key != HEADS:
        raise ConnectionError("killed")


def before_the_end(key: str, value: Any) -> None:
    """Die when all is sent, before it is noted that the send is complete."""
    if key == HEADS and any("done" in head for head in value.values()):
        raise ConnectionError("killed")


KINDS = pytest.mark.parametrize("kind", ["bulk", "classic", "single"])


@KINDS
def test_a_clear_of_a_green_task_texts_nobody_again(emulator: Running, kind: str) -> None:
    store = MemoryStore()
    first = send(kind).execute(tried(store))
    store.values.clear()
    again = send(kind).execute(tried(store, 2, clears=1))
    assert taken(emulator) == {ADA: 1, EVE: 1}
    name = "sids" if kind == "single" else "operation_ids"
    assert sorted(again[name]) == sorted(first[name])


@KINDS
def test_nor_does_the_try_after_one_that_died_at_once(emulator: Running, kind: str) -> None:
    store = MemoryStore()
    send(kind).execute(tried(store))
    store.values.clear()
    store.refuse = after_the_plan
    with pytest.raises((ConnectionError, TwilioError)):
        send(kind).execute(tried(store, 2, clears=1))
    store.refuse = lambda key, value: None
    assert send(kind).execute(tried(store, 3, clears=1))
    assert taken(emulator) == {ADA: 1, EVE: 1}


@KINDS
def test_a_clear_that_is_to_send_again_does(emulator: Running, kind: str) -> None:
    store = MemoryStore()
    send(kind, on_clear="resend").execute(tried(store))
    store.values.clear()
    send(kind, on_clear="resend").execute(tried(store, 2, clears=1))
    assert taken(emulator) == {ADA: 2, EVE: 2}


@KINDS
def test_a_retry_is_no_clear_and_sends_nothing_again(emulator: Running, kind: str) -> None:
    store = MemoryStore(before_the_end)
    with pytest.raises((ConnectionError, TwilioError)):
        send(kind, on_clear="resend").execute(tried(store))
    store.refuse = lambda key, value: None
    assert send(kind, on_clear="resend").execute(tried(store, 2))
    assert taken(emulator) == {ADA: 1, EVE: 1}


def test_another_list_under_the_same_name_is_an_error_and_no_second_text(emulator: Running) -> None:
    store = MemoryStore()
    bulk(people(2)).execute(tried(store))
    store.values.clear()
    with pytest.raises(AirflowFailException, match="another send under the tag"):
        bulk(people(3)).execute(tried(store, 2, clears=1))
    assert texted(emulator) == [2, 1]


def test_a_key_that_another_airflow_has_used_is_looked_for_by_every_try(emulator: Running) -> None:
    """Also by the one after a try that died before it had looked for every part."""
    rows = people(4)
    bulk(rows, send_key="spring", recipients_per_request=1).execute(tried(MemoryStore()))
    store = MemoryStore(after_the_plan)
    with pytest.raises((ConnectionError, TwilioError)):
        bulk(rows, send_key="spring", recipients_per_request=1).execute(tried(store))
    store.refuse = lambda key, value: None
    assert bulk(rows, send_key="spring", recipients_per_request=1).execute(tried(store, 2))
    assert texted(emulator) == [4, 1]
