"""Overview of many sends: totals, counters over time, and reasons of failures. Pure: no Airflow, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.api.error_codes import Verdict
from airflow_provider_twilio_comms.plugins.delivery.sends import Part, Send

__all__ = [
    "ADVICE",
    "Bucket",
    "Counters",
    "Failure",
    "Overview",
    "Point",
    "accepted_over_time",
    "counters_of",
    "over_time",
    "overview",
    "round_down",
]

SHOWN = 3  # tasks that a reason names

ADVICE: dict[Verdict, str] = {
    Verdict.RETRY: "Try again later without changes: TwilioResendFailedOperator texts these once more.",
    Verdict.RECIPIENT: "Nothing is wrong here. Correct the number, or drop it from the list.",
    Verdict.OPT_OUT: "Never text them again: leave them out with suppress.",
    Verdict.CONFIGURATION: "Fix the account, the sender or the message first, then send again.",
    Verdict.UNKNOWN: "Check the messages at Twilio before anything is sent again.",
}
_UNREACHED = "no sender could reach them on this channel"
_UNASKED = "reason not looked up"
_ASK = "TwilioReceiptsOperator looks up the reason of each."


class Counters(NamedTuple):
    """Counts of messages: ``open`` ones are in flight, or their outcome was not looked up yet."""

    delivered: int = 0
    failed: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        return sum(self)

    def plus(self, other: Counters) -> Counters:
        return Counters(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Bucket(NamedTuple):
    """The messages of tasks that began between ``start`` and the next bucket."""

    start: datetime
    counters: Counters


class Point(NamedTuple):
    """The number of recipients that Twilio had accepted by a time."""

    at: datetime
    accepted: int


@dataclass
class Failure:
    """A reason of failures: ``code`` is Twilio's, if there is one; ``tasks`` are the newest affected ones."""

    code: int | None
    meaning: str
    verdict: str
    advice: str
    count: int = 0
    sampled: bool = False
    tasks: list[Send] = field(default_factory=list)

    def add(self, count: int, send: Send, sampled: bool) -> None:
        self.count += count
        self.sampled |= sampled
        named = {(each.key.dag_id, each.key.task_id) for each in self.tasks}
        if len(named) < SHOWN and (send.key.dag_id, send.key.task_id) not in named:
            self.tasks.append(send)


@dataclass(frozen=True)
class Overview:
    """The overview. ``operations`` and ``messages`` count each id once, whoever sent it or waits for it.

    ``sends`` are listed; ``counted`` are those whose counters add up to ``counters``.
    """

    sends: list[Send]
    counted: list[Send]
    in_flight: int
    operations_in_flight: int
    operations_done: int
    uncertain: int
    counters: Counters
    failures: list[Failure]


def overview(found: Iterable[Send]) -> Overview:
    """Sum up sends; receipts only count as reasons of failures, and are not listed."""
    everything = list(found)
    sends = [send for send in everything if send.kind != "receipts"]
    counted = _counted(sends)
    going = {name for send in sends if send.in_flight for name in _operations(send)}
    known = {name for send in sends for name in _operations(send)}
    total = Counters()
    for send in counted:
        total = total.plus(counters_of(send))
    return Overview(
        sends,
        counted,
        sum(send.in_flight for send in sends),
        len(going),
        len(known - going),
        sum(send.uncertain for send in sends),
        total,
        _failures(counted, [send for send in everything if send.kind == "receipts"]),
    )


def counters_of(send: Send) -> Counters:
    """Count a send's messages by Twilio's counters as the task last saw them; the rest are open.

    Of an answered question nothing is open; that an answer came by text proves one delivery.
    """
    if send.answer:
        return Counters(delivered=int(send.answer == "text"))
    if send.stats is None:
        return Counters(open=send.recipients)
    stats = send.stats
    return Counters(stats.arrived, stats.lost, max(stats.asked - stats.arrived - stats.lost, 0))


