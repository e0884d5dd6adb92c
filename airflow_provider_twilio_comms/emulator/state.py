"""State of the emulator: its clock, its options, and one part for each subject."""

from __future__ import annotations

import random
import threading
from typing import Any, TypeVar, cast

from airflow_provider_twilio_comms.emulator.clock import Clock
from airflow_provider_twilio_comms.emulator.faults import Faults
from airflow_provider_twilio_comms.emulator.options import Options
from airflow_provider_twilio_comms.emulator.recorder import Journal, Ledger

__all__ = ["State"]

P = TypeVar("P")


class State:
    """The emulator's state, in parts by subject, each created by ``part`` when it is first used.

    ``lock`` is held while a request is handled; hold it to look at state from another thread.
    ``webhooks_wait`` is set while status callbacks may become due.
    """

    def __init__(self, clock: Clock | None = None, seed: int | None = None, **options: Any) -> None:
        self.clock: Clock = clock or Clock()
        self.options: Options = Options().changed(options)
        self.random: random.Random = random.Random(seed)
        self.lock: threading.RLock = threading.RLock()
        self.webhooks_wait: threading.Event = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Forget everything but the options and the time."""
        with self.lock:
            self.faults: Faults = Faults()
            self.ledger: Ledger = Ledger()
            self.journal: Journal = Journal()
            self._parts: dict[type[Any], Any] = {}

    def part(self, kind: type[P]) -> P:
        """Return the part of a kind, which is created as ``kind(state)`` on first use."""
        if kind not in self._parts:
            self._parts[kind] = cast(Any, kind)(self)
        return cast(P, self._parts[kind])

    def change(self, **options: Any) -> None:
        """Change options; earlier sends keep their pace. Raises ``msgspec.ValidationError``."""
        self.options = self.options.changed(options)
