"""A group of calls and flows under way: which of them may begin, and which have ended. For both runners."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import time as wall_clock
from typing import Any

from airflow_provider_twilio_comms.api.flows import Ended, Group
from airflow_provider_twilio_comms.exceptions import RateLimited, TwilioError


class Progress:
    """Progress of a group. Items are begun by whoever runs the flow; they may end in another thread."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._work = iter(group.work)
        self._begun = 0
        self._taken = 0
        self._paused_at = -1  # how many had been taken when the work had nothing to give
        self._exhausted = False
        self._failed: BaseException | None = None
        self._line: deque[Ended | None] = deque()  # appending to it and taking from it are atomic

    @property
    def under_way(self) -> int:
        """The number of those that were begun and not handed back."""
        return self._begun - self._taken

    def due(self, time: float) -> Iterator[tuple[Any, Any]]:
        """Those that may begin now, which whoever takes them begins."""
        group = self._group
        while self._may_begin():
            if group.pace.delay(time) > 0:
                return
            group.time = wall_clock()
            try:
                item = next(self._work, _END)
            except Exception as error:  # none of these follows; those under way are finished
                self._break(error)
                return
            if item is _END:
                self._exhausted = True
                return
            if item is None:  # not before one has ended
                self._paused_at = self._taken
                return
            self._begun += 1
            group.pace.begin(group.weigh(item[0]), time)
            yield item

    def delay(self, time: float) -> float | None:
        """Seconds until another may begin; None where that takes one that ends."""
        group = self._group
        if not self._may_begin():
            return None
        return group.pace.delay(time)

    def _may_begin(self) -> bool:
        full = self.under_way >= self._group.at_once or self._paused_at == self._taken
        return not (full or self._exhausted or self._group.stopped)

    def throttled(self, error: TwilioError, time: float) -> None:
        """Hear of an error of one that may be tried again."""
        if isinstance(error, RateLimited):
            self._group.pace.throttled(error.retry_after, time)

    def end(self, ended: Ended) -> None:
        """Hand back one that has ended."""
        self._line.append(ended)

    def fail(self, error: BaseException) -> None:
        """End one by a bug: nothing more begins, and once all have ended the error is raised."""
        self._break(error)
        self._line.append(None)

    def taken(self) -> list[Ended]:
        """Those that have ended and were not handed back yet; raises the error once none is under way."""
        found = []
        while self._line:
            ended = self._line.popleft()
            self._taken += 1
            if ended is not None:
                found.append(ended)
        if not found and not self.under_way and self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        return found

    def _break(self, error: BaseException) -> None:
        self._failed = self._failed or error
        self._exhausted = True


_END: Any = object()
