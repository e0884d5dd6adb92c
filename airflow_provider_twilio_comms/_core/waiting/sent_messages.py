"""Waiting for a classic bulk send, by pages of the message list: statuses counted by SID, and the verdict.

A send of 100,000 messages is one thing that is waited for. A round reads the list newest first, 1,000 rows a
page, back to when the send began: about 100 requests, however many messages there are to look at. A row
counts if its SID is one of the send's. Where the SIDs cannot be read, as in a triggerer without a file of
them, it counts if its sender, direction and time are those of the send; the number of rows and the digest of
their SIDs tell then whether these are exactly the messages that were sent.

The list has no filter by status or messaging service, and a filter by date finds nothing that is not sent
yet.
https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from airflow_provider_twilio_comms._core.campaigns.variants import Split
from airflow_provider_twilio_comms._core.sending.ledger import digest_of
from airflow_provider_twilio_comms._core.waiting.base import Ending, Problem, Status, Until, Waiting
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, amount_of
from airflow_provider_twilio_comms._core.waiting.operations import describe_counts
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.api.flows import Flow, aside, made
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import (
    DeliveryFailed,
    InvalidInput,
    OperationGone,
    TwilioError,
    WaitTimedOut,
)

PAGE = 1000  # rows of the list that are asked for at a time
# Statuses by the counters of the Communications API; one that is not here is still under way.
_COUNTERS = {
    "accepted": "queued",
    "queued": "queued",
    "sending": "queued",
    "scheduled": "scheduled",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "canceled",
}


class SentMessages(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The messages of a classic bulk send, as its result describes them: plain data of a bounded size.

    ``sent`` have a SID, ``refused`` counts by code the recipients that Twilio refused at once, and
    ``assumed`` are taken as sent without a SID. Every message was created from ``since`` to ``until``, by
    ``from_`` or by a messaging service. ``digest`` is that of their SIDs, ``sids_path`` the file that lists
    them, if any, and ``split`` says how people were assigned to the variants of a campaign.
    """

    sent: int
    since: datetime
    until: datetime
    digest: str
    refused: dict[str, int] = {}
    assumed: int = 0
    held_until: datetime | None = None
    from_: str | None = None
    messaging_service_sid: str | None = None
    key: str = ""
    sids_path: str | None = None
    split: Split | None = None

    @staticmethod
    def of(given: Mapping[str, Any]) -> SentMessages:
        """Read ``messages`` in the result of a send. Raises :class:`InvalidInput` for anything else."""
        try:
            return msgspec.convert(given, SentMessages)
        except msgspec.ValidationError as error:
            fix = "Give what TwilioBulkMessageOperator returned with generation='classic'"
            raise InvalidInput.at("messages", f"are not those of a send ({error})", fix) from None

    @staticmethod
    def all_in(given: Any) -> list[SentMessages]:
        """Find the descriptions in results of sends, one or several; other things have none."""
        results = [given] if isinstance(given, Mapping) else given if isinstance(given, list | tuple) else ()
        return [
            replace(SentMessages.of(messages), split=_split_of(result))
            for result in results
            if isinstance(result, Mapping)
            for messages in _listed(result.get("messages"))
        ]

    @property
    def asked(self) -> int:
        """Recipients that the send was for."""
        return self.sent + self.assumed + sum(self.refused.values())

    def may_hold(self, message: Message) -> bool:
        """Tell if a message has the sender, the direction and the time of this send."""
        if message.direction != "outbound-api" or message.date_created is None:
            return False
        if not self.since <= message.date_created <= self.until:
            return False
        if self.from_ is not None:
            return message.from_ == self.from_ and message.messaging_service_sid is None
        return message.messaging_service_sid == self.messaging_service_sid


def _split_of(result: Mapping[str, Any]) -> Split | None:
    campaign = result.get("campaign")
    return msgspec.convert(campaign, Split) if campaign else None


def _listed(messages: Any) -> list[Any]:
    return messages if isinstance(messages, list) else [messages] if messages else []


class SidSet:
    """A set of SIDs in eight bytes each: the lower half of each one's random bits."""

    def __init__(self, sids: Iterable[str]) -> None:
        self._bits = array("Q", sorted(_bits(sid) for sid in sids))

    def __contains__(self, sid: str) -> bool:
        bits = _bits(sid)
        place = bisect_left(self._bits, bits)
        return place < len(self._bits) and self._bits[place] == bits

    def __len__(self) -> int:
        return len(self._bits)


