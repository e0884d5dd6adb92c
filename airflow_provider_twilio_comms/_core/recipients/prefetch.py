"""Prefetch items in a thread while the ones before are worked on."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from threading import Event, Thread
from typing import Any, TypeVar, cast

T = TypeVar("T")


def prefetch(make: Callable[[], Iterable[T]], depth: int = 4) -> Iterator[T]:
    """The items of ``make()``, of which at most ``depth`` wait.

    ``make`` is called and gone through in the thread, so what it opens is opened, used and closed by that
    one thread. Its error is raised here, after the items that came before it.
    """
    line: queue.Queue[Any] = queue.Queue(maxsize=depth)
    over = Event()

    def put(item: Any) -> bool:
        while not over.is_set():
            try:
                line.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        end: Any = _End(None)
        try:
            items: Any = make()
            with closing(items) if hasattr(items, "close") else nullcontext():
                for item in items:
                    if not put(item):
                        return
        except BaseException as error:  # it is raised by the one who reads
            end = _End(error)
        put(end)

    thread = Thread(target=work, name="twilio-prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := line.get(), _End):
            yield cast("T", item)
        if item.error is not None:
            raise item.error
    finally:
        over.set()
        thread.join(10)


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error
