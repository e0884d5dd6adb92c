"""Early looks: waits that have just begun are looked at between the rounds of a poll, within a budget.

Short waits then need not last a whole interval. Looks come after growing pauses, as in a worker, until these
are as long as the interval; so what was deferred long ago, or taken over from another triggerer, has none.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_twilio_comms._core.waiting.base import pause_of

BUDGET = 10  # requests for early looks between two rounds, as many as a round of 10,000 waits takes
MOST = 1000  # names of an early look: a larger crowd would keep the event loop busy once more
SAFETY_NET = 60.0  # seconds: a poll at a longer interval is for what webhooks lose, and has no early looks
TOGETHER = 1.0  # seconds within which what is due is looked at in one go
AT_A_TIME = 500  # plans that are made before the event loop may do something else


@dataclass(slots=True)
class _Plan:
    names: Sequence[str]
    began: float
    not_before: float
    due: float = math.inf


class EarlyLooks:
    """Plans of early looks for the waits of one poll, which are held in any form.

    ``few`` names are asked for one by one; of more, a request shows ``page``, or 0 where there are no early
    looks. ``interval`` is the poll's, in seconds; times are seconds since 1970.
    """

    def __init__(self, few: int, page: int, interval: float) -> None:
        self._few, self._page, self._interval = few, page, interval
        self._plans: dict[object, _Plan] = {}
        self._left = BUDGET

    def add(self, waiter: object, names: Sequence[str], began: float, not_before: float, now: float) -> None:
        """Plan for a wait that ``began`` then, and to which a look tells nothing ``not_before``."""
        if self._page and self._interval <= SAFETY_NET:
            self._plans[waiter] = _Plan(names, min(began, now), not_before)
            self._plan(waiter, now)

    def discard(self, waiter: object) -> None:
        """Forget a wait, whether it is planned for or not."""
        self._plans.pop(waiter, None)

    @property
    def first(self) -> float:
        """Time at which a look is due first; infinite where none is."""
        return min((plan.due for plan in self._plans.values()), default=math.inf)

    async def renew(self, now: float) -> None:
        """Plan for all that were looked at in a round just now, with a new budget."""
        self._left = BUDGET
        for number, waiter in enumerate(list(self._plans), 1):
            self._plan(waiter, now)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def take(self, now: float) -> set[str]:
        """Names that are due, to be looked at now; none where that exceeds a limit."""
        due = [waiter for waiter, plan in self._plans.items() if plan.due <= now + TOGETHER]
        names = {name for waiter in due for name in self._plans[waiter].names}
        cost = len(names) if len(names) <= self._few else math.ceil(len(names) / self._page)
        if cost > self._left or len(names) > MOST:
            for waiter in due:
                self._plans[waiter].due = math.inf
            return set()
        self._left -= cost
        for waiter in due:
            self._plan(waiter, now)
        return names

    def _plan(self, waiter: object, now: float) -> None:
        plan = self._plans.get(waiter)
        if plan is None:
            return
        pause = pause_of(self._interval, now - plan.began)
        if pause < self._interval:
            plan.due = max(now + pause, plan.not_before)
        else:
            del self._plans[waiter]
