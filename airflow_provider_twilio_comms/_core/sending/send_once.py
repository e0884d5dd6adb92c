"""Send once: each part of a send goes out, and none goes out twice.

Twilio has no idempotency key for messages. In its place the ledger is written before and after each request,
and Twilio's own lists are asked where the ledger cannot tell:

* before anything is sent, the plan is held against what an earlier try began;
* an *accepted* part is skipped, wherever it stands now;
* a part that was about to be sent when something died is looked for at Twilio, for a while, since lists lag;
* what stays unknown is the author's choice: stop and say so, send again, or take it as sent.

What a part is, how it is sent and how it is found again is for each kind of send to say.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from msgspec.structs import replace

from airflow_provider_twilio_comms._core.planning.plan import Guard
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.sending.counters import Counting, uncounted, verdict_of
from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger, Outline
from airflow_provider_twilio_comms._core.sending.shared_keys import Note, SharedKey
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.api.flows import Flow, made, now, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    RecipientsChanged,
    Refused,
    SendUncertain,
    TransportFailed,
    TwilioError,
)

log: logging.Logger = logging.getLogger(__name__)

LAG = 90.0  # seconds by which a list may be late, and after which an absence counts
SKEW = 300.0  # seconds by which two clocks may differ
CHECKS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between look-ups; the last one repeats


class Part(Protocol):
    """Part of a send, an entry of the ledger: the ``number``-th of the plan, to ``count`` recipients."""

    @property
    def number(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def zones(self) -> tuple[str, ...]: ...

    @property
    def country(self) -> str: ...

    @property
    def after(self) -> float: ...


class Found(list["str | None"]):
    """The ids under which a look found a part at Twilio, the best first; None where it shows no id."""


P = TypeVar("P", bound=Part)
R = TypeVar("R")


@dataclass
class PlannedSend(ABC, Generic[P]):
    """One send under way, in parts.

    ``schedule`` says when each part goes out. ``lag`` is for how many seconds an absence from Twilio's list
    proves nothing; ``ids`` are Twilio's, of everything that is sent, earlier tries' included. ``shared`` is
    the author's own key; ``ask`` says that another task may have sent this, of which our ledger knows
    nothing. ``counting`` hears what this try adds. ``assumed`` counts the recipients of parts that have no
    id. ``guard`` is asked about the people of a part when it goes out.
    """

    ledger: Ledger
    on_unknown: OnUnknown = "fail"
    lag: float = LAG
    schedule: Schedule = field(default_factory=Schedule)
    ids: list[str] = field(default_factory=list)
    sent: int = 0
    assumed: int = 0
    claimed: set[str] = field(default_factory=set)  # ids that belong to a part: no other was sent as them
    stopped: bool = False
    counting: Counting = uncounted
    shared: SharedKey | None = None
    ask: bool = False
    snapshot: str | None = None
    guard: Guard | None = None
    unsettled: set[int] = field(default_factory=set)  # numbers of the parts that are not known to be sent

    noun: ClassVar[str] = "part"
    tagged: ClassVar[bool] = False  # whether Twilio's list can be asked for what was sent under a key

    @abstractmethod
    def parts(self) -> Sequence[P]:
        """Every part, in the order in which they are sent."""

    @abstractmethod
    def outline(self) -> Outline:
        """The plan as hashes and counts."""

    @abstractmethod
    def send_all(self, parts: Sequence[tuple[P, Entry | None]], began: float) -> Flow[None]:
        """Bring every part to its end, wherever an earlier try left it; ``began`` is when this try did."""

    def look_for_others(self, parts: Sequence[P]) -> Flow[bool]:
        """Tell if Twilio shows anything that was sent under this key.

        Raises :class:`RecipientsChanged` where that is something else than these parts.
        """
        yield from ()
        return True

    def once(self) -> Flow[list[str]]:
        """Send what is not sent yet; returns every id.

        Raises :class:`RecipientsChanged` before anything is sent, :class:`SendUncertain` where only a person
        can tell, and whatever Twilio refuses.
        """
        if self.ledger.done:
            self.ids, self.sent = self.ledger.ids, self.ledger.done.recipients
            return self.ids
        parts, outline = self.parts(), self.outline()
        self.ledger.check(outline, *self.gone(parts))
        matched = self.matched(parts)
        self.claimed.update(entry.operation_id for entry in matched if entry and entry.operation_id)
        if self.shared is not None and not self.ledger.begun:
            note = yield from self.shared.take(outline)
            if note is not None:
                return self.adopt(note, outline)
            self.ask = self.tagged
        if self.ledger.head is not None:
            self.ask = self.ask or self.ledger.head.ask
        elif self.ask or self.ledger.blank:
            self.ask = (yield from self.look_for_others(parts)) and self.ask
        if self.ledger.replaced and not (self.ask and self.tagged):
            raise RecipientsChanged(
                f"an earlier try of {self.ledger.owner} began to send another list than this one, and "
                "Twilio's list does not show this one. This try sent nothing: part of it may have been "
                "texted. Map over what names a list (a path, a partition) rather than over people, or set "
                "snapshot_path",
                field="recipients",
            )
        began = yield from now()
        self.unsettled = {part.number for part in parts}
        self.ledger.begin(outline, began, self.snapshot, self.schedule.start, self.ask)
        yield from self.send_all(list(zip(parts, matched, strict=True)), began)
        self.finish(outline if self.guard is None else self.outline())  # it may have left out more
        return self.ids

    def finish(self, outline: Outline) -> None:
        """Note that every part is settled, for the key first: whoever finds the send complete only waits."""
        if not self.complete():
            return
        if self.shared is not None:
            self.shared.finish(self.left_behind())
        self.ledger.finish(outline.recipients, outline.rejected, self.summary())

    def complete(self) -> bool:
        """Tell whether nothing is open so far: a later try looks again for what was only assumed."""
        return not self.assumed

    def settle(self, part: P) -> bool:
        """Take a part as sent. Returns whether that ends the send, which its note says then.

        Only what is known of all the others tells that, and not the order in which they are settled.
        """
        self.unsettled.discard(part.number)
        return not self.unsettled and self.shared is None and self.complete()

    def stop(self) -> None:
        """Post nothing more. May be called at any time, as from a signal's handler."""
        self.stopped = True

    def gone(self, parts: Sequence[P]) -> tuple[list[Entry], int]:
        """Parts that were taken, or may have been, and are others now; and how many people may be missing."""
        here = {part.fingerprint for part in parts}
        entries = self.ledger.entries()
        lost = [each for each in entries if each.state != "refused" and each.fingerprint not in here]
        return lost, sum(each.count for each in entries if each.state == "refused")

    def matched(self, parts: Sequence[P]) -> list[Entry | None]:
        """The entry of each part, wherever it stood then: those that were sent first."""
        entries: dict[str, list[Entry]] = {}
        for entry in sorted(self.ledger.entries(), key=lambda each: each.state == "refused"):
            entries.setdefault(entry.fingerprint, []).append(entry)
        found: list[Entry | None] = []
        for part in parts:
            mine = entries.get(part.fingerprint)
            found.append(mine.pop(0) if mine else None)
        return found

    def adopt(self, note: Note, outline: Outline) -> list[str]:
        """Take what another task sent under the same key as this one's."""
        log.info("%s has sent this already, under the same send_key: nothing is sent again", note.owner)
        self.ids, self.sent = list(note.ids), outline.recipients
        return self.ids

    def name(self, part: P) -> str:
        """The name of a part, for a person."""
        return f"{self.noun.capitalize()} {part.number + 1}"

    def left_behind(self) -> list[str]:
        """Ids that tell another task what was sent under the author's own key."""
        return self.ids

    def summary(self) -> dict[str, Any] | None:
        """Counts of the send, where its ids are too many to be a result."""
        return None


