"""Send single messages through the classic API, once: a request for each recipient, many of them together.

Messages are sent in batches: the ledger is written once before and once after a batch, with a place for each
of its messages. Those of the open batches are what a killed try leaves to be looked up. Which messages there
are, and how a batch is made of them, is for each kind of send to say: a plan of many (``classic_bulk.py``),
or a few addresses (``classic_messages.py``).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.sending.classic_lookup import LookUp, Wanted
from airflow_provider_twilio_comms._core.sending.counters import verdict_of
from airflow_provider_twilio_comms._core.sending.ledger import (
    ASSUMED,
    UNKNOWN,
    UNSENT,
    Entry,
    Ledger,
    is_sid,
)
from airflow_provider_twilio_comms._core.sending.send_once import LAG, P, PlannedSend, checks, not_taken
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Flow, Group, attempted, waited
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import SendUncertain, TwilioError

log: logging.Logger = logging.getLogger(__name__)

OPEN = frozenset({UNSENT, UNKNOWN})
FAILED = "!"  # refused, and to be sent by a later try

Compose = Callable[[Any], "tuple[Call[Any], str | None]"]


@dataclass(eq=False)
class Batch:
    """A batch: ``people`` are there while it is sent, and ``left`` of its messages have not ended then."""

    entry: Entry | None
    places: list[str]
    left: int = 0
    people: Sequence[Any] = field(default=())


B = TypeVar("B", bound=Batch)


class ClassicSend(PlannedSend[P], Generic[P, B]):
    """A send of single messages under way.

    ``sender`` is ``from_`` or ``messaging_service_sid``. ``at_once`` is how many messages may be under way
    together, in ``most_open`` batches, and ``pace`` how many may begin in a second: messages, or what
    ``weigh`` says of their texts. ``earliest`` is when the first try may have begun, in seconds since 1970,
    for a ledger that is blank.
    """

    noun: ClassVar[str] = "batch"

    def __init__(
        self,
        ledger: Ledger,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        schedule: Schedule | None = None,
        *,
        sender: Mapping[str, str],
        at_once: int,
        most_open: int = 1,
        pace: Pace | None = None,
        weigh: Callable[[str | None], float] | None = None,
        earliest: float | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(ledger, on_unknown, lag, schedule or Schedule(), **settings)
        self._sender = sender
        self._at_once = at_once
        self._most_open = most_open
        self._pace = pace
        self._weigh: Callable[[Any], float] | None = None
        if weigh is not None:
            self._weigh = lambda key: weigh(key[2])
        self._earliest = earliest
        self._waiting: deque[Any] = deque()  # batches, or what they are made of
        self._open: set[B] = set()
        self._sent_again: set[int] = set()  # numbers of messages that were sent again in this try
        self._worst: TwilioError | None = None

    # What a kind of send says

    @property
    @abstractmethod
    def stops(self) -> bool:
        """Tell whether the next ones would fare no better than those that failed."""

    @abstractmethod
    def number(self, batch: B, place: int) -> int:
        """The number of a message in the plan, from 1."""

    @abstractmethod
    def wanted(self, batch: B) -> Iterator[Wanted]:
        """The messages of a batch of which nobody knows, to look for them."""

    @abstractmethod
    def begin_batch(self, time: float) -> tuple[B, Compose]:
        """Take what waits, note it as a batch that is about to be sent, and make what composes its calls."""

    @abstractmethod
    def taken(self, batch: B, place: int, reply: Any) -> None:
        """Hear that Twilio took a message."""

    @abstractmethod
    def found(self, batch: B, place: int, row: Message) -> None:
        """Hear that a message of unknown outcome is in Twilio's list."""

    @abstractmethod
    def refused(self, batch: B, place: int, error: TwilioError) -> None:
        """Put down that Twilio did not take a message."""

    @abstractmethod
    def write(self, batch: B) -> None:
        """Note what is known of a batch that is under way no more."""

    @abstractmethod
    def requeue(self, batches: Sequence[B]) -> None:
        """Let what is not sent of these batches wait again, before all others."""

    @abstractmethod
    def doubt(self, missing: Sequence[Wanted], tried: str | None = None) -> None:
        """Tell a person of messages that only they can settle, after ``tried``."""

    # Sending

    def look_for_others(self, parts: Sequence[P]) -> Flow[bool]:
        yield from ()
        return self.ask  # messages bear no key

    def send_waiting(self) -> Flow[None]:
        """Send what waits; what becomes unknown of it is looked up before the next."""
        while self._waiting and not self.stops:
            yield from self._send_together()
            ended = list(self._open)
            self._open.clear()
            unknown = [batch for batch in ended if UNKNOWN in batch.places]
            self.requeue([batch for batch in ended if batch not in unknown])
            if unknown and not self.stopped:
                yield from self.look_up(unknown, None)

    def check_stopped(self) -> None:
        """Raise where the task was killed meanwhile."""
        if self.stopped:
            raise TwilioError("the task was killed, so nothing more was posted")

    def put(self, batch: B, place: int, what: str) -> None:
        """Put down what became of a message."""
        self.assumed -= batch.places[place] == ASSUMED
        batch.places[place] = what
        self.count(what)

    def count(self, place: str) -> None:
        """Count a message that is settled."""
        self.assumed += place == ASSUMED
        self.sent += is_sid(place)

    def _send_together(self) -> Flow[None]:
        """Send those that wait, up to the first whose outcome is unknown, or to what stops the send."""
        group = Group(self._work(), self._at_once, self._pace, self._weigh)
        self._clock = group
        error = yield from attempted(self._answers(group))
        if error is not None:
            self._worst = error
        for batch in self._open:
            self.write(batch)

    def _work(self) -> Iterator[tuple[Any, Call[Any]] | None]:
        """The messages of batch after batch, each batch noted before its first one; None for "not now"."""
        while self._waiting:
            while len(self._open) >= self._most_open:
                yield None
            self.check_stopped()
            batch, compose = self.begin_batch(self._clock.time)
            self._open.add(batch)
            for place, person in enumerate(batch.people):
                if batch.places[place] == UNSENT:
                    self.check_stopped()
                    call, text = compose(person)
                    batch.places[place] = UNKNOWN
                    yield (batch, place, text), call
            self._close(batch)  # if all that was left of it may not be texted any more

    def _answers(self, group: Group) -> Flow[None]:
        while ended := (yield group):
            for (batch, place, _), reply, error in ended:
                batch.left -= 1
                if error is None:
                    self.taken(batch, place, reply)
                else:
                    self._failed(group, batch, place, error)
                self._close(batch)

    def _failed(self, group: Group, batch: B, place: int, error: TwilioError) -> None:
        if isinstance(error, SendUncertain) or not not_taken(error):
            log.warning("Message %d: %s", self.number(batch, place), error)
            group.stop()
            return
        self.counting("refused", 1, verdict=verdict_of(error))
        self.refused(batch, place, error)
        if self.stops:
            group.stop()

    def _close(self, batch: B) -> None:
        """Write a batch whose messages have all ended."""
        if batch in self._open and batch.left == 0 and not OPEN & set(batch.places):
            self._open.discard(batch)
            self.write(batch)

    # Looking up

    def look_up(self, batches: Sequence[B], absent_from: float | None) -> Flow[None]:
        """Settle messages of unknown outcome by Twilio's list; queues what is to be sent again.

        ``absent_from`` is given where an earlier try may have sent them and may not: what is absent then was
        not sent. Otherwise it is the author's choice.
        """
        wanted = [each for batch in batches for each in self.wanted(batch)]
        begun = [batch.entry.since for batch in batches if batch.entry]
        since = min(begun) if absent_from is None and begun else None
        absent = yield from self._absent(wanted, since, absent_from)
        missing = [each for each in absent if each.batch.places[each.place] == UNKNOWN]
        lost = self._decide(missing, known=absent_from is None)
        for batch in batches:
            if batch.entry or set(batch.places) != {UNSENT}:
                self.write(batch)
        self.requeue(batches)
        if lost:
            self.doubt(lost)

    def _absent(
        self, wanted: list[Wanted], since: float | None, absent_from: float | None
    ) -> Flow[list[Wanted]]:
        """Look until all are found or an absence counts; returns those that are not there."""
        claimed = {*self.claimed, *self.ledger.ids, *self.ledger.sids()}
        look = LookUp(self._sender, claimed, self._earliest)
        pauses, pause = checks(), 0.0
        end = (since if since is not None else absent_from or 0.0) + self.lag
        while wanted:
            time = yield from waited(pause)
            end = min(end, time + self.lag)
            try:
                found = yield from look.once(wanted, since)
            except TwilioError as error:
                self.doubt(wanted, f"Twilio's list answered: {error}")
                return []
            for each, row in found:
                self.found(each.batch, each.place, row)
            there = {id(each) for each, _ in found}
            wanted = [each for each in wanted if id(each) not in there]
            if time >= end or all(each.rows for each in wanted):
                return wanted
            pause = min(next(pauses), max(0.1, end - time))
        return wanted

    def _decide(self, missing: Sequence[Wanted], known: bool) -> list[Wanted]:
        """Decide about messages that are not in the list; returns those that a person has to settle."""
        unclear = sum(known or each.rows > 0 for each in missing)
        if unclear:
            self.counting("uncertain", unclear, on_unknown=self.on_unknown)
            log.warning("Of %d messages nobody knows; on_unknown=%r", unclear, self.on_unknown)
        lost = []
        for each in missing:
            if not (known or each.rows) or self._may_resend(each):
                each.batch.places[each.place] = UNSENT
            elif self.on_unknown == "assume_sent":
                self.put(each.batch, each.place, ASSUMED)
            else:
                lost.append(each)
        return lost

    def _may_resend(self, wanted: Wanted) -> bool:
        """Tell whether the author wants it sent again, which is done once in a try."""
        if self.on_unknown != "resend":
            return False
        number = self.number(wanted.batch, wanted.place)
        again = number in self._sent_again
        self._sent_again.add(number)
        return not again
