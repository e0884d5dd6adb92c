"""Outbox of the Communications API: every operation within the retention."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from airflow_provider_twilio_comms.emulator.comms.ids import Place
from airflow_provider_twilio_comms.emulator.comms.operation import Operation

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Outbox"]


class Outbox:
    """The operations, oldest first, numbered from 0 since the emulator started."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self._operations: list[Operation] = []
        self._by_id: dict[str, Operation] = {}
        self._by_key: dict[str, Operation] = {}
        self.count: int = 0

    def add(self, operation: Operation) -> None:
        self._forget()
        self._operations.append(operation)
        self._by_id[operation.id] = self._by_key[operation.key] = operation
        self.count += 1

    def find(self, operation_id: str) -> Operation | None:
        operation = self._by_id.get(operation_id)
        return operation if operation and self._kept(operation) else None

    def at(self, place: Place | None) -> Operation | None:
        """Find the operation of the message at a place, if there is such a message."""
        operation = self._by_key.get(place.key) if place else None
        rows = self._twilio.options.unaddressable_rows
        if place and operation and self._kept(operation) and operation.has(place.index, rows):
            return operation
        return None

    def cancel(self, operation_id: str) -> None:
        """Cancel an operation's unsent messages. Raises ``LookupError``, and ``ValueError`` after its end."""
        operation, now = self.find(operation_id), self._twilio.clock.now()
        if operation is None:
            raise LookupError("no such operation")
        if operation.status(now) not in ("SCHEDULED", "PROCESSING"):
            raise ValueError("the operation has ended")
        operation.timeline.canceled_at = now

    def newest_first(self, before: int | None = None, lag: float = 0.0) -> list[Operation]:
        """List operations with a number up to ``before`` that were accepted at least ``lag`` seconds ago."""
        latest = self._twilio.clock.now() - lag
        end = len(self._operations)
        if before is not None:
            end = bisect_right(self._operations, before, key=lambda operation: operation.number)
        return [
            operation
            for operation in reversed(self._operations[:end])
            if operation.created <= latest and self._kept(operation)
        ]

    def _kept(self, operation: Operation) -> bool:
        return self._twilio.clock.now() - operation.created <= self._twilio.options.retention

    def _forget(self) -> None:
        """Delete operations that are past retention."""
        gone = 0
        while gone < len(self._operations) and not self._kept(self._operations[gone]):
            operation = self._operations[gone]
            del self._by_id[operation.id], self._by_key[operation.key]
            gone += 1
        del self._operations[:gone]
