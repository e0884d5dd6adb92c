"""Reasons of failures: Twilio's error codes of the messages that failed, counted at the end of a wait.

The list of the Communications API has no codes. A code stands in the message itself, so a reason costs a
request, unless an event has told it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_twilio_comms._core.reporting.told_codes import Known
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.results import describe_reasons, describe_result
from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.flows import Ended, Flow, Group, every_item, now
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import AuthenticationFailed, DeliveryFailed

LIMIT = 1000  # messages that are asked for at the end of a wait
WITHIN = 20.0  # seconds after which no further request begins
AT_ONCE = 16
PAGE = 1000


def count_codes(
    failed: Mapping[str, Stats], known: Known, limit: int = LIMIT, within: float = WITHIN
) -> Flow[dict[int, int]]:
    """Count Twilio's codes of messages that failed, of these operations with their counts.

    Asks for ``limit`` messages at most, several at a time, and begins no request after ``within`` seconds; so
    the codes may add up to less than what failed. Messages that are ``known`` are not asked for. A request
    that fails costs that message's reason and no more.
    """
    asking = _Asking(failed, known, limit)
    group = Group(asking.work(), AT_ONCE)
    deadline = (yield from now()) + within
    ended: list[Ended] = yield group
    while ended:
        time = yield from now()
        for each in ended:
            asking.take(each)
            later = time + (getattr(each.error, "retry_after", None) or 0.0)
            if later >= deadline or isinstance(each.error, AuthenticationFailed):
                group.stop()
        ended = yield group
    return dict(asking.found)


class _Asking:
    """The work of asking: lists of messages that failed, read only while needed, and the messages of them.

    ``coming`` counts the rows of the lists under way, as Twilio's counters have them.
    """

    def __init__(self, failed: Mapping[str, Stats], known: Known, limit: int) -> None:
        self.found: Counter[int] = Counter()
        self._known, self._limit, self._asked, self._coming = known, limit, 0, 0
        self._total = sum(stats.failed + stats.undelivered for stats in failed.values())
        self._messages: deque[str] = deque()
        self._lists: deque[tuple[str, str, int]] = deque()
        for operation_id, stats in failed.items():
            told = known.get(operation_id, {})
            # Otherwise some are new, or arrived at a later attempt.
            if len(told) == stats.failed + stats.undelivered:
                self.found.update(each.code for each in told.values())
                continue
            for status, count in (("FAILED", stats.failed), ("UNDELIVERED", stats.undelivered)):
                if count:
                    self._lists.append((operation_id, status, count))

    def work(self) -> Iterator[tuple[Any, Call[Any] | Flow[Any]] | None]:
        while self._asked < self._limit and self.found.total() < self._total:
            if self._messages:
                self._asked += 1
                message = self._messages.popleft()
                yield message, messages.fetch(message)
            elif self._lists and self._coming < self._limit - self._asked:
                operation_id, status, count = self._lists.popleft()
                self._coming += count
                first = messages.list(operation_id=operation_id, status=status, page_size=PAGE)
                yield (operation_id, count), every_item(first, self._limit)
            elif self._coming:
                yield None
            else:
                return

    def take(self, ended: Ended) -> None:
        if isinstance(ended.key, str):
            if ended.value is not None and ended.value.code:
                self.found[ended.value.code] += 1
            return
        operation_id, count = ended.key
        self._coming -= count
        told = self._known.get(operation_id, {})
        for row in ended.value or ():
            if row.id in told:
                self.found[told[row.id].code] += 1
            else:
                self._messages.append(row.id)


def count_unexplained(stats: Stats, codes: Mapping[int, int]) -> int:
    """Count the failures of which nobody knows the reason: neither asked for nor told."""
    return max(0, stats.failed + stats.undelivered - sum(codes.values()))


def by_verdict(stats: Stats, codes: Mapping[int, int]) -> dict[str, int]:
    """Count the messages that will not arrive by verdict; ``not-asked`` where nobody asked why."""
    counts = Counter({error_codes.Verdict.RECIPIENT.value: stats.unaddressable})
    for code, count in codes.items():
        counts[error_codes.verdict(code).value] += count
    counts["not-asked"] = count_unexplained(stats, codes)
    return dict(counts)


def result_line(criteria: Criteria, stats: Stats, recipients: int, codes: Mapping[int, int]) -> str:
    """Say how a wait ended in one line: counts, shares, what was asked for, and the reasons of failures."""
    return describe_result(
        "delivered",
        stats.arrived,
        max(stats.asked, recipients),
        criteria.asked,
        under_way=stats.under_way,
        lost=stats.lost,
        reasons=describe_failures(stats, codes),
    )


def describe_failures(stats: Stats, codes: Mapping[int, int]) -> str:
    """Name the main codes and what they mean, and count what no code explains."""
    others = (
        (stats.unaddressable, "no sender reaches them"),
        (stats.canceled, "canceled"),
        (count_unexplained(stats, codes), "unexplained"),
    )
    return describe_reasons(codes, others)


def explain(error: DeliveryFailed, stats: Stats, codes: Mapping[int, int]) -> DeliveryFailed:
    """Make the same error with the codes that were the reason, and how many failures are unexplained."""
    counted = {str(code): count for code, count in codes.items()}
    reasons = f". Reasons: {describe_failures(stats, codes)}" if stats.lost else ""
    values = {**{name: getattr(error, name) for name in error.fields}, "codes": counted}
    return type(error)(f"{error.message}{reasons}", **values)
