"""Send a plan in bulk through the classic API, once: its chunks are the batches.

At most ``at_once`` messages are noted and not settled, a quarter of them in each batch, so that a slow one
holds up its own batch and not the others. Those are what a killed try leaves to be looked up, which takes
pages of Twilio's list, newest first, and not a request for each.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_provider_twilio_comms._core.campaigns.guard import Person
from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.recipients.reader import Address
from airflow_provider_twilio_comms._core.sending.classic import FAILED, OPEN, Batch, ClassicSend, Compose
from airflow_provider_twilio_comms._core.sending.classic_lookup import Wanted
from airflow_provider_twilio_comms._core.sending.classic_request import ClassicRequest
from airflow_provider_twilio_comms._core.sending.classic_summary import summarize
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
from airflow_provider_twilio_comms._core.sending.send_once import LAG
from airflow_provider_twilio_comms._core.sending.shared_keys import Note
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message, Sent
from airflow_provider_twilio_comms.api.error_codes import Verdict
from airflow_provider_twilio_comms.api.flows import Flow, now
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.api.sms_encoding import segments
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
UNTAKEN = frozenset({UNSENT, FAILED})
# Errors of the account's configuration that concern one recipient or text, and not the next one.
PERSONAL = frozenset({21408, 21602, 21608, 21617, 21618, 21619, 21656})


def batch_size(at_once: int) -> int:
    """Size of a batch, in messages, where so many may be under way together."""
    return max(1, at_once // BATCHES)


@dataclass(eq=False)
class ChunkBatch(Batch):
    """The messages to the people of a chunk, who are read when it begins."""

    part: Chunk = field(kw_only=True)


class ClassicBulkSend(ClassicSend[Chunk, ChunkBatch]):
    """A bulk send of single messages under way.

    ``at_once`` is how many may be under way together, and ``pace`` how many may begin in a second: messages,
    or with ``by_segments`` their segments. ``earliest`` is when the first try may have begun, in seconds
    since 1970, for a ledger that is blank. ``keep`` writes the SIDs to a file, for other tasks, and
    returns its path.
    """

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
        super().__init__(
            ledger,
            on_unknown,
            lag,
            schedule or Schedule(request.send_at),
            sender=request.sender,
            at_once=at_once,
            most_open=max(1, at_once // max(1, plan.at_most)),
            pace=pace,
            weigh=_segments_of if by_segments else None,
            earliest=earliest,
            **settings,
        )
        self.plan = plan
        self._request = request
        self._keep = keep
        self._failures: Counter[str] = Counter()
        self._in_a_row = 0
        self._summary: dict[str, Any] | None = None

    def parts(self) -> list[Chunk]:
        return self.plan.chunks

    def outline(self) -> Outline:
        return self.plan.outline(self._request.fingerprint, self.schedule.by_zone)

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
        unknown = self._sort(parts)
        if unknown:
            log.info("Looking at Twilio's list for what earlier tries began: %d batches", len(unknown))
            yield from self.look_up(unknown, began if self._may_be_others else None)
        yield from self.send_waiting()
        self._summary = summarize(self.ledger, self._request.sender, (yield from now()))
        if self._worst is not None:
            raise self._failure(self._worst)
        if self._keep is not None:
            self._summary["sids_path"] = self._keep(self.ledger.sids())

    @property
    def _may_be_others(self) -> bool:
        """Tell whether somebody may have sent this of whom the ledger knows nothing."""
        return self.ledger.blank or self.ask

    def _sort(self, parts: Sequence[tuple[Chunk, Entry | None]]) -> list[ChunkBatch]:
        """Count what earlier tries have settled, and queue what is to be sent; returns what is unknown."""
        unknown = []
        for part, entry in parts:
            batch = ChunkBatch(entry, list(entry.messages) if entry else [], part=part)
            for place in batch.places:
                self.count(place)
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

    def requeue(self, batches: Sequence[ChunkBatch]) -> None:
        self._waiting.extendleft(reversed([batch for batch in batches if UNSENT in batch.places]))

    # Sending

    @property
    def stops(self) -> bool:
        error = self._worst
        if error is None:
            return self.stopped
        hopeless = isinstance(error, (AuthenticationFailed, RateLimited)) or not isinstance(error, ApiError)
        return self.stopped or hopeless or self._in_a_row >= IN_A_ROW

    def begin_batch(self, time: float) -> tuple[ChunkBatch, Compose]:
        batch: ChunkBatch = self._waiting[0]
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
        self._waiting.popleft()
        return batch, compose

    def _leave_out(self, batch: ChunkBatch) -> None:
        """Leave out who may not be texted any more, of a batch that an earlier try began."""
        bars = self.plan.bars
        for place, person in enumerate(batch.people if bars else ()):
            if bars and batch.places[place] == UNSENT and bars(msgspec.to_builtins(person)):
                batch.places[place] = BARRED
                log.info("Message %d is left out: it may not be sent any more", self.number(batch, place))
        if self.guard is None:
            return
        waiting = [place for place, what in enumerate(batch.places) if what == UNSENT]
        out = self.guard.admit(batch.part.number, self._persons(batch, waiting))
        for place in out:
            batch.places[place] = BARRED
            log.info("Message %d is left out: %s", self.number(batch, place), out[place])

    def _persons(self, batch: ChunkBatch, places: Iterable[int]) -> dict[int, Person]:
        return {place: Person(batch.people[place].address) for place in places}

    def _people(self, part: Chunk) -> list[Address]:
        return _addresses.decode(b"[" + self.plan.read(part) + b"]")

    def taken(self, batch: ChunkBatch, place: int, reply: Sent) -> None:
        self._in_a_row = 0
        self.put(batch, place, reply.sid)

    def refused(self, batch: ChunkBatch, place: int, error: TwilioError) -> None:
        code = getattr(error, "code", None)
        final = getattr(error, "verdict", None) in (Verdict.RECIPIENT.value, Verdict.OPT_OUT.value)
        if code and (final or code in PERSONAL):
            self.put(batch, place, str(code))
            return
        batch.places[place] = FAILED
        self._failures[str(error).partition(" [")[0]] += 1
        self._worst = error
        self._in_a_row += not self.sent

    def count(self, place: str) -> None:
        super().count(place)
        if is_sid(place) and self.sent % STEP == 0:
            log.info("Sent %s of %s messages", f"{self.sent:,}", f"{self.plan.recipients:,}")

    def write(self, batch: ChunkBatch) -> None:
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

    # Looking up

    def wanted(self, batch: ChunkBatch) -> Iterator[Wanted]:
        request = self._request.of(batch.part.variant)
        for place, person in enumerate(self._people(batch.part)):
            if batch.places[place] in (UNKNOWN, ASSUMED):
                yield Wanted(person, request, batch, place)

    def found(self, batch: ChunkBatch, place: int, row: Message) -> None:
        self.put(batch, place, row.sid)

    # Errors

    def number(self, batch: ChunkBatch, place: int) -> int:
        before = (chunk.count for chunk in self.plan.chunks if chunk.number < batch.part.number)
        return sum(before) + place + 1

    def doubt(self, missing: Sequence[Wanted], tried: str | None = None) -> None:
        numbers = sorted(self.number(each.batch, each.place) for each in missing)
        named = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
        if any(each.rows for each in missing):
            tried = tried or "its list shows more messages without a text than these"
        raise SendUncertain(
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


def _segments_of(text: str | None) -> float:
    return float(segments(text)[0]) if text else 1.0


_addresses = msgspec.json.Decoder(list[Address])
