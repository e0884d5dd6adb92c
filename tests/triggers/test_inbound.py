"""Inbound messages and ended operations as events: each once, whatever breaks, and one poll for all."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from airflow_provider_twilio_comms._core.privacy import Redaction, derived
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.emulator.classic.outbox import Messages
from airflow_provider_twilio_comms.emulator.credentials import AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.faults import Fault
from airflow_provider_twilio_comms.emulator.inbound import Arrival, receive
from airflow_provider_twilio_comms.emulator.server import Running
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
from airflow_provider_twilio_comms.triggers._asset_state import MOST, WatermarkStore
from airflow_provider_twilio_comms.triggers._watching import WatchingTrigger
from airflow_provider_twilio_comms.triggers.inbound import FILES_TRIES, TwilioInboundMessageTrigger
from airflow_provider_twilio_comms.triggers.operation_events import TwilioOperationEventTrigger
from tests.conftest import environment
from tests.triggers.conftest import until

OURS, OTHER, SERVICE = "+15005550006", "+15005550010", "MG" + "07" * 16
ADA, BOB = "+12025550101", "+442079460000"
LIST = "GET /api/2010-04-01/Accounts/{AccountSid}/Messages.json"


class AssetStore:
    """An asset's state store, which outlives its watchers."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.away = False

    async def aget(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        if self.away:
            raise ConnectionError
        self.values[key] = json.dumps(value)


class Triggerer:
    """Airflow's shared streams without its triggerer: who watches, what was told, and if it is stored."""

    def __init__(self, stores: bool = True) -> None:
        shared = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.2 shares no streams")
        self.streams = shared.SharedStreamManager(log=_Silent())
        self.told: dict[int, list[dict[str, Any]]] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.stores = stores

    def watch(self, trigger: WatchingTrigger[Any], store: AssetStore | None = None) -> list[dict[str, Any]]:
        number = len(self.tasks) + 1
        trigger.asset_state_store = store  # type: ignore[assignment]
        self.told[number] = []
        self.tasks.append(asyncio.create_task(self._run(number, trigger)))
        return self.told[number]

    async def _run(self, number: int, trigger: WatchingTrigger[Any]) -> None:
        key = trigger.shared_stream_key()
        stream = self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                sequence = self.streams.bind_pending_event(trigger_id=number, key=key)
                self.told[number].append(event.payload)
                if self.stores and sequence is not None:
                    self.streams.confirm_persisted([sequence])
        finally:
            await self.streams.unsubscribe(number, key)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.streams.stop_all()


class _Silent:
    def __getattr__(self, name: str) -> Any:
        async def nothing(*_: Any, **__: Any) -> None: ...

        return nothing if name.startswith("a") else lambda *_, **__: None


@asynccontextmanager
async def triggerer(stores: bool = True) -> AsyncIterator[Triggerer]:
    one = Triggerer(stores)
    try:
        yield one
    finally:
        await one.stop()


def watcher(receiver: str = OURS, **others: Any) -> TwilioInboundMessageTrigger:
    return TwilioInboundMessageTrigger(receiver, **{"poll_interval": 0.05, "look_back": 5.0, **others})


def write(twilio: Running, body: str = "Hi", sender: str = ADA, to: str = OURS, **others: Any) -> str:
    with twilio.twilio.lock:
        return receive(twilio.twilio, Arrival(from_=sender, to=to, body=body, **others)).sid


def sids(told: list[dict[str, Any]]) -> list[str]:
    return [event["sid"] for event in told]


async def test_each_inbound_message_is_told_once_in_order(twilio: Running) -> None:
    async with triggerer() as one:
        told = one.watch(watcher())
        wanted = [write(twilio, f"Hi {number}") for number in range(30)]
        await until(lambda: len(told) == 30)
        wanted += [write(twilio, "more") for _ in range(3)]
        await until(lambda: len(told) >= 33)
        await asyncio.sleep(0.3)
        assert sids(told) == wanted


async def test_the_event_of_an_inbound_message_names_nobody(twilio: Running) -> None:
    async with triggerer() as one:
        told = one.watch(watcher())
        open_told = one.watch(watcher(show=["from", "body"]))
        write(twilio, "my secret", media=["https://x/a.png", "https://x/b.jpg"], service_sid=SERVICE)
        await until(lambda: told and open_told)
    (event,) = told
    assert set(event) == {"sid", "date", "service_sid", "sender", "media"}
    assert event["service_sid"] == SERVICE
    assert len(event["media"]) == 2
    assert all(sid.startswith("ME") for sid in event["media"])
    assert event["sender"] == Redaction("all", derived(AUTH_TOKEN)).number(ADA)
    assert ADA[1:] not in json.dumps(event)
    assert (open_told[0]["from"], open_told[0]["body"]) == (ADA, "my secret")


async def test_filters_by_receiver_sender_and_text(twilio: Running) -> None:
    async with triggerer() as one:
        everything, ours = one.watch(watcher("")), one.watch(watcher())
        service, british = one.watch(watcher(SERVICE)), one.watch(watcher("", senders=["+44*"]))
        stops = one.watch(watcher("", pattern=r"(?i)^\s*stop\b"))
        first = write(twilio, "Stop, please")
        second = write(twilio, "Nonstop", sender=BOB, to=OTHER, service_sid=SERVICE)
        await until(lambda: len(everything) == 2)
        await asyncio.sleep(0.2)
        assert sids(everything) == [first, second]
        assert (sids(ours), sids(service), sids(british)) == ([first], [second], [second])
        assert sids(stops) == [first]


async def test_what_we_send_is_no_inbound_message(twilio: Running) -> None:
    from airflow_provider_twilio_comms.api.classic import messages as classic

    hook = TwilioHook()
    hook.run(classic.send(ADA, from_=OURS, body="Hi"))
    async with triggerer() as one:
        told = one.watch(watcher(""))
        answer = write(twilio)
        await until(lambda: told)
        assert sids(told) == [answer]


async def test_many_inbound_watchers_share_one_poll(twilio: Running) -> None:
    async with triggerer() as one:
        watchers = [one.watch(watcher("", pattern=f"^{number}$", poll_interval=0.2)) for number in range(50)]
        twilio.twilio.journal.counts.clear()
        began = time.monotonic()
        for number in range(50):
            write(twilio, str(number))
        await until(lambda: all(watchers))
        await asyncio.sleep(0.5)
        rounds = (time.monotonic() - began) / 0.2 + 2
        assert all(len(told) == 1 for told in watchers)
        assert set(twilio.twilio.journal.counts) == {LIST}
        assert twilio.twilio.journal.counts[LIST] <= rounds


async def test_an_inbound_watcher_goes_on_where_the_last_one_stopped(twilio: Running) -> None:
    store, told = AssetStore(), []
    for generation in range(4):
        async with triggerer() as one:
            mine = one.watch(watcher(), store)
            wanted = [write(twilio, f"{generation} {number}") for number in range(5)]
            await until(lambda mine=mine, wanted=wanted: set(wanted) <= set(sids(mine)))
            await asyncio.sleep(0.2)
        told += sids(mine)
        write(twilio, "while nobody watches")
    with twilio.twilio.lock:
        everything = list(twilio.twilio.part(Messages).by_sid)
    assert told == everything[:-1]
    assert len(told) == len(set(told))


async def test_an_inbound_message_is_told_again_where_airflow_did_not_store_it(twilio: Running) -> None:
    store = AssetStore()
    async with triggerer(stores=False) as dying:
        lost = dying.watch(watcher(), store)
        sid = write(twilio)
        await until(lambda: lost)
        await asyncio.sleep(0.2)
    async with triggerer() as one:
        told = one.watch(watcher(), store)
        await until(lambda: told)
    assert sids(told) == [sid] == sids(lost)


async def test_an_outage_and_a_store_that_is_away_lose_no_inbound_message(twilio: Running) -> None:
    store = AssetStore()
    async with triggerer() as one:
        told = one.watch(watcher(), store)
        first = write(twilio)
        await until(lambda: told)
        store.away = True
        with twilio.twilio.lock:
            twilio.twilio.faults.add(Fault(kind="error_before", times=4))
        second = write(twilio)
        await until(lambda: len(told) == 2)
        store.away = False
        third = write(twilio)
        await until(lambda: len(told) == 3)
        await asyncio.sleep(0.3)
    async with triggerer() as later:
        again = later.watch(watcher(), store)
        await asyncio.sleep(0.3)
        assert again == []
    assert sids(told) == [first, second, third]


async def test_an_outage_is_logged_by_each_watcher_once_and_by_the_poll_at_each_look(
    twilio: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    hasty = twilio.connection_json(max_attempts=1, timeout=2)
    with environment(AIRFLOW_CONN_TWILIO_DEFAULT=hasty):
        async with triggerer() as one:
            watchers = [one.watch(watcher()) for _ in range(10)]
            with twilio.twilio.lock:
                outage = twilio.twilio.faults.add(Fault(kind="bad_gateway", path="/Messages", times=5))
            await until(lambda: outage.hits == 5)
            write(twilio)
            await until(lambda: all(watchers))
    by_poll = [each.getMessage() for each in caplog.records if "poll failed" in each.getMessage()]
    printed = [line for line in capsys.readouterr().out.splitlines() if "poll failed" in line]
    by_watchers = [line for line in printed if TwilioInboundMessageTrigger.__name__ in line]
    assert len(by_poll) == 5
    assert all("(inbound of twilio_default)" in line for line in by_poll)
    assert len(by_watchers) == len(watchers)


async def test_media_trouble_hides_no_inbound_message(twilio: Running) -> None:
    with twilio.twilio.lock:
        twilio.twilio.faults.add(Fault(kind="error_before", path="/Media", times=None))
    async with triggerer() as one:
        told = one.watch(watcher())
        mms = write(twilio, "See this", media=["https://x/a.png"])
        stop = write(twilio, "STOP")
        await until(lambda: len(told) == 2)
        assert sids(told) == [stop, mms], "the text does not wait for the files of another"
        assert [event["media"] for event in told] == [[], []]
        requests = {name for name in twilio.twilio.journal.counts if "Media" in name}
        assert sum(twilio.twilio.journal.counts[name] for name in requests) == FILES_TRIES
        await asyncio.sleep(0.3)
        assert len(told) == 2


async def test_media_that_can_be_listed_later_are_in_the_event(twilio: Running) -> None:
    with twilio.twilio.lock:
        twilio.twilio.faults.add(Fault(kind="error_before", path="/Media", times=FILES_TRIES - 1))
    async with triggerer() as one:
        told = one.watch(watcher())
        write(twilio, "See this", media=["https://x/a.png", "https://x/b.png"])
        await until(lambda: told)
        await asyncio.sleep(0.3)
    (event,) = told
    assert len(event["media"]) == 2


async def test_media_are_listed_only_for_messages_that_are_told(twilio: Running) -> None:
    async with triggerer() as one:
        told = one.watch(watcher(pattern="wanted"))
        write(twilio, "not this", media=["https://x/a.png"])
        sid = write(twilio, "wanted", media=["https://x/a.png"])
        await until(lambda: told)
        await asyncio.sleep(0.2)
        assert sids(told) == [sid]
        assert sum(count for name, count in twilio.twilio.journal.counts.items() if "Media" in name) == 1


async def test_without_shared_streams_an_inbound_watcher_polls_for_itself(twilio: Running) -> None:
    async with aclosing(watcher().run()) as events:
        wanted = write(twilio)
        event = await asyncio.wait_for(anext(events), 30)
    assert event.payload["sid"] == wanted
    assert not WatchingTrigger._watchers


async def test_an_operation_with_a_tag_is_told_when_its_receipts_are_in(twilio: Running) -> None:
    def sent(**tags: str) -> str:
        to = [
            {"address": "+12025550100", "channel": "PHONE"},
            {"address": "+12025559003", "channel": "PHONE"},
        ]
        return str(TwilioHook().run(messages.send(to, "Hello", tags=tags)).operation_id)

    twilio.twilio.change(pace=0.5)
    quick = {"poll_interval": 0.05, "look_back": 5.0}
    store = AssetStore()
    async with triggerer() as one:
        spring = one.watch(TwilioOperationEventTrigger({"campaign": "spring"}, **quick), store)
        every = one.watch(TwilioOperationEventTrigger(until="processed", **quick))
        wanted, other = sent(campaign="spring", part="1"), sent(campaign="autumn")
        await until(lambda: len(every) == 2 and spring)
        await asyncio.sleep(0.2)
    (event,) = spring
    assert (event["operation_id"], event["status"]) == (wanted, "COMPLETED")
    assert (event["stats"]["delivered"], event["stats"]["undelivered"]) == (1, 1)
    assert event["tags"] == {"campaign": "spring", "part": "1"}
    assert {each["operation_id"] for each in every} == {wanted, other}
    async with triggerer() as later:
        again = later.watch(TwilioOperationEventTrigger({"campaign": "spring"}, **quick), store)
        await asyncio.sleep(0.3)
    assert again == []


async def test_an_operation_whose_receipts_never_come_is_told_in_the_end(twilio: Running) -> None:
    to = [{"address": "+12025559000", "channel": "PHONE"}]
    async with triggerer() as one:
        patient = one.watch(TwilioOperationEventTrigger(poll_interval=0.05, look_back=5.0))
        hasty = one.watch(TwilioOperationEventTrigger(poll_interval=0.05, look_back=5.0, receipts_within=0.0))
        TwilioHook().run(messages.send(to, "Hello"))
        await until(lambda: hasty)
        assert patient == []


async def test_operations_whose_tags_cannot_be_read_hide_no_others(twilio: Running) -> None:
    to = [{"address": "+12025550100", "channel": "PHONE"}]
    tagged = [TwilioHook().run(messages.send(to, "Hello", tags={"n": str(n)})).operation_id for n in range(3)]
    with twilio.twilio.lock:
        twilio.twilio.faults.add(Fault(kind="error_before", path="/comms/v1/Messages$", times=5))
    async with triggerer() as one:
        second = one.watch(TwilioOperationEventTrigger({"n": "1"}, poll_interval=0.05, look_back=5.0))
        every = one.watch(TwilioOperationEventTrigger(poll_interval=0.05, look_back=5.0))
        await until(lambda: len(every) == 3)
        assert second == []
        await until(lambda: second)
    assert [event["operation_id"] for event in second] == [tagged[1]]


def test_an_operation_that_is_waited_for_stays_watched_behind_thousands_that_are_told() -> None:
    begun, wanted = 1_790_000_000.0, "comms_operation_late"
    notes = WatermarkStore("key", begun)
    waiting = {wanted: begun + 5}
    for number in range(4 * MOST):
        notes.tell(f"operation {number}", begun + 10 + number)
        notes.move(begun + 10 + number, waiting)
    assert notes.watermark <= begun + 5, "looks reach back to it"
    assert notes.is_new(wanted, begun + 5)
    assert not notes.is_new("operation 0", begun + 10), "it was told"
    assert not notes.is_new(f"operation {4 * MOST - 1}", begun + 10 + 4 * MOST - 1)
    assert len(json.dumps(notes._value())) < 65_535
    store = AssetStore()
    asyncio.run(_stored(notes, store))
    again = WatermarkStore("key", begun + 90_000)
    asyncio.run(again.read(store))
    assert again.is_new(wanted, begun + 5), "after a restart too"
    assert not again.is_new("operation 0", begun + 10)
    again.tell(wanted, begun + 5)
    again.move(begun + 10 + 4 * MOST, {})
    assert not again.is_new(wanted, begun + 5)
    assert again.watermark >= begun + 3 * MOST


async def _stored(notes: WatermarkStore, store: AssetStore) -> None:
    notes.noted(1)
    await notes.stored(store, 1)


def test_the_notes_of_thousands_fit_into_the_store() -> None:
    notes = WatermarkStore("key", 1_790_000_000.5)
    for number in range(2 * MOST):
        notes.tell(f"SM{number:032x}", 1_790_000_000.0 + number // 10)
    notes.move(1_790_000_001.0)
    assert len(json.dumps(notes._value())) < 65_535
    assert notes.watermark > 1_790_000_001.0
    assert not notes.is_new(f"SM{2 * MOST - 1:032x}", 1_790_000_000.0 + 2 * MOST // 10)


@pytest.mark.parametrize("bad", [{"pattern": "("}, {"show": ["price"]}])
def test_an_inbound_watcher_refuses_what_it_cannot_do(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        watcher(**bad)
