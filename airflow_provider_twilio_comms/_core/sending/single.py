"""Sending single messages once: each part is a message to one person.

A message has no tag by which a list could be asked for it, so it is found again by its recipient, its sender,
its text and the time of the attempt. One that another part of this send was sent as does not count again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger
from airflow_provider_twilio_comms._core.sending.message import Letter
from airflow_provider_twilio_comms._core.sending.send_once import LAG, SKEW, Found, Steps
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._core.waiting.messages import seen
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api._times import when
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Flow, made, now
from airflow_provider_twilio_comms.api.wire import Call, Reply
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    InvalidInput,
    Refused,
    SendUncertain,
    TransportFailed,
    TwilioError,
)
from airflow_provider_twilio_comms.sending.texts import alike, rendered

__all__ = ["Part", "Single"]

log: logging.Logger = logging.getLogger(__name__)

SECOND = timedelta(seconds=2)  # Twilio's times have no fractions
DAY = 86_400.0
SHOWN = 20  # SIDs that an error names


@dataclass(frozen=True, repr=False)
class Part:
    """The message to one address."""

    number: int
    to: str
    fingerprint: str
    count: int = 1


class Single(Steps[Part, Message]):
    """A send of single messages under way.

    ``earliest`` is when the first try may have begun, in seconds since 1970, for a ledger that is blank.
    ``revive`` sends a message again that was canceled before it went out. ``when`` gives the time at which a
    part is to be sent, if it is not the letter's, by its number and the present in seconds since 1970.
    ``statuses`` are what Twilio said when it took the messages, by SID. One message's failure does not keep
    the others back.
    """

    noun: ClassVar[str] = "message"
    in_order: ClassVar[bool] = False

    def __init__(
        self,
        letter: Letter,
        ledger: Ledger,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        *,
        earliest: float | None = None,
        revive: bool = False,
        when: Callable[[int, float], datetime | None] | None = None,
    ) -> None:
        super().__init__(ledger, on_unknown, lag)
        self.letter = letter
        self.statuses: dict[str, str] = {}
        self.failures: dict[int, TwilioError] = {}
        self._earliest = earliest
        self._revive = revive
        self._when = when
        self._texts: tuple[str, ...] | None = None

    def once(self) -> Flow[list[str]]:
        """Send what is not sent yet; returns every SID. Raises when all were tried, for those that failed."""
        yield from super().once()
        if self.failures:
            raise self._failure()
        return self.ids

    def parts(self) -> list[Part]:
        letter, salt = self.letter, self.ledger.name
        return [Part(number, to, letter.fingerprint(number, salt)) for number, to in enumerate(letter.to)]

    def each(self, part: Part, entry: Entry | None, began: float) -> Flow[None]:
        try:
            if self._revive and entry and entry.operation_id and (yield from _canceled(entry.operation_id)):
                log.info("%s was canceled before it went out, and is sent again", self.name(part))
                yield from self.send(part)
            else:
                yield from super().each(part, entry, began)
        except (ApiError, InvalidInput, Refused, SendUncertain, TransportFailed) as error:
            self.failures[part.number] = error
            log.warning("%s: %s", self.name(part), error)
            if isinstance(error, (AuthenticationFailed, TransportFailed)):
                raise self._failure() from error  # the others would not fare better

    def request(self, part: Part, time: float) -> Call[Message]:
        send_at = self._when(part.number, time) if self._when else self.letter.options.get("send_at")
        if send_at is not None:
            messages.schedulable(send_at, datetime.fromtimestamp(time, timezone.utc))
        return self.letter.call(part.number, send_at)

    def identity(self, reply: Message) -> str:
        self.statuses[reply.sid] = reply.status or "accepted"
        return reply.sid

    def look(self, part: Part, since: float | None) -> Flow[Found]:
        texts = yield from self._expected()
        found: list[Message] = []
        for call in self._lists(part.to):
            listing: Call[Any] | None = call
            while listing is not None:
                ahead, page = yield from _timed(listing)
                start = yield from self._start(since, ahead)
                found += [row for row in page.items if self._is(row, part.to, texts, start)]
                # Newest first: behind what is too old there is nothing.
                old = page.items and page.items[-1].date_created and page.items[-1].date_created < start
                listing = None if old else page.next
        found.sort(key=lambda row: row.date_created.timestamp() if row.date_created else 0.0)
        self.statuses.update({row.sid: row.status or "accepted" for row in found[:1]})
        return Found(row.sid for row in found)

    def uncertain(self, part: Part, when: str) -> SendUncertain:
        return SendUncertain(
            f"message {part.number + 1} of {len(self.letter.to)} was given to Twilio {when}, no reply came, "
            "and its list shows no such message to that recipient. It was not sent again. Look into the "
            "message logs in Twilio's console: where it is there, clear the task with "
            "on_unknown='assume_sent', where it certainly is not, with on_unknown='resend'. Running the task "
            "again looks again",
            part=f"message {part.number + 1}",
            key=self.ledger.key(part.number),
            tried=f"listed the recipient's messages for {self.lag:.0f} s",
            operation_ids=list(self.ids),
        )

    def _lists(self, to: str) -> Iterator[Call[Any]]:
        service, sender = self.letter.service_sid, self.letter.options.get("from_")
        if service is None and sender:
            yield messages.list(to=to, from_=sender, page_size=50)
            return
        yield messages.list(to=to, page_size=50)  # the service chooses the sender later, and maybe RCS
        if ":" not in to:
            yield messages.list(to=f"rcs:{to}", page_size=50)

    def _is(self, row: Message, to: str, texts: Iterable[str], start: datetime) -> bool:
        """Whether a row can be the message: Twilio ignores filters that it does not know."""
        service, sender = self.letter.service_sid, self.letter.options.get("from_")
        own = row.messaging_service_sid == service if service else row.from_ == sender
        return (
            own
            and row.sid not in self.claimed
            and row.direction in (None, "outbound-api")
            and (row.to or "").rpartition(":")[2] == to.rpartition(":")[2]
            and (row.date_created is None or row.date_created >= start)
            and any(alike(text, row.body or "", shortened=self._shortened) for text in texts)
        )

    @property
    def _shortened(self) -> bool:
        return bool(self.letter.options.get("shorten_urls"))

    def _start(self, since: float | None, ahead: timedelta | None) -> Flow[datetime]:
        """When, by Twilio's clock, the message was made at the earliest. ``ahead`` is how far it is ahead."""
        if since is None:
            time = yield from now()
            since = self._earliest or time - DAY
        moment = datetime.fromtimestamp(since, timezone.utc)
        return moment + ahead - SECOND if ahead is not None else moment - timedelta(seconds=SKEW)

    def _expected(self) -> Flow[tuple[str, ...]]:
        """The texts as which Twilio may show the message. A template that has none is never found."""
        if self._texts is None:
            sid = self.letter.options.get("content_sid")
            if sid is None:
                self._texts = (self.letter.options.get("body") or "",)
            else:
                template = yield from made(content.fetch(sid))
                variables = {
                    **(template.variables or {}),
                    **(self.letter.options.get("content_variables") or {}),
                }
                self._texts = tuple(rendered(template.types or {}, variables))
        return self._texts

    def _failure(self) -> TwilioError:
        """One error for all that failed: of the kind that a later try may mend, if there is one."""
        worst = min(self.failures.values(), key=_hope)
        told = "; ".join(
            str(error) if isinstance(error, SendUncertain) else f"message {number + 1}: {error}"
            for number, error in self.failures.items()
        )
        text = (
            f"{len(self.failures)} of {len(self.letter.to)} messages were not sent, or nobody knows. {told}. "
            f"Sent were {self.sent}" + (f": {', '.join(self.ids[:SHOWN])}" if self.ids else "")
        )
        return type(worst)(text, **{name: getattr(worst, name) for name in worst.fields})


def _hope(error: TwilioError) -> int:
    if isinstance(error, SendUncertain):
        return 0
    final = getattr(error, "verdict", None) in ("configuration", "recipient", "opt-out")
    return 2 if final or isinstance(error, (InvalidInput, Refused)) else 1


def _timed(call: Call[Any]) -> Flow[tuple[timedelta | None, Any]]:
    """What a call reads, and how far Twilio's clock is ahead of ours."""

    def read(reply: Reply) -> tuple[datetime | None, Any]:
        return when(reply.headers.get("date")), call.read(reply)

    theirs, page = yield from made(replace(call, read=read))
    ours = yield from now()
    return theirs and theirs - datetime.fromtimestamp(ours, timezone.utc), page


def _canceled(sid: str) -> Flow[bool]:
    found = yield from seen(sid)
    return found is not None and found.status == "canceled"
