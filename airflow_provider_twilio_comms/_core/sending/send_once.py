"""The steps of every send: each part goes out, and none goes out twice.

Twilio has no idempotency key for messages. In its place the ledger is written before and after each request,
and Twilio's own lists are asked where the ledger cannot tell:

* an *accepted* part is skipped;
* a part that was about to be sent when something died is looked for at Twilio, for a while, since lists lag;
* what stays unknown is the author's choice: stop and say so, send again, or take it as sent.

What a part is, how it is sent and how it is found again is for each kind of send to say.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.sending.counters import Counting, uncounted, verdict_of
from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.flows import Flow, made, now, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    Refused,
    SendUncertain,
    TransportFailed,
    TwilioError,
)

__all__ = ["LAG", "SKEW", "Found", "Part", "SendOnce"]

log: logging.Logger = logging.getLogger(__name__)

LAG = 90.0  # seconds by which a list may be late, and after which an absence counts
SKEW = 300.0  # seconds by which two clocks may differ
CHECKS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between look-ups; the last one repeats


class Part(Protocol):
    """What one request sends: the ``number``-th part of the whole, to ``count`` recipients."""

    @property
    def number(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def zones(self) -> tuple[str, ...]: ...


class Found(list["str | None"]):
    """The ids under which a look found a part at Twilio, the best first; None where it shows no id."""


P = TypeVar("P", bound=Part)
R = TypeVar("R")


@dataclass
class SendOnce(ABC, Generic[P, R]):
    """One send under way, in parts whose requests are answered with an ``R``.

    ``schedule`` says when each part goes out. ``lag`` is for how many seconds an absence from Twilio's list
    proves nothing; ``ids`` are Twilio's, of
    everything that is sent, earlier tries' included. ``counting`` hears what this try adds.
    """

    ledger: Ledger
    on_unknown: OnUnknown = "fail"
    lag: float = LAG
    schedule: Schedule = field(default_factory=Schedule)
    ids: list[str] = field(default_factory=list)
    sent: int = 0
    claimed: set[str] = field(default_factory=set)  # ids that belong to a part: no other was sent as them
    stopped: bool = False
    counting: Counting = uncounted

    noun: ClassVar[str] = "part"
    in_order: ClassVar[bool] = True  # what follows a part that was not sent was not sent either

    @abstractmethod
    def parts(self) -> Sequence[P]:
        """Every part, in the order in which they are sent."""

    @abstractmethod
    def request(self, part: P, time: float) -> Call[R]:
        """The call that sends a part. Raises :class:`InvalidInput` where it cannot be sent at this time."""

    @abstractmethod
    def identity(self, reply: R) -> str | None:
        """The id that Twilio gave."""

    @abstractmethod
    def look(self, part: P, since: float | None) -> Flow[Found]:
        """Look for a part at Twilio once; ``since`` is when it was sent, by our clock, if that is known."""

    @abstractmethod
    def uncertain(self, part: P, when: str) -> SendUncertain:
        """The error of a part of which nobody can tell, with how to settle it."""

    def once(self) -> Flow[list[str]]:
        """Send what is not sent yet; returns every id.

        Raises :class:`RecipientsChanged` before anything is sent, :class:`SendUncertain` where only a person
        can tell, and whatever Twilio refuses.
        """
        parts = self.parts()
        entries = [self.ledger.entry(part.number, part.fingerprint) for part in parts]
        self.ledger.entry(len(parts), None)  # the first try's list may have been longer
        self.claimed.update(entry.operation_id for entry in entries if entry and entry.operation_id)
        began = yield from now()
        self.ledger.begin(len(parts), began)
        for part, entry in zip(parts, entries, strict=True):
            yield from self.each(part, entry, began)
            time = yield from now()
            self.told(part, time - began)
        return self.ids

    def stop(self) -> None:
        """Post nothing more. May be called at any time, as from a signal's handler."""
        self.stopped = True

    def each(self, part: P, entry: Entry | None, began: float) -> Flow[None]:
        """Bring one part to its end, wherever an earlier try left it."""
        if entry and entry.state in ("accepted", "assumed"):
            self.count(part, entry.operation_id)
            log.info("%s was sent on an earlier try", self.name(part))
            return
        if entry and entry.state == "sending":
            if (yield from self._reconciled(part, entry.since, "on an earlier try")):
                return
        elif not entry and self.ledger.blank:
            if (yield from self._found(part, began, known=False)):
                return
            self.ledger.blank = not self.in_order
        yield from self.send(part)

    def send(self, part: P, again: bool = False) -> Flow[None]:
        """Send one part, and settle what became of it."""
        if self.stopped:
            raise TwilioError(f"{self.name(part)}: the task was killed, so nothing more was posted")
        time = yield from now()
        call = self.request(part, time)
        self.ledger.sending(part.number, part.fingerprint, part.count, time)
        self.counting("sent", part.count)
        try:
            reply = yield from made(call)
        except SendUncertain as error:
            log.warning("%s: %s", self.name(part), error)
            if not (yield from self._reconciled(part, time, "just now", may_resend=not again)):
                yield from self.send(part, again=True)
        except (ApiError, Refused, TransportFailed) as error:
            if _not_taken(error):
                self._settle(part, "refused", None)
                self.counting("refused", part.count, verdict=verdict_of(error))
            raise
        else:
            identity = self.identity(reply)
            if identity is None:
                log.warning("%s: Twilio took it and named no id", self.name(part))
                if (yield from self._found(part, time, known=True)):
                    return
            self.accept(part, identity)

    def due(self, part: P, time: float) -> datetime | None:
        """When a part is to go out; None is at once. The ledger keeps how long Twilio holds it."""
        send_at = self.schedule.at(part.zones, time)
        if send_at is None:
            return None
        self.ledger.hold(send_at.timestamp())
        if send_at != self.schedule.send_at:
            log.info(
                "%s (%s recipients, %s) waits at Twilio until %s, the end of its quiet hours",
                self.name(part),
                f"{part.count:,}",
                ", ".join(part.zones),
                send_at.isoformat(),
            )
        return send_at

    def name(self, part: P) -> str:
        """What a person calls a part."""
        return f"{self.noun.capitalize()} {part.number + 1}"

    def count(self, part: P, identity: str | None) -> None:
        """Count a part that is sent."""
        self.sent += part.count
        if identity:
            self.ids.append(identity)
            self.claimed.add(identity)

    def accept(self, part: P, identity: str | None) -> None:
        log.info("Twilio accepted %s %d as %s", self.noun, part.number + 1, identity)  # first of all
        self.count(part, identity)
        self._settle(part, "accepted", identity)
        self.counting("accepted", part.count)

    def told(self, part: P, seconds: float) -> None:
        """Say how far it is, so many seconds after the beginning."""

    def _reconciled(self, part: P, since: float, when: str, may_resend: bool = True) -> Flow[bool]:
        """Settle a part of unknown outcome. Returns whether it is settled; if not, it may be sent again."""
        if (yield from self._found(part, since, known=True)):
            return True
        self.counting("uncertain", part.count, on_unknown=self.on_unknown)
        if self.on_unknown == "assume_sent":
            log.warning("%s: taken as sent, as on_unknown='assume_sent' says", self.name(part))
            self._settle(part, "assumed", None)
            self.count(part, None)
            return True
        if self.on_unknown == "resend" and may_resend:
            log.warning("%s: sent again, as on_unknown='resend' says", self.name(part))
            return False
        raise self.uncertain(part, when)

    def _found(self, part: P, since: float, *, known: bool) -> Flow[bool]:
        """Look for a part until an absence counts, and take it as sent if it is there.

        ``known`` says that the request was certainly made at ``since``; otherwise any time before it will do.
        """
        checks = _checks()
        pause = 0.0
        while True:
            time = yield from waited(pause)
            found = yield from self.look(part, since if known else None)
            if found:
                self.accept(part, next((each for each in found if each), None))
                log.info("%s was found at Twilio", self.name(part))
                return True
            if time >= since + self.lag:
                return False
            pause = min(next(checks), max(0.1, since + self.lag - time))

    def _settle(
        self, part: P, state: Literal["accepted", "assumed", "refused"], identity: str | None
    ) -> None:
        self.ledger.settled(part.number, state, part.fingerprint, part.count, identity)


def _not_taken(error: Exception) -> bool:
    """Whether Twilio certainly did not take the request."""
    if isinstance(error, Refused) or untouched(error):
        return True
    return isinstance(error, ApiError) and error.status < 500


def _checks() -> Iterator[float]:
    yield from CHECKS
    while True:
        yield CHECKS[-1]
