"""Events as operations and their messages move, in batches for the sinks that are subscribed to them.

A cursor for each operation says how far its events were made, so that each is made once; only what happened
after its type was subscribed to is delivered. Nothing leaves this machine unless ``events_anywhere`` is set.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_twilio_comms.emulator.comms.ids import downstream_sid, message_id
from airflow_provider_twilio_comms.emulator.comms.operation import Operation
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.events.catalog import COMMS, TEST
from airflow_provider_twilio_comms.emulator.events.streams import Sink, Streams
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Batch", "Happened", "Queue"]

_log = logging.getLogger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SIZE = 100  # events of a batch
_ENDS = {"DELIVERED": "delivered", "READ": "read", "UNDELIVERED": "undelivered", "FAILED": "failed"}


@dataclass
class _Cursor:
    """The count of an operation's messages whose last event is out, and if its own is."""

    settled: int = 0
    completed: bool = False


class Happened(NamedTuple):
    """An event before it is one: its type, its time and its data."""

    kind: str
    at: float
    data: dict[str, Any]


class Batch(NamedTuple):
    """Events for one address."""

    address: str
    events: Sequence[Happened]


class Queue:
    """Batches to be posted. Hold the emulator's lock to use it."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._cursors: dict[str, _Cursor] = {}
        self.batches: deque[Batch] = deque()

    def add_test(self, sink: Sink) -> None:
        now = self._twilio.clock.now()
        self._put(sink, [Happened(TEST, now, {"test_id": sink.tests[-1]})])

    def gather(self) -> None:
        """Make the events that are due, for the sinks that are subscribed to them."""
        streams = self._twilio.part(Streams)
        if not streams.subscriptions:
            return
        happened = list(self._happened())
        for sink in streams.sinks.values():
            wanted: dict[str, float] = {}
            for each in streams.subscriptions.values():
                if each.sink_sid == sink.sid:
                    wanted.update(each.since)
            events = [one for one in happened if one.kind in wanted and one.at >= wanted[one.kind]]
            if events:
                self._put(sink, events)

    def _put(self, sink: Sink, events: list[Happened]) -> None:
        destination = sink.configuration["destination"]
        if urlsplit(destination).hostname not in LOOPBACK and not self._twilio.options.events_anywhere:
            _log.warning("No events are delivered to other machines, unless events_anywhere is set")
            return
        size = SIZE if sink.configuration["batch_events"] else 1
        for start in range(0, len(events), size):
            self.batches.append(Batch(destination, events[start : start + size]))

    def _happened(self) -> Iterator[Happened]:
        now = self._twilio.clock.now()
        for operation in reversed(self._twilio.part(Outbox).newest_first()):
            cursor = self._cursors.setdefault(operation.id, _Cursor())
            if cursor.completed and cursor.settled == operation.timeline.count:
                continue
            settled = operation.timeline.fronts(now).settled
            for index in range(cursor.settled, settled):
                yield from _ended(operation, index)
            cursor.settled = settled
            if not cursor.completed and operation.status(now) == "COMPLETED":
                cursor.completed = True
                yield Happened(
                    f"{COMMS}.operation.completed", operation.timeline.end, {"operation_id": operation.id}
                )


def _ended(operation: Operation, index: int) -> Iterator[Happened]:
    """The event of a message that has its receipt; none for those that get none."""
    plan = operation.recipients.plan(index)
    moved = _ENDS.get(plan.stages[1] if plan.stages[1] in _ENDS else plan.stages[0])
    if moved is None or plan.unaddressable:
        return
    last = plan.attempts[-1]
    party = operation.recipients.parties(index)[last.address]
    data = {
        "operation_id": operation.id,
        "message_id": message_id(operation.key, index),
        "account_sid": operation.account_sid,
        "downstream_id": downstream_sid(
            operation.key, index, len(plan.attempts) - 1, operation.content.multimedia
        ),
        "attempt": str(len(plan.attempts)),
        "error_code": str(last.code) if last.code else None,
        "to": {"id": None, "address": party.address, "channel": party.channel},
        "tags": operation.tags,
    }
    yield Happened(f"{COMMS}.message.{moved}", operation.timeline.settled_at(index), data)
