"""Read lists in a worker: while it works on a page, the next one is fetched."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from airflow_provider_twilio_comms._core.recipients.prefetch import prefetch
from airflow_provider_twilio_comms._core.reporting.message_log import Interval, Source
from airflow_provider_twilio_comms._tasks.task_state import Progress, Step
from airflow_provider_twilio_comms.api.flows import all_of, fetched
from airflow_provider_twilio_comms.exceptions import ApiError

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.api.wire import Call, Page
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

T = TypeVar("T")
S = TypeVar("S")


class Reading:
    """A hook's calls, at most ``concurrency`` of them together."""

    def __init__(self, hook: TwilioHook, concurrency: int) -> None:
        self._run, self._at_once = hook.run, concurrency

    def pages(self, first: Call[Page[T]]) -> Iterator[Page[T]]:
        """Every page of a list, of which the next one is fetched while one is worked on."""
        return prefetch(lambda: self._pages(first), depth=1)

    def each(self, ask: Callable[[S], Call[T]], of: Iterable[S]) -> list[T | None]:
        """The answer to a call for each, in order; None where Twilio answers 404."""
        calls = (cast("Call[T | None]", ask(item)) for item in of)
        return self._run(all_of(map(fetched, calls), self._at_once))

    def _pages(self, first: Call[Page[T]]) -> Iterator[Page[T]]:
        call: Call[Page[T]] | None = first
        while call is not None:
            page = self._run(call)
            yield page
            call = page.next


@contextmanager
def reading(hook: TwilioHook, concurrency: int) -> Iterator[Reading]:
    """Make at most ``concurrency`` requests at a time, while the block lasts."""
    hook.get_conn()  # made here, before the thread that fetches ahead asks for it
    yield Reading(hook, concurrency)


R = TypeVar("R", bound=msgspec.Struct)
STALE = 21481  # Twilio's code of a page token that it does not take any more
RECENT = 5  # pages in which a row may come again, where new ones push it on while the list is read


class LogReading(Generic[R]):
    """Hand the rows of an interval to ``take(rows, page)``, a page at a time, and note each that is done.

    ``take`` may get the same page twice.
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