@dataclass
class SendOnce(PlannedSend[P], Generic[P, R]):
    """A send whose parts are a request each, answered with an ``R``."""

    @abstractmethod
    def request(self, part: P, time: float) -> Call[R]:
        """The call that sends a part. Raises :class:`InvalidInput` where it cannot be sent at this time."""

    @abstractmethod
    def identity(self, reply: R) -> str | None:
        """The id that Twilio gave."""

    @abstractmethod
    def look(self, part: P, entry: Entry | None, since: float | None) -> Flow[Found]:
        """Look for a part at Twilio once; ``since`` is when it was sent, by our clock, if that is known."""

    @abstractmethod
    def uncertain(self, part: P, when: str, tried: str | None = None) -> SendUncertain:
        """The error of a part of which nobody can tell, with how to settle it."""

    def admitted(self, part: P) -> P | None:
        """The part without those who may not be texted any more; None where nobody is left."""
        return part

    def not_given(self, part: P, error: TwilioError) -> None:
        """Hear that Twilio did not take a part, and why."""

    def as_sent(self, part: P, entry: Entry) -> P:
        """The part with as many people as it was sent to by an earlier try."""
        return part

    def send_all(self, parts: Sequence[tuple[P, Entry | None]], began: float) -> Flow[None]:
        """Bring every part to its end, one after the other."""
        for part, entry in parts:
            yield from self.each(part, entry, began)
            time = yield from now()
            self.told(part, time - began)

    def each(self, part: P, entry: Entry | None, began: float) -> Flow[None]:
        """Bring one part to its end, wherever an earlier try left it."""
        if not (yield from self.settled_before(part, entry, began)):
            yield from self.send(part, entry)

    def settled_before(self, part: P, entry: Entry | None, began: float) -> Flow[bool]:
        """Look up whether an earlier try, or another task, has sent a part."""
        part = self.as_sent(part, entry) if entry else part
        if entry and entry.state in ("accepted", "assumed"):
            if entry.operation_id is None and (yield from self._once_more(part, entry)):
                return True
            self.count(part, entry.operation_id)
            self.settle(part)
            log.info("%s was sent on an earlier try", self.name(part))
            return True
        if entry and entry.state == "sending":
            return (yield from self._reconciled(part, entry, "on an earlier try"))
        if not entry and (self.ledger.blank or self.ask):
            since = began if self.ledger.blank else began - self.lag
            unsent = Entry("sending", part.fingerprint, part.count, part=part.number)
            return (yield from self._found(part, unsent, since, known=False))
        return False

    def entry(self, part: P, time: float, before: Entry | None = None) -> Entry:
        """The ledger's entry of a part that is about to be sent."""
        due = self.schedule.at(part, time)
        if due is not None and due != self.schedule.send_at:
            log.info(
                "%s (%s%s) waits at Twilio until %s",
                self.name(part),
                pluralize(part.count, "recipient"),
                "".join(f", {zone}" for zone in part.zones),
                due.isoformat(timespec="seconds"),
            )
        return Entry(
            "sending",
            part.fingerprint,
            part.count,
            since=time,
            part=part.number,
            held=due.timestamp() if due else 0.0,
            place=before.place if before else -1,
        )

    def send(self, part: P, before: Entry | None = None, again: bool = False) -> Flow[None]:
        """Send one part, and settle what became of it."""
        time = yield from now()
        admitted = self.admitted(part)
        if admitted is None:
            self.settle(part)
            return
        part = admitted
        entry, call = self.begin(part, before, time)
        try:
            reply = yield from made(call)
        except TwilioError as error:
            yield from self.went_wrong(part, entry, error, may_resend=not again)
        else:
            yield from self.answered(part, entry, reply)

    def begin(self, part: P, before: Entry | None, time: float) -> tuple[Entry, Call[R]]:
        """Note that a part is about to be sent; returns the note and the call."""
        if self.stopped:
            raise TwilioError(f"{self.name(part)}: the task was killed, so nothing more was posted")
        call = self.request(part, time)
        entry = self.ledger.sending(self.entry(part, time, before), self.name(part))
        self.counting("sent", part.count)
        return entry, call

    def answered(self, part: P, entry: Entry, reply: R) -> Flow[None]:
        """Settle a part that Twilio took."""
        identity = self.identity(reply)
        if identity is None:
            log.warning("%s: Twilio took it and named no id", self.name(part))
            if (yield from self._found(part, entry, entry.since, known=True)):
                return
        self.accept(part, entry, identity)

    def went_wrong(self, part: P, entry: Entry, error: TwilioError, may_resend: bool = True) -> Flow[None]:
        """Settle a part whose request ended in an error; raises it where nothing else can be done."""
        if isinstance(error, SendUncertain):
            log.warning("%s: %s", self.name(part), error)
            if not (yield from self._reconciled(part, entry, "just now", may_resend=may_resend)):
                yield from self.send(part, entry, again=True)
            return
        if isinstance(error, (ApiError, Refused, TransportFailed)) and not_taken(error):
            self.ledger.settled(replace(entry, state="refused"))
            self.not_given(part, error)
            self.counting("refused", part.count, verdict=verdict_of(error))
        raise error

    def count(self, part: P, identity: str | None) -> None:
        """Count a part that is sent."""
        self.sent += part.count
        if identity:
            self.ids.append(identity)
            self.claimed.add(identity)
        else:
            self.assumed += part.count

    def accept(self, part: P, entry: Entry, identity: str | None) -> None:
        log.info("Twilio accepted %s %d as %s", self.noun, part.number + 1, identity)  # first of all
        self.count(part, identity)
        self._write(replace(entry, state="accepted", operation_id=identity, ends=self.settle(part)))
        self.counting("accepted", part.count)

    def told(self, part: P, seconds: float) -> None:
        """Say how far it is, so many seconds after the beginning."""

    def _write(self, entry: Entry) -> None:
        """Settle an entry; one that is found at Twilio may have no place yet."""
        if entry.place < 0:
            self.ledger.sending(entry, self.noun)
        else:
            self.ledger.settled(entry)

    def _once_more(self, part: P, entry: Entry) -> Flow[bool]:
        """One look for a part that was taken as sent and has no id, on a later try."""
        try:
            found = yield from self.look(part, entry, entry.since)
        except TwilioError as error:
            log.warning("%s has no id yet, and Twilio's list does not tell: %s", self.name(part), error)
            return False
        if found:
            self.accept(part, entry, next((each for each in found if each), None))
        return bool(found)

    def _reconciled(self, part: P, entry: Entry, when: str, may_resend: bool = True) -> Flow[bool]:
        """Settle a part of unknown outcome. Returns whether it is settled; if not, it may be sent again."""
        if (yield from self._found(part, entry, entry.since, known=True, when=when)):
            return True
        self.counting("uncertain", part.count, on_unknown=self.on_unknown)
        if self.on_unknown == "assume_sent":
            log.warning("%s: taken as sent, as on_unknown='assume_sent' says", self.name(part))
            self.ledger.settled(replace(entry, state="assumed"))
            self.count(part, None)
            return True
        if self.on_unknown == "resend" and may_resend:
            log.warning("%s: sent again, as on_unknown='resend' says", self.name(part))
            return False
        raise self.uncertain(part, when)

    def _found(
        self, part: P, entry: Entry, since: float, *, known: bool, when: str = "by an earlier try, perhaps"
    ) -> Flow[bool]:
        """Look for a part until an absence counts, and take it as sent if it is there.

        ``known`` says that the request was certainly made at ``since``; otherwise any time before it will do.
        That time may be of a clock that is ahead: an absence counts ``lag`` after the first look at the
        latest. A look that fails leaves it as uncertain as it was.
        """
        pauses = checks()
        pause = 0.0
        end = since + self.lag
        while True:
            time = yield from waited(pause)
            end = min(end, time + self.lag)
            try:
                found = yield from self.look(part, entry, since if known else None)
            except SendUncertain:
                raise
            except TwilioError as error:
                raise self.uncertain(part, when, f"Twilio's list answered: {error}") from error
            if found:
                self.accept(part, entry, next((each for each in found if each), None))
                log.info("%s was found at Twilio", self.name(part))
                return True
            if time >= end:
                return False
            pause = min(next(pauses), max(0.1, end - time))


def not_taken(error: Exception) -> bool:
    """Tell if Twilio certainly did not take the request."""
    if isinstance(error, Refused) or untouched(error):
        return True
    return isinstance(error, ApiError) and error.status < 500


def checks() -> Iterator[float]:
    """Seconds between look-ups."""
    yield from CHECKS
    while True:
        yield CHECKS[-1]
