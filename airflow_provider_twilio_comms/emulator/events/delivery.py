"""Delivery of events to webhook sinks, signed. A batch that is not taken is posted again, ``TRIES`` times."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from airflow_provider_twilio_comms.emulator.callbacks import Callback, batch, event, posted
from airflow_provider_twilio_comms.emulator.events.queue import Batch, Queue
from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Deliverer"]

EVERY = 0.1  # seconds between two looks
TRIES = 5


@dataclass
class _Parcel:
    """A batch as it is posted, and how often it was."""

    callback: Callback
    tries: int = 0

    def is_taken(self) -> bool:
        """Post it; returns if that was the last time it has to be."""
        self.tries += 1
        try:
            return posted(self.callback) < 300 or self.tries >= TRIES
        except OSError:
            return self.tries >= TRIES


class Deliverer:
    """A thread that posts what is due while the server runs."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twilio-event-streams", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        parcels: list[_Parcel] = []
        while not self._ended.wait(EVERY):
            with self._twilio.lock:
                queue = self._twilio.part(Queue)
                queue.gather()
                parcels += map(self._pack, queue.batches)
                queue.batches.clear()
            parcels = [each for each in parcels if not self._ended.is_set() and not each.is_taken()]

    def _pack(self, due: Batch) -> _Parcel:
        random = self._twilio.random
        events = [event(one.kind, one.data, random.getrandbits(128), one.at) for one in due.events]
        return _Parcel(batch(due.address, events))
