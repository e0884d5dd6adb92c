"""Single messages in batches: few writes, kills at each, and ledgers that knew messages one by one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_twilio_comms._core.sending.ledger import HEADS
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage, keyed
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.exceptions import SendUncertain, TwilioError
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from tests.conftest import environment
from tests.fakes import MemoryStore, context
from tests.operators.single_sends import BODY, FROM, break_posts, message, taken
from tests.operators.test_send_message import service

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

pytestmark = pytest.mark.usefixtures("hurried")

NUMBERS = [f"+1202555{n:04d}" for n in range(1000, 1100)]
IN_A_BATCH = 25


class Died(BaseException):
    """The worker is gone: nothing of ours may catch it."""


@contextmanager
def dying_at(told: str) -> Iterator[None]:
    """Let the worker die at a line of its log."""

    class Killer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith(told):
                raise Died

    killer, root = Killer(), logging.getLogger()
    root.addHandler(killer)
    try:
        yield
    finally:
        root.removeHandler(killer)


def entries(store: MemoryStore) -> list[dict[str, Any]]:
    return [store.get(key) for key in store.values if key != HEADS]


def unknown(store: MemoryStore) -> int:
    """Of how many messages the ledger does not know."""
    batches = [entry for entry in entries(store) if entry["state"] == "sending"]
    return sum(each["messages"].count("?") if each.get("messages") else each["count"] for each in batches)


def posts(emulator: Running) -> int:
    counts = emulator.twilio.journal.to_dict()["counts"]
    return sum(count for name, count in counts.items() if name.startswith("POST"))


def looks(emulator: Running) -> int:
    return int(emulator.twilio.journal.to_dict()["total"]) - posts(emulator)


def once(numbers: list[str]) -> dict[str, int]:
    return dict.fromkeys(numbers, 1)


def test_a_hundred_messages_take_few_writes_and_a_request_each(emulator: Running) -> None:
    writes: list[str] = []
    store = MemoryStore(lambda key, value: writes.append(value.get("state", "head")))
    result = message(to=NUMBERS).execute(context(store))
    assert writes.count("sending") == writes.count("accepted") <= 9
    assert writes.count("head") == 2
    assert (posts(emulator), looks(emulator)) == (100, 0)
    assert taken(emulator) == once(NUMBERS)
    by_number = {sent.to: sent.sid for sent in emulator.twilio.part(Messages).by_sid.values()}
    assert result["sids"] == [by_number[number] for number in NUMBERS], "in the order of the list"
    assert message(to=NUMBERS).execute(context(store, try_number=2))["sids"] == result["sids"]
    assert "1202555" not in "".join(store.values.values())


@pytest.mark.parametrize("write", range(20))
def test_a_worker_that_dies_at_any_write_texts_all_of_a_hundred_once(emulator: Running, write: int) -> None:
    left = [write]

    def die(key: str, value: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    store = MemoryStore(die)
    with pytest.raises(Died):
        message(to=NUMBERS).execute(context(store))
    store.refuse = lambda key, value: None
    doubtful = unknown(store)
    assert doubtful <= IN_A_BATCH
    asked = looks(emulator)
    again = message(to=NUMBERS).execute(context(store, try_number=2))
    assert taken(emulator) == once(NUMBERS)
    assert len(set(again["sids"])) == 100
    assert looks(emulator) - asked <= 3, "they are looked for together"


@pytest.mark.parametrize("reply", [1, 2, 4, 9, 20, 60])
def test_a_worker_that_dies_after_any_reply_leaves_a_batch_in_doubt_at_most(
    emulator: Running, reply: int
) -> None:
    store = MemoryStore()
    with pytest.raises(Died), dying_at(f"Twilio accepted message {reply} as"):
        message(to=NUMBERS).execute(context(store))
    doubtful = unknown(store)
    assert 1 <= doubtful <= min(IN_A_BATCH, reply)
    told = ""
    try:
        message(to=NUMBERS).execute(context(store, try_number=2))
    except SendUncertain as error:
        told = str(error)
    assert int((told or "0").split(" ", 1)[0]) <= doubtful
    assert all(count == 1 for count in taken(emulator).values())
    message(to=NUMBERS, on_unknown="resend").execute(context(store, try_number=3))
    assert taken(emulator) == once(NUMBERS)


def test_one_without_a_reply_keeps_nobody_back_and_is_found_when_the_list_shows_it(emulator: Running) -> None:
    numbers = NUMBERS[:12]
    store = MemoryStore()
    emulator.twilio.change(list_lag=3600.0)
    break_posts(emulator, "drop_after", skip=6)
    with pytest.raises(SendUncertain, match=r"1 of 12 messages could not be sent .of 1 of them nobody knows"):
        message(to=numbers).execute(context(store))
    assert taken(emulator) == once(numbers)
    with pytest.raises(SendUncertain):
        message(to=numbers).execute(context(store, try_number=2))
    emulator.twilio.change(list_lag=0.0)
    assert len(set(message(to=numbers).execute(context(store, try_number=3))["sids"])) == 12
    assert taken(emulator) == once(numbers)


def test_many_without_a_reply_end_the_try_and_a_later_one_sends_the_rest(emulator: Running) -> None:
    store = MemoryStore()
    break_posts(emulator, "drop_before", times=None)
    with pytest.raises(SendUncertain, match="5 of 100 messages could not be sent"):
        message(to=NUMBERS).execute(context(store))
    assert posts(emulator) == 5
    emulator.twilio.faults.clear()
    with pytest.raises(SendUncertain, match="5 of 100 messages"):
        message(to=NUMBERS).execute(context(store, try_number=2))
    assert taken(emulator) == once(NUMBERS[5:])
    message(to=NUMBERS, on_unknown="resend").execute(context(store, try_number=3))
    assert taken(emulator) == once(NUMBERS)


def test_a_list_may_change_around_the_batches_of_a_dead_worker(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.raises(Died), dying_at("Twilio accepted message 9 as"):
        message(to=NUMBERS[:16]).execute(context(store))
    now = [NUMBERS[50], *reversed(NUMBERS[4:16]), *NUMBERS[60:64]]  # of those who left, each was texted
    message(to=now, on_unknown="resend").execute(context(store, try_number=2))
    assert taken(emulator) == once([*NUMBERS[:16], NUMBERS[50], *NUMBERS[60:64]])


def test_nobody_who_was_not_begun_leaves_a_list_in_silence(emulator: Running) -> None:
    store = MemoryStore()
    with pytest.raises(Died), dying_at("Twilio accepted message 4 as"):
        message(to=NUMBERS[:16]).execute(context(store))
    with pytest.raises(Exception, match=r"the recipients \(16 then, 8 now\).*sent to 2 recipients in 2 req"):
        message(to=NUMBERS[:8]).execute(context(store, try_number=2))


def before(store: MemoryStore, numbers: list[str], kept: list[tuple[str, str | None]]) -> None:
    """Write the notes of the version before, an entry for each message: its state, and its SID."""

    def refuse(key: str, value: Any) -> None:
        if value.get("state"):
            raise ConnectionError("the worker is cut off")

    store.refuse = refuse
    with pytest.raises(TwilioError, match="nothing was posted"):
        message(to=numbers).execute(context(store))
    store.refuse = lambda key, value: None
    (head,) = store.get(HEADS).values()
    letter = OutgoingMessage.of({"from_": FROM, "body": BODY}).sent_to(numbers)
    for place, (state, sid) in enumerate(kept):
        entry = {
            "state": state,
            "fingerprint": letter.fingerprint(place, head["name"]),
            "count": 1,
            "since": head["since"],
            "part": place,
            "who": keyed(head["name"], numbers[place], "0"),
        }
        store.set(f"twilio.{head['name']}.{place}", entry | ({"operation_id": sid} if sid else {}))


def test_a_send_that_the_version_before_began_texts_nobody_twice(emulator: Running) -> None:
    """One was sent, one died on its way there and one on its way back, one was refused, the others wait."""
    numbers, store = NUMBERS[:8], MemoryStore()
    (sent,) = message(to=numbers[0]).execute(context(MemoryStore(), task_id="by hand"))["sids"]
    before(store, numbers, [("accepted", sent), ("sending", None), ("sending", None), ("refused", None)])
    hook, letter = TwilioHook(), OutgoingMessage.of({"from_": FROM, "body": BODY}).sent_to(numbers)
    hook.run(letter.call(1))
    with pytest.raises(SendUncertain, match="message 3 was given to Twilio on an earlier try"):
        message(to=numbers).execute(context(store, try_number=2))
    assert taken(emulator) == once([*numbers[:2], *numbers[3:]])
    result = message(to=numbers, on_unknown="resend").execute(context(store, try_number=3))
    assert taken(emulator) == once(numbers)
    assert result["sids"][0] == sent
    assert len(set(result["sids"])) == 8


def test_a_send_of_the_version_before_is_not_sent_with_another_text(emulator: Running) -> None:
    numbers, store = NUMBERS[:3], MemoryStore()
    before(store, numbers, [("accepted", "SM" + "0" * 32)])
    with pytest.raises(Exception, match=r"there changed: the message or its sender; message 1 was accepted"):
        message(to=numbers, body="Another").execute(context(store, try_number=2))
    assert taken(emulator) == {}


def test_messages_that_only_differ_in_their_files_are_settled_by_their_author(emulator: Running) -> None:
    files = {"body": None, "media_url": "https://example.com/a.png"}
    store = MemoryStore()
    break_posts(emulator, "drop_before")
    emulator.twilio.change(list_lag=3600.0)
    with pytest.raises(SendUncertain):
        message(to=NUMBERS[0], **files).execute(context(store))
    emulator.twilio.change(list_lag=0.0)
    for number in range(2):
        message(to=NUMBERS[0], **files).execute(context(MemoryStore(), task_id=f"other {number}"))
    with pytest.raises(SendUncertain, match="its list shows 2 messages without a text that it may be"):
        message(to=NUMBERS[0], **files).execute(context(store, try_number=2))
    message(to=NUMBERS[0], on_unknown="resend", **files).execute(context(store, try_number=3))
    assert taken(emulator) == {NUMBERS[0]: 3}


def test_what_a_kill_took_back_of_a_batch_is_sent_again_and_nothing_else(emulator: Running) -> None:
    given: dict[str, Any] = {
        "to": NUMBERS[:6],
        "from_": None,
        "messaging_service_sid": service(phone_numbers=[FROM]),
        "send_at": datetime.now(timezone.utc) + timedelta(hours=2),
    }
    store = MemoryStore()
    first = message(**given)
    with pytest.raises(Died), dying_at("Twilio accepted message 6 as"):
        first.execute(context(store))
    killed = message(**given, cancel_on_kill=True)
    sids = killed.execute(context(store, try_number=2))["sids"]
    killed.cancel_scheduled(sids[1:5])
    again = message(**given, cancel_on_kill=True).execute(context(store, try_number=3))
    assert [old == new for old, new in zip(sids, again["sids"], strict=True)] == [True] + [False] * 4 + [True]
    now = emulator.twilio.clock.now()
    statuses = [sent.status(now) for sent in emulator.twilio.part(Messages).by_sid.values()]
    assert (statuses.count("canceled"), statuses.count("scheduled")) == (4, 6)
    assert json.dumps(entries(store)).count("SM") == 6


def test_a_connection_of_which_nothing_gets_through_is_tried_once(emulator: Running) -> None:
    nowhere = emulator.connection_json(base_url="http://127.0.0.1:9/{product}", max_attempts=1)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=nowhere), pytest.raises(TwilioError, match="1 of 100 mess"):
        message(to=NUMBERS).execute(context(MemoryStore()))


def test_what_rcs_did_not_reach_and_went_as_a_text_is_found(emulator: Running) -> None:
    sid = service(phone_numbers=[FROM], channel_senders=["XE" + "c3" * 16])
    given: dict[str, Any] = {"from_": None, "messaging_service_sid": sid, "fallback_from": FROM}
    break_posts(emulator, "drop_after")
    message(to=f"rcs:{NUMBERS[0]}", **given).execute(context(MemoryStore()))
    assert sum(taken(emulator).values()) == 1


@pytest.mark.parametrize("state", ["sending", "accepted"])
@pytest.mark.parametrize("skip", [0, 1, 3, 5])
def test_a_kill_takes_back_what_is_scheduled_and_a_later_try_schedules_all(
    emulator: Running, state: str, skip: int
) -> None:
    given: dict[str, Any] = {
        "to": NUMBERS[:6],
        "from_": None,
        "messaging_service_sid": service(phone_numbers=[FROM]),
        "send_at": datetime.now(timezone.utc) + timedelta(hours=2),
        "cancel_on_kill": True,
    }
    task, left = message(**given), [skip]

    def kill(key: str, value: Any) -> None:
        left[0] -= value.get("state") == state
        if left[0] < 0:
            store.refuse = lambda key, value: None
            task.on_kill()

    store = MemoryStore(kill)
    if (state, skip) == ("accepted", 5):
        task.execute(context(store))  # all of them were posted
    else:
        with pytest.raises(TwilioError, match="the task was killed, so nothing more was posted"):
            task.execute(context(store))
    now = emulator.twilio.clock.now()
    sent = emulator.twilio.part(Messages).by_sid
    assert [each.status(now) for each in sent.values()] == ["canceled"] * (skip + (state == "accepted"))
    again = message(**given).execute(context(store, try_number=2))
    assert again["statuses"] == {"scheduled": 6}
    scheduled = [each.to for each in sent.values() if each.status(now) == "scheduled"]
    assert sorted(scheduled) == NUMBERS[:6]
