"""Producer for Airflow 3.3's shared streams: one poll for many triggers. Airflow 3.2 has none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from airflow.triggers.shared_stream import SharedStreamProducer


class Rounds(Protocol):
    """The poll behind a stream."""

    def rounds(self) -> AsyncIterator[Any]: ...

    async def stored(self, number: int) -> None: ...


class Producer(SharedStreamProducer):
    """Broadcast each round, and hear when Airflow has stored all events made of it."""

    def __init__(self, poll: Rounds) -> None:
        self._poll = poll

    async def open_stream(self) -> AsyncIterator[tuple[Any, int]]:
        async for look in self._poll.rounds():
            yield look, look.number

    async def advance(self, batch: Sequence[Any]) -> None:
        await self._poll.stored(batch[-1].broker_payload)