def _bits(sid: str) -> int:
    return int(sid[-16:], 16)


class Tally(msgspec.Struct, frozen=True):
    """Counts of a send's messages, as one round of the list shows them.

    ``found`` rows were counted. They are ``exact`` if they are known to be those of the send and no others.
    """

    stats: Stats
    found: int = 0
    codes: dict[int, int] = {}
    exact: bool = True


Known: TypeAlias = "Callable[[SentMessages], SidSet | None]"


def no_sids(sent: SentMessages) -> SidSet | None:
    """Read no SIDs: for a send of which there is neither ledger nor file."""
    return None


@dataclass
class _Count:
    """The rows of one send that a round has seen, each once: a page may repeat rows of the page before."""

    sent: SentMessages
    sids: SidSet | None
    seen: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, message: Message) -> None:
        if not (self.sent.may_hold(message) if self.sids is None else message.sid in self.sids):
            return
        if message.sid in self.seen:
            return
        self.seen.add(message.sid)
        self.statuses[_COUNTERS.get(message.status or "", "queued")] += 1
        if message.error_code and message.status in ("failed", "undelivered"):
            self.codes[message.error_code] += 1

    @property
    def is_exact(self) -> bool:
        """Tell whether the rows are known to be those of the send, and no others."""
        if self.sids is not None:
            return True
        return len(self.seen) == self.sent.sent and digest_of(self.seen) == self.sent.digest

    @property
    def is_complete(self) -> bool:
        return len(self.seen) == self.sent.sent and self.is_exact

    def tally(self) -> Tally:
        found, sent = len(self.seen), self.sent
        refused = sum(sent.refused.values())
        counts = {**self.statuses, "failed": self.statuses["failed"] + refused}
        codes = self.codes + Counter({int(code): count for code, count in sent.refused.items()})
        stats = Stats(total=sent.asked, recipients=sent.asked, attempts=found, **counts)
        return Tally(stats, found, dict(codes), self.is_exact)


def count_messages(sends: Sequence[SentMessages], known: Known) -> Flow[list[Tally]]:
    """Count the messages of several sends in one walk through the list, and one more for each number.

    ``known`` reads the SIDs of a send, in a thread where there is an event loop.
    """
    counts = []
    for sent in sends:
        counts.append(_Count(sent, (yield from aside(lambda sent=sent: known(sent)))))  # type: ignore[misc]
    senders: dict[str | None, list[_Count]] = defaultdict(list)
    for count in counts:
        senders[count.sent.from_].append(count)
    for sender, those in senders.items():
        yield from _walk(sender, those)
    return [count.tally() for count in counts]


def _walk(sender: str | None, counts: Sequence[_Count]) -> Flow[None]:
    """Read the list until all is found, or back to when the first of these sends began."""
    since = min(count.sent.since for count in counts)
    call = list_messages(sender)
    while True:
        page = yield from made(call)
        for message in page.items:
            for count in counts:
                count.add(message)
        if page.next is None or is_before(page, since) or all(each.is_complete for each in counts):
            return
        call = page.next


def list_messages(sender: str | None) -> Call[Page[Message]]:
    """List messages, newest first: those from a number, or, for messaging services, all of the account."""
    return messages.list(page_size=PAGE, from_=sender) if sender else messages.list(page_size=PAGE)


def is_before(page: Page[Message], since: datetime) -> bool:
    """Tell if all messages of a page were created before a time, so that older pages have none after it."""
    created = [message.date_created for message in page.items if message.date_created]
    return bool(created) and max(created) < since


class SentOutcome(Ending, frozen=True, omit_defaults=True):
    """End of a wait: ``done``, ``timeout`` or ``error``, with the counts last seen."""

    tally: Tally | None = None
    error: dict[str, Any] | None = None

    def missing_of(self, sent: SentMessages) -> int:
        """Count the messages of the send that the list did not show."""
        return max(0, sent.sent - (self.tally.found if self.tally else 0))


class Target(msgspec.Struct, frozen=True):
    """A send and how far it is waited for: what a poll shared by several waits knows it by."""

    sent: SentMessages
    until: Until = "processed"

    @property
    def name(self) -> str:
        return msgspec.json.encode(self).decode()

    @staticmethod
    def named(name: str) -> Target:
        return msgspec.json.decode(name, type=Target)

    def moves(self, tally: Tally) -> bool:
        """Tell if messages that were found can still change in a way that matters."""
        stats = tally.stats
        return stats.scheduled + stats.queued > 0 or (self.until == "delivered" and stats.sent > 0)


