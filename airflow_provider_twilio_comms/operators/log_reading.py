"""A list by date, read page by page from where an earlier try came to."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import msgspec

from airflow_provider_twilio_comms._core.reporting.message_log import Source
from airflow_provider_twilio_comms._tasks.reading import Reading
from airflow_provider_twilio_comms.exceptions import ApiError
from airflow_provider_twilio_comms.operators.progress import Progress, Step
from airflow_provider_twilio_comms.sending.intervals import Interval

__all__ = ["LogReading"]

R = TypeVar("R", bound=msgspec.Struct)
STALE = 21481  # Twilio's code of a page token that it does not take any more
RECENT = 5  # pages in which a row may come again, where new ones push it on while the list is read


class LogReading(Generic[R]):
    """Hands the rows of an interval to ``take(rows, page)``, a page at a time, and notes each that is done.

    What ``take`` keeps of a page has to bear being told the same page twice.
    """

    def __init__(self, source: Source[R], read: Reading, progress: Progress) -> None:
        self._source = source
        self._read = read
        self.progress = progress

    def copied(self, interval: Interval, name: str, take: Callable[[Sequence[R], int], None]) -> Step:
        """Read to the end; returns the last step."""
        step = self.progress.step(name)
        if step.done:
            return step
        try:
            return self._copied(interval, name, take, step)
        except ApiError as error:
            if error.code != STALE or not step.pages:
                raise
        fresh = Step(step.at)
        return self._copied(interval, name, take, fresh)

    def _copied(
        self, interval: Interval, name: str, take: Callable[[Sequence[R], int], None], step: Step
    ) -> Step:
        first = self._source.call(interval)
        if step.next is not None:
            first = replace(first, query=tuple((key, value) for key, value in step.next))
        recent: deque[set[object]] = deque(maxlen=RECENT)
        for page in self._read.pages(first):
            items = [item for item in page.items if not any(_name(item) in names for names in recent)]
            recent.append({_name(item) for item in page.items})
            rows = [row for item in items if (row := self._source.row(item, interval)) is not None]
            take(rows, step.pages)
            counted = Counter(step.statuses)
            counted.update(str(self._source.status(row)) for row in rows)
            step = Step(
                step.at,
                step.pages + 1,
                step.rows + len(rows),
                dict(counted),
                list(page.next.query) if page.next else None,
                page.next is None,
            )
            self.progress.note(name, step)
        return step


def _name(item: object) -> object:
    """A message's SID; a usage record has none, and is itself."""
    return getattr(item, "sid", None) or item
