"""Lists read by a worker: while it works on a page, the next one is on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_twilio_comms.exceptions import ApiError

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.api.wire import Call, Page
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["Reading", "reading"]

T = TypeVar("T")
S = TypeVar("S")


class Reading:
    """A hook's calls made by a few threads, which share its one HTTP session."""

    def __init__(self, hook: TwilioHook, pool: ThreadPoolExecutor) -> None:
        self._run, self._pool = hook.run, pool

    def pages(self, first: Call[Page[T]]) -> Iterator[Page[T]]:
        """Every page of a list. Two are held at most: the one in hand, and the one that follows."""
        coming: Future[Page[T]] | None = self._pool.submit(self._run, first)
        while coming is not None:
            page = coming.result()
            coming = self._pool.submit(self._run, page.next) if page.next else None
            yield page

    def each(self, ask: Callable[[S], Call[T]], of: Iterable[S]) -> list[T | None]:
        """The answer to a call for each, in order; None where Twilio answers 404."""
        asked = [self._pool.submit(self._run, ask(item)) for item in of]
        return [_there(answer) for answer in asked]


def _there(answer: Future[T]) -> T | None:
    try:
        return answer.result()
    except ApiError as error:
        if error.status != 404:
            raise
        return None


@contextmanager
def reading(hook: TwilioHook, concurrency: int) -> Iterator[Reading]:
    """Make at most ``concurrency`` requests at a time, while the block lasts."""
    hook.get_conn()  # made here, before threads ask for it
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="twilio")
    try:
        yield Reading(hook, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