def look(known: Mapping[str, Tally | None], sids: Known) -> Flow[Mapping[str, Tally | None]]:
    """Count the messages of the sends that are named, each beside its last counts.

    None is for a send of which messages are missing while nothing moves any more: Twilio does not list them
    yet, or no longer. It counts like a 404.
    """
    targets = [Target.named(name) for name in known]
    tallies = yield from count_messages([target.sent for target in targets], sids)
    return {
        name: None
        if tally == known[name] and tally.found < target.sent.sent and not target.moves(tally)
        else tally
        for (name, target, tally) in zip(known, targets, tallies, strict=True)
    }


@dataclass
class SentWait(Waiting[Tally, SentOutcome]):
    """A wait for the messages of one classic bulk send.

    ``enough`` is the share (a float) or number (an int) of delivered messages at which a wait for delivery
    may end before the last receipt is in. ``sids`` reads the SIDs of a send, where it can.
    """

    target: Target
    deadline: float = 0.0
    since: float = 0.0
    enough: int | float | None = None
    sids: Known = field(default=no_sids)

    def __post_init__(self) -> None:
        super().__post_init__()
        held = self.target.sent.held_until  # until then some are scheduled, and no look can be the last one
        self.quiet_until: float = held.timestamp() if held else 0.0

    @property
    def names(self) -> list[str]:
        return [self.target.name]

    def observed(self, name: str) -> Flow[Tally | None]:
        found = yield from look({name: self.known.get(name)}, self.sids)
        return found[name]

    def moving(self, item: Tally) -> bool:
        return not self.settled([item])

    def settled(self, found: Sequence[Tally]) -> bool:
        (tally,) = found
        if tally.found < self.target.sent.sent:
            return False
        if not self.target.moves(tally):
            return True
        return self.enough is not None and self._suffices(tally, self.enough)

    def _suffices(self, tally: Tally, enough: int | float) -> bool:
        stats = tally.stats
        processed = stats.scheduled + stats.queued == 0
        return tally.exact and processed and stats.arrived >= amount_of(enough, stats.asked)

    def suffices(self, item: Tally) -> bool:
        """The verdict says what is missing."""
        return True

    def end(
        self, status: Status, found: dict[str, Tally], missing: tuple[str, ...] = (), error: Problem = None
    ) -> SentOutcome:
        tally = next(iter(found.values()), None)
        return SentOutcome(status, tally, error)


def judge(criteria: Criteria, outcome: SentOutcome, sent: SentMessages) -> Stats:
    """Return the counts, where they are good enough for all recipients of the send.

    A message that Twilio does not list (any more) is judged as one that failed: nobody can say better.
    Raises :class:`DeliveryFailed`, :class:`WaitTimedOut` or :class:`OperationGone` with the counts, or the
    error that ended the wait.
    """
    if outcome.status == "error":
        raise TwilioError.from_dict(outcome.error or {})
    tally = outcome.tally or Tally(Stats(total=sent.asked, recipients=sent.asked))
    stats, missing = tally.stats, outcome.missing_of(sent)
    carried: dict[str, Any] = {"operation_ids": [], "stats": stats.to_dict()}
    told = describe_counts(stats) + (f", not in Twilio's list {missing:,}" if missing else "")
    if not tally.exact and outcome.status != "timeout":
        raise TwilioError(
            "others sent from the same number or service at the same time, and nothing tells which messages "
            "are of this send: neither the ledger of the task nor a file of SIDs can be read. Set "
            "snapshot_path, which keeps that file. Nothing is sent again by running the task again"
        )
    short = criteria.shortfall(msgspec.structs.replace(stats, failed=stats.failed + missing), sent.asked)
    under_way = missing + stats.scheduled + stats.queued
    if outcome.status == "timeout" and (short or under_way or not tally.exact):
        raise WaitTimedOut(
            f"time is up; still under way: {pluralize(stats.under_way + missing, 'message')}. {told}. "
            "Running the task again waits on and sends nothing again",
            **carried,
        )
    if short and missing:
        raise OperationGone(
            f"{short}; {missing:,} of {sent.sent:,} messages are not in Twilio's list: deleted, or kept no "
            f"longer. {told}. Nothing is sent again by running the task again",
            **carried,
        )
    if short:
        raise DeliveryFailed(f"{short}. {told}", **carried)
    return stats
