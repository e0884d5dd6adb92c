"""Single messages in a world where replies get lost and workers die: everyone gets one."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_twilio_comms._core.sending.classic_messages import MessageSend
from airflow_provider_twilio_comms._core.sending.ledger import Ledger
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage
from airflow_provider_twilio_comms.api.content import create
from airflow_provider_twilio_comms.exceptions import (
    RateLimited,
    SendUncertain,
    ServerFailed,
    TransportFailed,
    TwilioError,
)
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.operators.messaging_services import TwilioMessagingServiceOperator
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.single_sends import ADA, BODY, EVE, FROM, break_posts, message, taken

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

OPTED_OUT, GRACE = "+15005550004", "+12025550125"


class Died(BaseException):
    """A death that no code of ours catches: the worker is gone."""


def dying(state: str, part: int = 0) -> MemoryStore:
    """A store whose worker dies when a part is written down in this state, before that is written."""

    def refuse(key: str, value: Any) -> None:
        if key.endswith(f".{part}") and value.get("state") == state:
            store.refuse = lambda key, value: None
            raise Died

    store = MemoryStore(refuse)
    return store


def run_began() -> SimpleNamespace:
    return SimpleNamespace(clear_number=0, start_date=datetime.now(timezone.utc))


@pytest.mark.parametrize("kind", ["error_after", "drop_after", "cut", "slow"])
def test_a_lost_reply_is_looked_up_and_not_sent_again(emulator: Running, kind: Any) -> None:
    seconds, timeout = (3, 1) if kind == "slow" else (0, 30)
    break_posts(emulator, kind, seconds=seconds)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=emulator.connection_json(timeout=timeout)):
        result = message(to=[ADA, EVE]).execute(context(MemoryStore()))
    assert taken(emulator) == {ADA: 1, EVE: 1}
    assert len(set(result["sids"])) == 2


def test_a_list_that_lags_is_asked_again(emulator: Running) -> None:
    emulator.twilio.change(list_lag=2.0)
    break_posts(emulator, "drop_after")
    result = message(unknown_after=10).execute(context(MemoryStore()))
    assert (taken(emulator), len(result["sids"])) == ({ADA: 1}, 1)


@pytest.mark.parametrize("kind", ["error_before", "bad_gateway", "drop_before", "proxy_429"])
def test_what_twilio_never_took_is_uncertain_until_the_author_decides(emulator: Running, kind: Any) -> None:
    store = MemoryStore()
    break_posts(emulator, kind)
    with pytest.raises(SendUncertain) as caught:
        message(to=[ADA, EVE]).execute(context(store))
    assert caught.value.part == "message 1"
    assert taken(emulator) == {EVE: 1}
    with pytest.raises(SendUncertain):
        message(to=[ADA, EVE]).execute(context(store, try_number=2))
    assert taken(emulator) == {EVE: 1}
    result = message(to=[ADA, EVE], on_unknown="resend").execute(context(store, try_number=3))
    assert taken(emulator) == {ADA: 1, EVE: 1}
    assert len(result["sids"]) == 2


def test_assuming_it_was_sent_goes_on_without_it(emulator: Running) -> None:
    break_posts(emulator, "error_before")
    result = message(to=[ADA, EVE], on_unknown="assume_sent").execute(context(MemoryStore()))
    assert taken(emulator) == {EVE: 1}
    assert len(result["sids"]) == 1


@pytest.mark.parametrize(("kind", "error"), [("rate_limited", RateLimited), ("unavailable", ServerFailed)])
def test_what_was_certainly_not_taken_is_sent_by_a_later_try(
    emulator: Running, kind: Any, error: type[TwilioError]
) -> None:
    store = MemoryStore()
    break_posts(emulator, kind, retry_after=1000.0)
    with pytest.raises(error):
        message().execute(context(store))
    message().execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1}


def test_a_host_that_is_not_there_leaves_nothing_uncertain(emulator: Running) -> None:
    store = MemoryStore()
    nowhere = emulator.connection_json(base_url="http://127.0.0.1:9/{product}", max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=nowhere), pytest.raises(TransportFailed, match="1 of 2"):
        message(to=[ADA, EVE]).execute(context(store))
    message(to=[ADA, EVE]).execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1, EVE: 1}


@pytest.mark.parametrize(("state", "sent"), [("sending", 0), ("accepted", 1)])
def test_a_worker_that_dies_between_is_made_good_by_the_next(
    emulator: Running, state: str, sent: int
) -> None:
    store = dying(state)
    with pytest.raises(Died):
        message(to=[ADA, EVE]).execute(context(store))
    assert sum(taken(emulator).values()) == sent
    message(to=[ADA, EVE]).execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1, EVE: 1}


def test_a_later_try_sends_nothing_that_was_sent(emulator: Running) -> None:
    store = MemoryStore()
    first = message(to=[ADA, EVE]).execute(context(store))
    again = message(to=[ADA, EVE]).execute(context(store, try_number=2, max_tries=4))
    assert again["sids"] == first["sids"]
    assert again["statuses"] == {"accepted": 2}
    message(to=[ADA, EVE], on_clear="resend").execute(context(store, try_number=3, max_tries=5))
    assert taken(emulator) == {ADA: 2, EVE: 2}


def test_one_that_fails_does_not_keep_the_others_back(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.raises(AirflowFailException) as caught:
        message(to=[OPTED_OUT, ADA, "+15005550009", EVE]).execute(context(store))
    told = str(caught.value)
    assert "2 of 4 messages" in told
    assert "message 1: Twilio answered 400, code 21610" in told
    assert "message 3: Twilio answered 400, code 21614" in told
    assert OPTED_OUT[2:] not in told
    assert taken(emulator) == {ADA: 1, EVE: 1}
    message(to=["+12025550130", ADA, "+12025550131", EVE]).execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1, EVE: 1, "+12025550130": 1, "+12025550131": 1}


def test_wrong_credentials_are_tried_once(emulator: Running) -> None:
    wrong = emulator.connection_json(password="0" * 32)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=wrong), pytest.raises(AirflowFailException, match="20003"):
        message(to=[ADA, EVE]).execute(context(MemoryStore()))
    assert emulator.twilio.journal.to_dict()["total"] == 1


@pytest.mark.parametrize("changed", [{"body": "Something else"}, {"from_": "+15005550010"}])
def test_what_was_sent_is_not_something_else_on_a_later_try(
    emulator: Running, changed: dict[str, Any]
) -> None:
    store = MemoryStore()
    with pytest.raises(AirflowFailException):
        message(to=[ADA, OPTED_OUT]).execute(context(store))
    with pytest.raises(AirflowFailException, match="there changed: the message or its sender"):
        message(**{"to": [ADA, OPTED_OUT], **changed}).execute(context(store, try_number=2))
    assert taken(emulator) == {ADA: 1}
    assert "5550123" not in "".join(store.values.values())


@pytest.mark.parametrize("now", [[EVE, ADA], [ADA, EVE, ADA], [ADA], [], [GRACE]])
def test_a_complete_send_is_only_waited_for(emulator: Running, now: list[str]) -> None:
    store = MemoryStore()
    first = message(to=[ADA, EVE]).execute(context(store))
    assert message(to=now).execute(context(store, try_number=2))["sids"] == first["sids"]
    assert taken(emulator) == {ADA: 1, EVE: 1}


def test_a_signature_of_a_file_may_change_between_tries(emulator: Running) -> None:
    store = MemoryStore()
    for number in (1, 2):
        url = f"https://example.com/a.png?signature={number}"
        message(media_url=url).execute(context(store, try_number=number))
    assert taken(emulator) == {ADA: 1}


def test_the_same_words_of_an_earlier_send_are_not_taken_for_this_one(emulator: Running) -> None:
    message().execute(context(MemoryStore()))
    emulator.twilio.clock.advance(3.5)  # Twilio's times have no fractions
    break_posts(emulator, "error_before")
    with pytest.raises(SendUncertain):
        message().execute(context(MemoryStore()))


def test_what_another_part_was_sent_as_does_not_count_twice(emulator: Running) -> None:
    break_posts(emulator, "error_before", skip=1)
    twice = MessageSend(
        OutgoingMessage((ADA, ADA), {"from_": FROM, "body": BODY}),
        Ledger(MemoryStore(), "s", retried=False),
        lag=0.5,
    )
    with pytest.raises(SendUncertain) as caught:
        TwilioHook().run(twice.once())
    assert caught.value.part == "message 2"
    assert (taken(emulator), len(twice.ids)) == ({ADA: 1}, 1)


def test_without_a_ledger_twilios_list_is_all_there_is(emulator: Running) -> None:
    """Before Airflow 3.3 there is no store."""
    run: Any = {"dag_run": run_began()}
    message(to=[ADA, EVE]).execute({**context(None), **run})
    result = message(to=[ADA, EVE]).execute({**context(None, try_number=2), **run})
    assert taken(emulator) == {ADA: 1, EVE: 1}
    assert len(result["sids"]) == 2


def test_without_a_ledger_only_what_is_not_there_is_sent(emulator: Running) -> None:
    run: Any = {"dag_run": run_began()}
    message(to=[EVE]).execute({**context(None), **run})
    message(to=[ADA, EVE]).execute({**context(None, try_number=2), **run})
    assert taken(emulator) == {ADA: 1, EVE: 1}


def test_a_service_chooses_the_sender_and_is_found_all_the_same(emulator: Running) -> None:
    service = TwilioMessagingServiceOperator(task_id="s", friendly_name="orders", phone_numbers=[FROM])
    sid = service.execute(context(MemoryStore()))["sid"]
    break_posts(emulator, "drop_after")
    message(from_=None, messaging_service_sid=sid).execute(context(MemoryStore()))
    break_posts(emulator, "drop_after")
    message(from_=sid, to=EVE).execute(context(MemoryStore()))
    assert taken(emulator) == {ADA: 1, EVE: 1}


def test_a_template_is_found_by_its_text(emulator: Running) -> None:
    body = {"twilio/text": {"body": "Your order {{1}} is {{2}}."}}
    template = TwilioHook().run(create(body, language="en", variables={"1": "none", "2": "ready"}))
    break_posts(emulator, "drop_after")
    given = {"body": None, "content_sid": template.sid, "content_variables": {"1": "4711"}}
    message(**given).execute(context(MemoryStore()))
    assert taken(emulator) == {ADA: 1}


def test_the_ledger_is_the_fence(emulator: Running) -> None:
    def refuse(key: str, value: Any) -> None:
        if value.get("state") == "sending":
            raise RuntimeError("409: this try is no longer the live one")

    with pytest.raises(TwilioError, match="nothing was posted"):
        message().execute(context(MemoryStore(refuse)))
    assert not emulator.twilio.journal.counts
