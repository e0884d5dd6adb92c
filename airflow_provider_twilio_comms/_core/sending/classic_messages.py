"""Send a message to a few addresses through the classic API, once: each known by its address.

Whoever was texted is done, wherever their address stands in the list of a later try, or if it does not stand
there any more; so a batch holds whoever is next, with a hash of each address. It holds as many as this try
has sent already, at most ``MOST``: where nothing goes through, one request finds it out, and of two or three
messages a killed try leaves one in doubt. One message's failure does not keep the others back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from datetime import datetime, timezone
from typing import Any, ClassVar

from msgspec.structs import replace

from airflow_provider_twilio_comms._core.campaigns.guard import Person
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.sending.classic import FAILED, Batch, ClassicSend, Compose
from airflow_provider_twilio_comms._core.sending.classic_failures import join_failures, uncertain_message
from airflow_provider_twilio_comms._core.sending.classic_lookup import Wanted
from airflow_provider_twilio_comms._core.sending.ledger import (
    ASSUMED,
    UNKNOWN,
    UNSENT,
    Entry,
    Ledger,
    Outline,
    State,
    is_sid,
)
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage, keyed
from airflow_provider_twilio_comms._core.sending.send_once import LAG
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._core.waiting.messages import seen
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Flow, Group
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import (
    AuthenticationFailed,
    InvalidInput,
    RateLimited,
    TransportFailed,
    TwilioError,
)

log: logging.Logger = logging.getLogger(__name__)

MOST = 25  # messages in a batch, and under way together
IN_A_ROW = 5  # messages that are refused for being too many, or have no reply, after which none is tried


@dataclass(frozen=True, repr=False)
class Part:
    """The message to one address."""

    number: int
    to: str
    fingerprint: str
    zones: tuple[str, ...]
    who: str
    count: int = 1
    country: str = ""
    after: float = 0.0


@dataclass(eq=False)
class MessageBatch(Batch):
    """The messages of ``parts``, with a place for each.

    ``kept`` is what the entry says of others, who are not in this try's list or in another batch by now.
    ``given`` says that it was begun by this try.
    """

    parts: list[Part] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    given: bool = False

    def add(self, part: Part, place: str) -> None:
        self.parts.append(part)
        self.places.append(place)


class MessageSend(ClassicSend[Part, MessageBatch]):
    """A send of single messages under way.

    ``earliest`` is when the first try may have begun, in seconds since 1970, for a ledger that is blank.
    ``revive`` sends a message again that was canceled before it went out, and posts one at a time, so that a
    kill can take back all but the last. ``schedule`` says when each goes out, ``zones`` the time zones of
    each recipient, where that matters, and ``chunks`` its number in the plan. ``statuses`` are what Twilio
    said when it took the messages, by SID.
    """

    noun: ClassVar[str] = "message"

    def __init__(
        self,
        message: OutgoingMessage,
        ledger: Ledger,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        *,
        revive: bool = False,
        schedule: Schedule | None = None,
        zones: Sequence[tuple[str, ...]] = (),
        chunks: Sequence[int] = (),
        rows: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            ledger,
            on_unknown,
            lag,
            schedule or Schedule(message.options.get("send_at")),
            sender=message.sender,
            at_once=1 if revive else MOST,
            **settings,
        )
        self.message = message
        self.statuses: dict[str, str] = {}
        self.failures: dict[int, TwilioError] = {}  # by number
        self._revive = revive
        self._zones = zones or ((),) * len(message.to)
        self._chunks = chunks
        self._rows = len(message.to) if rows is None else rows
        self._mark = replaced(message, to=("",)).fingerprint(0, ledger.name)
        self._left_out = 0
        self._known: dict[int, tuple[Entry, str]] = {}  # by number
        self._sids: dict[int, str] = {}  # by number
        self._accepted = 0  # by this try
        self._in_a_row = 0
        self._hopeless = False

    # What an earlier try sent

    def parts(self) -> list[Part]:
        message, salt = self.message, self.ledger.name
        found: list[Part] = []
        times: Counter[str] = Counter()
        for number, (to, zones) in enumerate(zip(message.to, self._zones, strict=True)):
            who = keyed(salt, to, str(times[to]))
            found.append(Part(number, to, message.fingerprint(number, salt), zones, who))
            times[to] += 1
        return found

    def outline(self) -> Outline:
        message, salt = self.message, self.ledger.name
        return Outline(
            content=self._mark,
            people=keyed(salt, *sorted(message.to)),
            plan=keyed(self._mark, *message.to),
            parts=len(message.to),
            recipients=len(message.to) - self._left_out,
            rows=self._rows,
            rejected=self._rows - len(message.to) + self._left_out,
            by_zone=self.schedule.by_zone,
        )

    def matched(self, parts: Sequence[Part]) -> list[Entry | None]:
        """The entry that knows most of each part."""
        named: dict[str, tuple[Entry, str]] = {}
        unnamed: dict[str, list[tuple[Entry, str]]] = {}  # of a version that noted no addresses
        for entry in sorted(self.ledger.entries(), key=lambda each: each.state != "refused"):
            for who, place in places_of(entry):
                if not who:
                    unnamed.setdefault(entry.fingerprint, []).append((entry, place))
                elif who not in named or _knows(place) >= _knows(named[who][1]):
                    named[who] = entry, place
        for part in parts:
            if part.who in named:
                self._known[part.number] = named[part.who]
            elif unnamed.get(part.fingerprint):
                self._known[part.number] = unnamed[part.fingerprint].pop()
        return [self._known[part.number][0] if part.number in self._known else None for part in parts]

    def gone(self, parts: Sequence[Part]) -> tuple[list[Entry], int]:
        """Whoever was texted is done, also where the list does not hold them any more."""
        numbers = {part.who: part.number for part in parts}
        marks = {part.fingerprint for part in parts}
        lost: list[Entry] = []
        free: set[tuple[int, str]] = set()
        for entry in self.ledger.entries():
            another = entry.fingerprint != self._mark if entry.people else entry.fingerprint not in marks
            for who, place in places_of(entry):
                if who and who not in numbers:
                    free |= {(-1, who)} if place != UNSENT else set()
                elif not who and place == FAILED:
                    free.add((entry.place, ""))
                elif another and _knows(place):
                    number = numbers.get(who, entry.part)
                    lost.append(replace(entry, part=number, state=_state([place])))
        return lost, len(free)

    def complete(self) -> bool:
        """Not where messages failed, nor where a killed task takes back what is scheduled."""
        return not (self.assumed or self.failures or self._revive)

    # Sending

    def send_all(self, parts: Sequence[tuple[Part, Entry | None]], began: float) -> Flow[None]:
        sent = {part: self._known[part.number][1] for part, entry in parts if entry}
        canceled = yield from self._find_canceled(sent)
        begun: dict[int, MessageBatch] = {}
        others = MessageBatch(None, [])
        for part, entry in parts:
            place = sent.get(part, UNSENT)
            if part.number in self.failures:
                continue
            if entry is not None and (part in canceled or place in (UNKNOWN, ASSUMED)):
                batch = begun.setdefault(entry.place, MessageBatch(entry, []))
                batch.add(part, UNSENT if part in canceled else place)
                self.count(batch.places[-1])
            elif is_sid(place):
                self._settle(part, place)
                log.info("%s was sent on an earlier try", self.name(part))
            elif entry is None and (self.ledger.blank or self.ask):
                others.add(part, UNKNOWN)
            else:
                self._waiting.append(part)
        for batch in begun.values():
            batch.kept = _others(batch)
        yield from self.look_up(list(begun.values()), None)
        if others.parts:
            yield from self.look_up([others], began if self.ledger.blank else began - self.lag)
        yield from self.send_waiting()
        self.ids = [self._sids[number] for number in sorted(self._sids)]
        if self._worst is not None:
            raise self._worst
        if self.failures:
            raise join_failures(self.failures, len(parts), self.sent, self.ids)

    def _find_canceled(self, sent: dict[Part, str]) -> Flow[set[Part]]:
        """Look at what was sent before, where a kill cancels it; returns what was canceled."""
        canceled: set[Part] = set()
        if not self._revive:
            return canceled
        group = Group(((part, seen(sid)) for part, sid in sent.items() if is_sid(sid)), MOST)
        while ended := (yield group):
            for part, message, error in ended:
                if error is not None:
                    self._fail(part, error)
                elif message is not None and message.status == "canceled":
                    log.info("%s was canceled before it went out, and is sent again", self.name(part))
                    self.claimed.add(sent[part])
                    canceled.add(part)
        return canceled

    @property
    def stops(self) -> bool:
        return self.stopped or self._worst is not None or self._hopeless

    def number(self, batch: MessageBatch, place: int) -> int:
        return batch.parts[place].number + 1

    def begin_batch(self, time: float) -> tuple[MessageBatch, Compose]:
        size = 1 if self._revive else min(MOST, max(1, self._accepted))
        batch = MessageBatch(None, [], given=True)
        calls: dict[int, Call[Message]] = {}
        held = 0.0
        while self._waiting and len(batch.parts) < size:
            part = self._waiting.popleft()
            try:
                due = self._due(part, time)
                calls[part.number] = self.message.call(part.number, due)
            except InvalidInput as error:
                self._fail(part, error)
                continue
            if self._is_admitted(part):
                batch.add(part, UNSENT)
                held = max(held, due.timestamp() if due else 0.0)
        if batch.parts:
            entry = Entry(
                "sending",
                self._mark,
                len(batch.parts),
                since=time,
                part=batch.parts[0].number,
                held=held,
                people=[part.who for part in batch.parts],
            )
            batch.entry = self.ledger.sending(entry, self._name(batch))
            self.counting("sent", len(batch.parts))
        batch.people, batch.left = batch.parts, len(batch.parts)
        return batch, lambda part: (calls[part.number], None)

    def _due(self, part: Part, time: float) -> datetime | None:
        """The time at which Twilio is to send it; None is at once."""
        due = self.schedule.at(part, time)
        if due is None:
            return None
        messages.schedulable(due, datetime.fromtimestamp(time, timezone.utc))
        if due != self.schedule.send_at:
            named = "".join(f" ({zone})" for zone in part.zones)
            log.info(
                "%s%s waits at Twilio until %s", self.name(part), named, due.isoformat(timespec="seconds")
            )
        return due

    def _is_admitted(self, part: Part) -> bool:
        """Tell whether the guard lets it out, which knows it by its number in the plan."""
        if self.guard is None or not self.guard.admit(self._chunks[part.number], _person(part)):
            return True
        log.info("%s is left out: it may not be sent any more", self.name(part))
        self._left_out += 1
        self.settle(part)
        return False

    def taken(self, batch: MessageBatch, place: int, reply: Message) -> None:
        self._accepted += 1
        self._in_a_row = 0
        self.found(batch, place, reply)

    def found(self, batch: MessageBatch, place: int, row: Message) -> None:
        part = batch.parts[place]
        log.info("Twilio accepted message %d as %s", part.number + 1, row.sid)  # first of all
        self.statuses[row.sid] = row.status or "accepted"
        self.assumed -= batch.places[place] == ASSUMED
        batch.places[place] = row.sid
        self._settle(part, row.sid)
        self.counting("accepted", 1)

    def refused(self, batch: MessageBatch, place: int, error: TwilioError) -> None:
        batch.places[place] = FAILED
        self._in_a_row = self._in_a_row + 1 if isinstance(error, RateLimited) else 0
        self._fail(batch.parts[place], error)

    def doubt(self, missing: Sequence[Wanted], tried: str | None = None) -> None:
        for each in missing:
            batch: MessageBatch = each.batch
            if batch.places[each.place] != UNKNOWN:
                continue  # assumed before, and so it stays
            part = batch.parts[each.place]
            self._in_a_row += batch.given
            when = "just now" if batch.given else "on an earlier try" if batch.entry else "before"
            shown = f"its list shows {each.rows} messages without a text that it may be"
            error = uncertain_message(
                part.number + 1,
                len(self.message.to),
                when,
                tried or (shown if each.rows else None),
                tag=self.ledger.tag(part.number, part.fingerprint),
                lag=self.lag,
                sids=self.ids,
            )
            self._fail(part, error)

    def _fail(self, part: Part, error: TwilioError) -> None:
        """Put down that a message failed, which keeps the others back only if they would not fare better."""
        self.failures[part.number] = error
        log.warning("%s: %s", self.name(part), error)
        lasting = isinstance(error, (AuthenticationFailed, TransportFailed))
        self._hopeless = self._hopeless or lasting or self._in_a_row >= IN_A_ROW

    def _settle(self, part: Part, sid: str) -> None:
        self.count(sid)
        self._sids[part.number] = sid
        self.ids.append(sid)
        self.settle(part)

    # The ledger

    def write(self, batch: MessageBatch) -> None:
        self._give_back(batch)
        rows = list(zip(batch.parts, batch.places, strict=True))
        if batch.entry is None:  # of what others sent, or not
            rows = [(part, place) for part, place in rows if is_sid(place) or place == ASSUMED]
        if not rows:
            return
        places = [place for _, place in rows] + [place for _, place in batch.kept]
        entry = batch.entry or Entry("sending", self._mark, 0, part=rows[0][0].number)
        ends = [self.settle(part) for part, place in rows if is_sid(place)]
        batch.entry = replace(
            entry,
            state=_state(places),
            fingerprint=self._mark,
            count=sum(_knows(place) > 0 for place in places),
            operation_id=None,
            who=None,
            ends=bool(ends) and ends[-1],
            people=[part.who for part, _ in rows] + [who for who, _ in batch.kept],
            messages=places,
        )
        if batch.entry.place < 0:
            batch.entry = self.ledger.sending(batch.entry, self._name(batch))
        else:
            self.ledger.settled(batch.entry)

    def requeue(self, batches: Sequence[MessageBatch]) -> None:
        unsent = [
            part
            for batch in batches
            for part, place in zip(batch.parts, batch.places, strict=True)
            if place == UNSENT
        ]
        self._waiting.extendleft(reversed(unsent))

    def wanted(self, batch: MessageBatch) -> Iterator[Wanted]:
        since = batch.entry.since or None if batch.entry else None
        for place, part in enumerate(batch.parts):
            if batch.places[place] in (UNKNOWN, ASSUMED):
                yield Wanted(part, self.message, batch, place, since)

    def _give_back(self, batch: MessageBatch) -> None:
        """Tell the guard whom Twilio did not take."""
        for part, place in zip(batch.people, batch.places, strict=False):
            if self.guard is not None and place in (UNSENT, FAILED):
                code = str(getattr(self.failures.get(part.number), "code", ""))
                self.guard.refused(self._chunks[part.number], _person(part), [code])
        batch.people = ()

    def _name(self, batch: MessageBatch) -> str:
        more = len(batch.parts) - 1
        return self.name(batch.parts[0]) + (f" and {more} after it" if more else "")


def places_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """Read what an entry says of each of its messages, by the hash of the address; the hash is empty where
    the version that wrote it noted none."""
    if entry.people:
        yield from zip(entry.people, entry.messages or [UNKNOWN] * len(entry.people), strict=True)
        return
    # The version before wrote an entry for each message.
    sent = entry.operation_id or ASSUMED
    places = {"sending": UNKNOWN, "accepted": sent, "assumed": ASSUMED, "refused": FAILED}
    yield entry.who or "", places[entry.state]


def _knows(place: str) -> int:
    """Rank of what is known of a message that Twilio was given: 0 for one that was not, or was refused."""
    return 3 if is_sid(place) else 2 if place == ASSUMED else 1 if place == UNKNOWN else 0


def _state(places: Sequence[str]) -> State:
    if UNKNOWN in places:
        return "sending"
    if ASSUMED in places:
        return "assumed"
    return "accepted" if any(map(is_sid, places)) else "refused"


def _others(batch: MessageBatch) -> list[tuple[str, str]]:
    """Read what the entry of a batch says of those who are not in it."""
    here = {part.who for part in batch.parts}
    found = places_of(batch.entry) if batch.entry else ()
    return [(who, place) for who, place in found if who and who not in here]


def _person(part: Part) -> dict[int, Person]:
    return {0: Person(part.to.rpartition(":")[2])}
