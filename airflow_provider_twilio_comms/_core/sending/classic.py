"""Send a plan in bulk through the classic API, once: a request for each recipient, many of them together.

The parts are batches: the ledger is written once before and once after a batch, with a place for each of its
messages. At most ``at_once`` messages are noted and not settled, a quarter of them in each batch, so that a
slow one holds up its own batch and not the others. Those are what a killed try leaves to be looked up, which
takes pages of Twilio's list, newest first, and not a request for each.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from airflow_provider_twilio_comms._core.campaigns.guard import Person
from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.recipients.reader import Address
from airflow_provider_twilio_comms._core.sending.classic_lookup import LookUp, Wanted
from airflow_provider_twilio_comms._core.sending.classic_request import ClassicRequest, Compose
from airflow_provider_twilio_comms._core.sending.classic_summary import summarize
from airflow_provider_twilio_comms._core.sending.counters import verdict_of
from airflow_provider_twilio_comms._core.sending.ledger import (
    ASSUMED,
    BARRED,
    UNKNOWN,
    UNSENT,
    Entry,
    Ledger,
    Outline,
    State,
    is_sid,
)
from airflow_provider_twilio_comms._core.sending.send_once import LAG, PlannedSend, checks, not_taken
from airflow_provider_twilio_comms._core.sending.shared_keys import Note
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Sent
from airflow_provider_twilio_comms.api.error_codes import Verdict
from airflow_provider_twilio_comms.api.flows import Flow, Group, attempted, now, waited
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.api.sms_encoding import segments
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    RateLimited,
    SendUncertain,
    TwilioError,
)

log: logging.Logger = logging.getLogger(__name__)

BATCHES = 4  # that are under way together
IN_A_ROW = 20  # refusals before anything was accepted, after which the send stops
SHOWN = 20  # places that an error names
STEP = 10_000  # messages between two lines of progress
FAILED = "!"  # refused in this try, and to be sent by a later one: noted as not begun
OPEN = frozenset({UNSENT, UNKNOWN})
UNTAKEN = frozenset({UNSENT, FAILED})
# Errors of the account's configuration that concern one recipient or text, and not the next one.
PERSONAL = frozenset({21408, 21602, 21608, 21617, 21618, 21619, 21656})


def batch_size(at_once: int) -> int:
    """How many messages a batch holds, where so many may be under way together."""
    return max(1, at_once // BATCHES)


@dataclass(eq=False)
class Batch:
    """A batch: ``people`` are read when it begins, and ``left`` of its messages have not ended then.

    ``again`` says that messages of it were sent again in this try.
    """

    part: Chunk
    entry: Entry | None
    places: list[str]
    left: int = 0
    again: bool = False
    people: list[Address] = field(default_factory=list)


class ClassicSend(PlannedSend[Chunk]):
    """A bulk send of single messages under way.

    ``at_once`` is how many may be under way together, and ``pace`` how many may begin in a second: messages,
    or with ``by_segments`` their segments. ``earliest`` is when the first try may have begun, in seconds
    since 1970, for a ledger that is blank. ``keep`` writes the SIDs to a file, for other tasks, and
    returns its path.
    """

    noun: ClassVar[str] = "batch"

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        request: ClassicRequest,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        schedule: Schedule | None = None,
        *,
        at_once: int,
        pace: Pace | None = None,
        by_segments: bool = False,
        earliest: float | None = None,
        keep: Callable[[Iterable[str]], str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(ledger, on_unknown, lag, schedule or Schedule(request.send_at), **settings)
        self.plan = plan
        self._request = request
        self._at_once = at_once
        self._most_open = max(1, at_once // max(1, plan.at_most))
        self._pace = pace
        self._by_segments = by_segments
        self._earliest = earliest
        self._keep = keep
        self._waiting: deque[Batch] = deque()
        self._open: set[Batch] = set()
        self._failures: Counter[str] = Counter()
        self._worst: TwilioError | None = None
        self._in_a_row = 0
        self._summary: dict[str, Any] | None = None

    def parts(self) -> list[Chunk]:
        return self.plan.chunks

    def outline(self) -> Outline:
        return self.plan.outline(self._request.fingerprint, self.schedule.by_zone)

    def look_for_others(self, parts: Sequence[Chunk]) -> Flow[bool]:
        yield from ()
        return self.ask  # messages bear no key

    def complete(self) -> bool:
        return not (self.assumed or self._failures)

    def summary(self) -> dict[str, Any] | None:
        return self._summary

    def left_behind(self) -> list[str]:
        return [msgspec.json.encode(self._summary).decode()]

    def adopt(self, note: Note, outline: Outline) -> list[str]:
        super().adopt(note, outline)
        self._summary = msgspec.json.decode(note.ids[0]) if note.ids else None
        self.ids = []
        return self.ids

    def send_all(self, parts: Sequence[tuple[Chunk, Entry | None]], began: float) -> Flow[None]:
        unknown = self._sorted(parts)
        if unknown:
            log.info("Looking at Twilio's list for what earlier tries began: %d batches", len(unknown))
            yield from self._look_up(unknown, began if self._may_be_others else None)
        while self._waiting and not self._stops:
            yield from self._send_together()
            unknown = [batch for batch in self._open if UNKNOWN in batch.places]
            self._waiting.extendleft(batch for batch in self._open if batch not in unknown)
            self._open.clear()
            if unknown and not self.stopped:
                yield from self._look_up(unknown, None)
        self._summary = summarize(self.ledger, self._request.sender, (yield from now()))
        if self._worst is not None:
            raise self._failure(self._worst)
        if self._keep is not None:
            self._summary["sids_path"] = self._keep(self.ledger.sids())

    @property
    def _may_be_others(self) -> bool:
        """Tell whether somebody may have sent this of whom the ledger knows nothing."""
        return self.ledger.blank or self.ask

    def _sorted(self, parts: Sequence[tuple[Chunk, Entry | None]]) -> list[Batch]:
        """Count what earlier tries have settled, and queue what is to be sent; returns what is unknown."""
        unknown = []
        for part, entry in parts:
            batch = Batch(part, entry, list(entry.messages) if entry else [])
            for place in batch.places:
                self._count(place)
            lost = entry is not None and entry.state == "sending" and not batch.places
            if lost or (entry is None and self._may_be_others):
                batch.places = [UNKNOWN] * part.count
            if {UNKNOWN, ASSUMED} & set(batch.places):
                unknown.append(batch)
            elif not batch.places or UNSENT in batch.places:
                self._waiting.append(batch)
            else:
                self.settle(part)
        return unknown

    # Sending

    @property
    def _stops(self) -> bool:
        """Tell whether the next ones would fare no better than those that failed."""
        error = self._worst
        if error is None:
            return self.stopped
        hopeless = isinstance(error, (AuthenticationFailed, RateLimited)) or not isinstance(error, ApiError)
        return self.stopped or hopeless or self._in_a_row >= IN_A_ROW

    def _send_together(self) -> Flow[None]:
        """Send those that wait, up to the first whose outcome is unknown, or to what stops the send."""
        group = Group(self._work(), self._at_once, self._pace, self._weight)
        self._clock = group
        error = yield from attempted(self._answers(group))
        if error is not None:
            self._worst = error
        for batch in self._open:
            self._write(batch)

    def _work(self) -> Iterator[tuple[Any, Call[Sent]] | None]:
        """The messages of batch after batch, each batch noted before its first one; None for "not now"."""
        while self._waiting:
            while len(self._open) >= self._most_open:
                yield None
            batch = self._waiting[0]
            compose = self._begin(batch, self._clock.time)
            self._waiting.popleft()
            self._open.add(batch)
            for place, person in enumerate(batch.people):
                if batch.places[place] == UNSENT:
                    self._check_stopped()
                    call, text = compose(person)
                    batch.places[place] = UNKNOWN
                    yield (batch, place, text), call
            self._close(batch)  # if all that was left of it may not be texted any more

    def _check_stopped(self) -> None:
        if self.stopped:
            raise TwilioError("the task was killed, so nothing more was posted")

    def _begin(self, batch: Batch, time: float) -> Compose:
        """Note that a batch is about to be sent; returns what makes its calls."""
        self._check_stopped()
        part = batch.part
        due = self.schedule.at(part, time)
        if due is not None:
            messages.schedulable(due, datetime.fromtimestamp(time, timezone.utc))
        compose = self._request.of(part.variant).composer(due)
        batch.people = self._people(part)
        batch.places = batch.places or [UNSENT] * len(batch.people)
        self._leave_out(batch)
        batch.left = batch.places.count(UNSENT)
        noted = [UNKNOWN if place == UNSENT else place for place in batch.places]
        entry = Entry(
            "sending",
            part.fingerprint,
            part.count,
            since=time,
            part=part.number,
            held=due.timestamp() if due else 0.0,
            place=batch.entry.place if batch.entry else -1,
            messages=noted if noted.count(UNKNOWN) < len(noted) else [],
        )
        batch.entry = self.ledger.sending(entry, self.name(part))
        self.counting("sent", batch.left)
        return compose

    def _leave_out(self, batch: Batch) -> None:
        """Leave out who may not be texted any more, of a batch that an earlier try began."""
        bars = self.plan.bars
        for place, person in enumerate(batch.people if bars else ()):
            if bars and batch.places[place] == UNSENT and bars(msgspec.to_builtins(person)):
                batch.places[place] = BARRED
                log.info(
                    "Message %d is left out: it may not be sent any more", self._number(batch.part, place)
                )
        if self.guard is None:
            return
        waiting = [place for place, what in enumerate(batch.places) if what == UNSENT]
        out = self.guard.admit(batch.part.number, self._persons(batch, waiting))
        for place in out:
            batch.places[place] = BARRED
            log.info("Message %d is left out: %s", self._number(batch.part, place), out[place])

    def _persons(self, batch: Batch, places: Iterable[int]) -> dict[int, Person]:
        return {place: Person(batch.people[place].address) for place in places}

    def _people(self, part: Chunk) -> list[Address]:
        return _addresses.decode(b"[" + self.plan.read(part) + b"]")

    def _answers(self, group: Group) -> Flow[None]:
        while found := (yield group):
            for (batch, place, _), reply, error in found:
                batch.left -= 1
                if error is None:
                    self._in_a_row = 0
                    self._put(batch, place, reply.sid)
                else:
                    self._refused(group, batch, place, error)
                self._close(batch)

    def _close(self, batch: Batch) -> None:
        """Write a batch whose messages have all ended."""
        if batch in self._open and batch.left == 0 and not OPEN & set(batch.places):
            self._open.discard(batch)
            self._write(batch)

    def _refused(self, group: Group, batch: Batch, place: int, error: TwilioError) -> None:
        """Put down that a message was not taken, or that nobody knows."""
        if isinstance(error, SendUncertain) or not not_taken(error):
            log.warning("Message %d: %s", self._number(batch.part, place), error)
            group.stop()
            return
        self.counting("refused", 1, verdict=verdict_of(error))
        code = getattr(error, "code", None)
        final = getattr(error, "verdict", None) in (Verdict.RECIPIENT.value, Verdict.OPT_OUT.value)
        if code and (final or code in PERSONAL):
            self._put(batch, place, str(code))
            return
        batch.places[place] = FAILED
        self._failures[str(error).partition(" [")[0]] += 1
        self._worst = error
        self._in_a_row += not self.sent
        if self._stops:
            group.stop()

    def _put(self, batch: Batch, place: int, what: str) -> None:
        """Put down what became of a message."""
        self.assumed -= batch.places[place] == ASSUMED
        batch.places[place] = what
        self._count(what)

    def _count(self, place: str) -> None:
        self.assumed += place == ASSUMED
        self.sent += is_sid(place)
        if is_sid(place) and self.sent % STEP == 0:
            log.info("Sent %s of %s messages", f"{self.sent:,}", f"{self.plan.recipients:,}")

    def _write(self, batch: Batch) -> None:
        """Note what is known of a batch that is under way no more."""
        places = [UNSENT if place == FAILED else place for place in batch.places]
        kinds = set(places)
        state: State = "accepted"
        if kinds == {UNSENT}:
            state, places = "refused", []
        elif kinds & OPEN:
            state = "sending"
        elif ASSUMED in kinds:
            state = "assumed"
        if self.guard is not None and batch.people:
            untaken = [at for at, what in enumerate(batch.places) if what in UNTAKEN or what.isdecimal()]
            self.guard.refused(batch.part.number, self._persons(batch, untaken), batch.places)
        part = batch.part
        before = batch.entry or Entry("sending", part.fingerprint, part.count, part=part.number)
        ends = state == "accepted" and self.settle(part)
        batch.entry = replace(before, state=state, messages=places, ends=ends)
        if batch.entry.place < 0:
            batch.entry = self.ledger.sending(batch.entry, self.name(batch.part))
        else:
            self.ledger.settled(batch.entry)
        self.counting("accepted", sum(map(is_sid, places)))
        batch.people = []

    def _weight(self, key: Any) -> float:
        _, _, text = key
        return float(segments(text)[0]) if self._by_segments and text else 1.0

    # Looking up

    def _look_up(self, batches: Sequence[Batch], absent_from: float | None) -> Flow[None]:
        """Settle messages of unknown outcome by pages of Twilio's list; queues what is to be sent again.

        ``absent_from`` is given where an earlier try may have sent them and may not: what is absent then was
        not sent. Otherwise it is the author's choice.
        """
        wanted = [
            Wanted(person, batch, place)
            for batch in batches
            for place, person in enumerate(self._people(batch.part))
            if batch.places[place] in (UNKNOWN, ASSUMED)
        ]
        begun = [batch.entry.since for batch in batches if batch.entry]
        since = min(begun) if absent_from is None and begun else None
        absent = yield from self._absent(wanted, since, absent_from)
        missing = [each for each in absent if each.batch.places[each.place] == UNKNOWN]
        lost = self._decide(missing, known=absent_from is None)
        for batch in batches:
            if batch.entry or set(batch.places) != {UNSENT}:
                self._write(batch)
        self._waiting.extendleft(reversed([batch for batch in batches if UNSENT in batch.places]))
        if lost:
            raise self._uncertain(lost)

    def _decide(self, missing: Sequence[Wanted], known: bool) -> list[Wanted]:
        """Decide about messages that are not in the list; returns those that a person has to settle."""
        if missing and known:
            self.counting("uncertain", len(missing), on_unknown=self.on_unknown)
            log.warning("Of %d messages nobody knows; on_unknown=%r", len(missing), self.on_unknown)
        lost = []
        for each in missing:
            if not known or (self.on_unknown == "resend" and not each.batch.again):
                each.batch.places[each.place] = UNSENT
            elif self.on_unknown == "assume_sent":
                self._put(each.batch, each.place, ASSUMED)
            else:
                lost.append(each)
        if known:
            for each in missing:
                each.batch.again = True
        return lost

    def _absent(
        self, wanted: list[Wanted], since: float | None, absent_from: float | None
    ) -> Flow[list[Wanted]]:
        """Look until all are found or an absence counts; returns those that are not there."""
        look = LookUp(self._request, set(self.ledger.sids()), self._earliest)
        pauses, pause = checks(), 0.0
        end = (since if since is not None else absent_from or 0.0) + self.lag
        while True:
            time = yield from waited(pause)
            end = min(end, time + self.lag)
            try:
                found = yield from look.once(wanted, since)
            except TwilioError as error:
                raise self._uncertain(wanted, f"Twilio's list answered: {error}") from error
            for each, sid in found:
                self._put(each.batch, each.place, sid)
            taken = {id(each) for each, _ in found}
            wanted = [each for each in wanted if id(each) not in taken]
            if not wanted or time >= end:
                return wanted
            pause = min(next(pauses), max(0.1, end - time))

    # Errors

    def _number(self, part: Chunk, place: int) -> int:
        """The number of a message in the plan, from 1."""
        return sum(chunk.count for chunk in self.plan.chunks if chunk.number < part.number) + place + 1

    def _uncertain(self, missing: Sequence[Wanted], tried: str | None = None) -> SendUncertain:
        numbers = sorted(self._number(each.batch.part, each.place) for each in missing)
        named = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
        return SendUncertain(
            f"{len(missing)} of {self.plan.recipients:,} messages were given to Twilio, or were about to be; "
            f"no reply came, and {tried or 'its list does not show them'}: in the order of the plan, numbers "
            f"{named}. They were not sent again, and none was begun after them. Certainly sent: "
            f"{self.sent:,}. Running the task again looks again. If they stay unknown, look into the message "
            "logs in Twilio's console: only where they certainly are not there, clear the task with "
            "on_unknown='resend'; on_unknown='assume_sent' goes on without them",
            part=f"messages {named}",
            key=self.ledger.name,
            tried=tried or f"listed messages for {self.lag:.0f} s",
            operation_ids=[],
        )

    def _failure(self, worst: TwilioError) -> TwilioError:
        """The error of what was not sent, of the kind of the last one."""
        if not self._failures:
            return worst
        told = "; ".join(f"{count:,} x {text}" for text, count in self._failures.most_common(5))
        text = (
            f"{sum(self._failures.values()):,} of {self.plan.recipients:,} messages were refused and not "
            f"sent. {told}. Sent were {self.sent:,}. A later try sends the others"
        )
        return type(worst)(text, **{name: getattr(worst, name) for name in worst.fields})


_addresses = msgspec.json.Decoder(list[Address])