def over_time(found: Overview, since: datetime, until: datetime, width: timedelta) -> list[Bucket]:
    """Count an overview's messages by the start of their task, in equal periods.

    They add up to the overview's counters: a task that began earlier is in the first period, one that
    waits for its next try in the last.
    """
    sums = [Counters()] * max(1, -((since - until) // width))
    for send in found.counted:
        place = (send.began - since) // width if send.began else len(sums)
        place = min(max(place, 0), len(sums) - 1)
        sums[place] = sums[place].plus(counters_of(send))
    return [Bucket(since + place * width, each) for place, each in enumerate(sums)]


def round_down(at: datetime, width: timedelta) -> datetime:
    """Round a time down to a multiple of a period that divides a day, counted from midnight UTC."""
    return at - (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) % width


def accepted_over_time(began: datetime | None, parts: Sequence[Part], most: int = 200) -> list[Point]:
    """Read from the ledger how many recipients were accepted over time, thinned to about ``most`` points."""
    taken = sorted((part.at, part.people) for part in parts if part.state in ("accepted", "assumed"))
    if not taken:
        return []
    start = min(began or taken[0][0], taken[0][0])
    points, sum_ = [Point(start, 0)], 0
    for at, people in taken:
        sum_ += people
        points.append(Point(at, sum_))
    step = max(1, -(-len(points) // most))
    return [*points[:-1:step], points[-1]]


def _operations(send: Send) -> Collection[str]:
    return [name for name in send.ids if name.startswith("comms_")]


def _counted(sends: Sequence[Send]) -> list[Send]:
    """Pick the sends whose counters add up without counting a message twice.

    A task that only waits counts in place of the sends that did not wait themselves, once.
    """
    seen = {name for send in sends if send.kind != "wait" and send.stats for name in send.ids}
    waits = []
    for send in sends:
        if send.kind == "wait" and send.stats and send.ids and seen.isdisjoint(send.ids):
            waits.append(send)
            seen.update(send.ids)
    followed = {name for send in waits for name in send.ids}
    return [
        send
        for send in sends
        if send.kind != "wait" and (send.stats or not send.ids or not followed.issuperset(send.ids))
    ] + waits


def _failures(sends: Iterable[Send], receipts: Sequence[Send]) -> list[Failure]:
    """List reasons of failures, the most frequent first; receipts know every message, a failed task some."""
    found: dict[tuple[int | None, str], Failure] = {}
    latest = {name: receipt for receipt in reversed(receipts) for name in receipt.ids}
    used: dict[int, Counter[int]] = {}
    for send in sends:
        lost = counters_of(send).failed
        if not lost:
            continue
        unreached = min(send.stats.unaddressable, lost) if send.stats else 0
        if unreached:
            _reason(found, None, _UNREACHED).add(unreached, send, False)
        receipt = latest.get(send.ids[0]) if send.ids else None
        left = used.setdefault(id(receipt), Counter(dict(receipt.codes))) if receipt else None
        lost -= unreached
        for code, count in (receipt or send).codes:
            # One task may have read the receipts of several sends: its counts are given out once.
            share = min(count, lost) if left is None else min(left[code], lost)
            if share:
                _reason(found, code, "").add(share, send, receipt is None and send.sampled)
                lost -= share
                if left is not None:
                    left[code] -= share
        if lost:
            _reason(found, None, _UNASKED).add(lost, send, False)
    return sorted(found.values(), key=lambda each: (-each.count, each.code or 0))


def _reason(found: dict[tuple[int | None, str], Failure], code: int | None, why: str) -> Failure:
    if (code, why) not in found:
        if why == _UNASKED:
            made = Failure(None, why, "", _ASK)
        elif code is None:
            made = Failure(None, why, Verdict.RECIPIENT.value, ADVICE[Verdict.RECIPIENT])
        else:
            known = error_codes.known(code)
            verdict = error_codes.verdict(code)
            made = Failure(code, known.meaning if known else "not listed", verdict.value, ADVICE[verdict])
        found[code, why] = made
    return found[code, why]
