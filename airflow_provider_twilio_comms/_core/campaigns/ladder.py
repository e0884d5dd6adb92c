"""Spread a send over time: a ladder of moments on which its requests are scheduled, so that no worker waits.

A plan is cut into requests so small that the ladder is smooth, and few enough that their number is bounded. A
request's rung lies as far into the ladder as the people are that come before it. Sections of the list (time
zones, variants) are spread over the whole ladder each, so that none of them is early and none is late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil

import msgspec

from airflow_provider_twilio_comms._core.planning.plan import Chunk, Spooled

RUNGS = 500  # requests at most, besides one for each section of the list
INTERVAL = timedelta(minutes=1)  # between two rungs at least


@dataclass(frozen=True)
class Ladder:
    """Spread a plan over ``spread_over``, or at so many messages ``per_second``.

    ``size`` is that of the requests of an earlier try, and ``people`` how many they were for: a later one
    keeps to both, so that rows which were appended since do not move the rungs of the others.
    """

    spread_over: timedelta | None = None
    per_second: float | None = None
    size: int | None = None
    people: int | None = None

    def length(self, people: int) -> timedelta:
        """The time from the first message to the last one, at an even pace."""
        if self.spread_over is not None:
            return self.spread_over
        return timedelta(seconds=people / self.per_second) if self.per_second else timedelta()

    def largest(self, people: int) -> int:
        """Recipients in a request at most."""
        if self.size is not None:
            return self.size
        rungs = min(RUNGS, max(1, self.length(people) // INTERVAL))
        return max(1, ceil(people / rungs))

    def cut(
        self, chunks: Sequence[Chunk], spool: Spooled, rows: Mapping[int, Sequence[int]]
    ) -> tuple[list[Chunk], Spooled, int, dict[int, Sequence[int]]]:
        """Cut a plan into smaller requests, each with its rung, in the order of these.

        Returns them, what reads them, how many recipients each has at most, and the ``rows`` of these, as far
        as they are known.
        """
        people = self.people or sum(chunk.count for chunk in chunks)
        size, length = self.largest(people), self.length(people)
        lots = [
            (chunk.number, first, min(first + size, chunk.count))
            for chunk in chunks
            for first in range(0, chunk.count, size)
        ]
        sections = {chunk.number: chunk.section for chunk in chunks}
        whole = Counter(sections[number] for number, _, _ in lots)
        seen: Counter[object] = Counter()
        order = []
        for lot in lots:
            section = sections[lot[0]]
            order.append(((seen[section] + 0.5) / whole[section], section, lot))
            seen[section] += 1
        places: dict[int, list[tuple[int, int, int, float]]] = {}
        before = 0
        for number, (_, _, (source, first, end)) in enumerate(sorted(order)):
            rung = min(before, people - 1) if self.spread_over else before
            after = (length * (rung / people)).total_seconds()
            places.setdefault(source, []).append((number, first, end, after))
            before += end - first
        fresh, found, kept = spool.anew(), [], {}
        for chunk in chunks:
            raw = _raw.decode(b"[" + spool.read(chunk) + b"]")
            lines = [bytes(each) for each in raw]
            for number, first, end, after in places[chunk.number]:
                found.append(fresh.rewrite(replace(chunk, after=after), number, lines[first:end]))
                if chunk.number in rows:
                    kept[number] = rows[chunk.number][first:end]
        found.sort(key=lambda chunk: chunk.number)
        return found, fresh, max(chunk.count for chunk in found), kept


_raw = msgspec.json.Decoder(list[msgspec.Raw])
