"""Sending once in a world where replies get lost: tries, clears, and what the author chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.exceptions import RateLimited, SendUncertain, TransportFailed, TwilioError
from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk, people, stopped_after

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

SEND = {"method": "POST", "path": "/Messages$"}


def counts(emulator: Running) -> dict[str, int]:
    return dict(emulator.twilio.ledger.to_dict()["recipients"])


def posts(emulator: Running) -> int:
    return sum(
        count
        for route, count in emulator.twilio.journal.to_dict()["counts"].items()
        if route.startswith("POST") and route.endswith("/Messages")
    )


def everyone_once(emulator: Running, count: int) -> bool:
    return len(counts(emulator)) == count and set(counts(emulator).values()) == {1}


@pytest.mark.parametrize("kind", ["error_after", "drop_after", "cut", "slow"])
def test_a_lost_reply_is_looked_up_and_not_sent_again(emulator: Running, kind: Any) -> None:
    emulator.twilio.faults.add(Fault(kind=kind, skip=1, seconds=6 if kind == "slow" else 0, **SEND))
    connection = emulator.connection_json(timeout=3 if kind == "slow" else 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", connection)
        result = bulk(people(25_000)).execute(context(MemoryStore()))
    assert result
    assert len(set(result["operation_ids"])) == 3
    assert posts(emulator) == 3
    assert everyone_once(emulator, 25_000)


@pytest.mark.parametrize("kind", ["error_before", "bad_gateway", "drop_before", "proxy_429", "unavailable"])
def test_what_twilio_never_took_is_uncertain_until_the_author_decides(emulator: Running, kind: Any) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind=kind, skip=1, **SEND))
    with pytest.raises(SendUncertain) as caught:
        bulk(people(25_000)).execute(context(store))
    assert caught.value.part == "request 2"
    assert len(caught.value.operation_ids or ()) == 1
    assert posts(emulator) == 2
    with pytest.raises(SendUncertain):
        bulk(people(25_000)).execute(context(store, try_number=2))
    assert posts(emulator) == 2
    result = bulk(people(25_000), on_unknown="resend").execute(context(store, try_number=3))
    assert result
    assert len(result["operation_ids"]) == 3
    assert everyone_once(emulator, 25_000)


def test_assuming_it_was_sent_goes_on_with_the_rest(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="error_before", skip=1, **SEND))
    result = bulk(people(25_000), on_unknown="assume_sent").execute(context(MemoryStore()))
    assert result
    assert len(result["operation_ids"]) == 2
    assert len(counts(emulator)) == 15_000


def test_resending_happens_once_a_try(emulator: Running) -> None:
    emulator.twilio.faults.add(Fault(kind="error_before", times=None, **SEND))
    with pytest.raises(SendUncertain):
        bulk(people(3), on_unknown="resend").execute(context(MemoryStore()))
    assert posts(emulator) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limited", "retry_after": 1, "times": 2},
        {"kind": "rate_limited", "times": 3},
        {"kind": "unavailable", "retry_after": 1},
    ],
    ids=str,
)
def test_what_was_not_processed_is_sent_again_at_once(emulator: Running, fault: dict[str, Any]) -> None:
    emulator.twilio.faults.add(Fault(**fault, **SEND))
    assert bulk(people(5)).execute(context(MemoryStore()))
    assert everyone_once(emulator, 5)


def test_a_storm_of_429_is_left_to_airflow_and_needs_no_look_up_later(emulator: Running) -> None:
    store = MemoryStore()
    emulator.twilio.faults.add(Fault(kind="rate_limited", times=5, **SEND))
    with pytest.raises(RateLimited):
        bulk(people(5)).execute(context(store))
    assert bulk(people(5)).execute(context(store, try_number=2))
    assert everyone_once(emulator, 5)
    assert "GET /comms/v1/Messages" not in emulator.twilio.journal.to_dict()["counts"]


def test_a_host_that_is_not_reached_leaves_nothing_uncertain(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.MonkeyPatch.context() as patch:
        unreached = emulator.connection_json(max_attempts=1, base_url="http://127.0.0.1:9/{product}")
        patch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", unreached)
        with pytest.raises(TransportFailed) as caught:
            bulk(people(5)).execute(context(store))
    assert caught.value.sent is False
    assert bulk(people(5)).execute(context(store, try_number=2))
    assert everyone_once(emulator, 5)


def test_a_refused_request_fails_at_once_and_may_be_fixed(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.raises(AirflowFailException, match="21606"):
        bulk(people(5), sender="+15005550007").execute(context(store))
    assert bulk(people(5)).execute(context(store, try_number=2))
    assert everyone_once(emulator, 5)


def test_nothing_is_posted_where_the_ledger_takes_no_write(emulator: Running) -> None:
    def refuse(key: str, value: Any) -> None:
        if value.get("state") == "sending":
            raise RuntimeError("this try is no longer the live one")

    with pytest.raises(TwilioError, match=r"Request 1: .*nothing was posted"):
        bulk(people(5)).execute(context(MemoryStore(refuse)))
    assert posts(emulator) == 0


def test_a_write_after_the_request_is_tried_again(emulator: Running) -> None:
    failures = iter([True, True, False])

    def refuse(key: str, value: Any) -> None:
        if value.get("state") == "accepted" and next(failures):
            raise RuntimeError("the API server is restarting")

    store = MemoryStore(refuse)
    assert bulk(people(5)).execute(context(store))
    assert bulk(people(5)).execute(context(store, try_number=2))
    assert everyone_once(emulator, 5)


def test_a_clear_resumes_unless_it_is_meant_to_resend(emulator: Running) -> None:
    store = MemoryStore()
    first = bulk(people(5)).execute(context(store))
    again = bulk(people(5)).execute(context(store, try_number=2, max_tries=4))
    assert first
    assert again
    assert again["operation_ids"] == first["operation_ids"]
    anew = bulk(people(5), on_clear="resend").execute(context(store, try_number=3, max_tries=5))
    assert anew
    assert anew["operation_ids"] != first["operation_ids"]
    assert set(counts(emulator).values()) == {2}
    retried = bulk(people(5), on_clear="resend").execute(context(store, try_number=4, max_tries=5))
    assert retried == anew


def test_another_send_key_is_another_send(emulator: Running) -> None:
    store = MemoryStore()
    bulk(people(5), send_key="monday").execute(context(store))
    bulk(people(5), send_key="tuesday").execute(context(store, try_number=2))
    bulk(people(5), send_key="monday").execute(context(store, try_number=3))
    assert set(counts(emulator).values()) == {2}


def test_a_complete_send_is_only_waited_for_whatever_its_source_says_now(emulator: Running) -> None:
    store = MemoryStore()
    first = bulk(people(5)).execute(context(store))
    for number, now in enumerate((people(9), people(2), [], people(5, first=7)), 2):
        assert bulk(now).execute(context(store, try_number=number)) == first
    assert everyone_once(emulator, 5)


def test_more_recipients_than_before_send_the_new_ones_only(emulator: Running) -> None:
    store = MemoryStore()
    stopped_after(emulator, 1, store, people(15_000))
    bulk([*people(15_000), *people(2_000, first=90_000)]).execute(context(store, try_number=2))
    assert everyone_once(emulator, 17_000)


def test_the_ledger_and_its_tag_hold_nothing_personal(emulator: Running) -> None:
    store = MemoryStore()
    bulk(people(3), tags={"campaign": "spring"}).execute(context(store))
    kept = "".join([*store.values, *store.values.values()])
    assert "1202" not in kept
    assert "Person" not in kept
    assert len(kept) < 1000


def test_an_accepted_request_that_names_no_operation_is_found_by_its_tag(emulator: Running) -> None:
    emulator.twilio.change(accepted="header")
    result = bulk(people(3)).execute(context(MemoryStore()))
    assert result
    assert len(result["operation_ids"]) == 1
    assert posts(emulator) == 1
