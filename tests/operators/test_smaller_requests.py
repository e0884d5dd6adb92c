"""Recipients in smaller requests than Twilio would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.api.comms import messages as api
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators import bulk_messages
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, stopped_after

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running


@pytest.mark.parametrize(("count", "size", "requests"), [(7, 3, 3), (6, 3, 2), (1, 3, 1), (450, 150, 3)])
def test_everyone_is_in_one_of_them_once(emulator: Running, count: int, size: int, requests: int) -> None:
    result = bulk(people(count), recipients_per_request=size).execute(context(MemoryStore()))
    assert result
    assert len(result["operation_ids"]) == requests
    sent = emulator.twilio.ledger.to_dict()["recipients"]
    assert len(sent) == count
    assert set(sent.values()) == {1}


def test_another_size_on_a_retry_stops_it_before_anything_is_sent(emulator: Running) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(7), recipients_per_request=3)
    with pytest.raises(AirflowFailException, match=r"recipients_per_request \(3 then, 4 now\); request 1"):
        bulk(people(7), recipients_per_request=4).execute(context(store, try_number=2))
    assert emulator.twilio.ledger.messages == 3


@pytest.mark.parametrize("size", [0, -1, 10_001, 2.5, True, "10"])
def test_what_twilio_would_not_take_is_refused_when_the_dag_is_parsed(size: Any) -> None:
    with pytest.raises(InvalidInput, match="recipients_per_request"):
        bulk(people(1), recipients_per_request=size)


def test_both_say_the_same_limit() -> None:
    assert bulk_messages.MAX_RECIPIENTS == api.MAX_RECIPIENTS
