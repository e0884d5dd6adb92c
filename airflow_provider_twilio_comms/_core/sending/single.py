"""Send single messages once: each part is a message to one person.

A message has no tag by which a list could be asked for it, so it is found again by its recipient, its sender,
its text and the time of the attempt. One that another part of this send was sent as does not count again.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from airflow_provider_twilio_comms._core.campaigns.guard import Person
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger, Outline
from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage, keyed
from airflow_provider_twilio_comms._core.sending.send_once import LAG, SKEW, Found, SendOnce
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
    RateLimited,
    Refused,
    SendUncertain,
    TransportFailed,
    TwilioError,
)

TRIAL = "Sent from your Twilio trial account - "

_link = re.compile(r"https?://\S+")
_variable = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
# By Unicode category: dashes, quotes, spaces, and what cannot be seen.
_PLAIN = {"Pd": "-", "Pi": "'", "Pf": "'", "Zs": " ", "Cf": "", "Mn": ""}
_ALSO = str.maketrans(
    {'"': "'", "`": "'", "\u2032": "'", "\u2033": "'", "\u201a": "'", "\u201e": "'", "\u2212": "-"}
)


def alike(sent: str, shown: str, *, shortened: bool = False) -> bool:
    """Tell whether Twilio may show ``shown`` for ``sent``, whose links it may have ``shortened``."""
    return _plain(sent, shortened) == _plain(shown.removeprefix(TRIAL), shortened)


def _plain(text: str, shortened: bool) -> str:
    text = _link.sub("(link)", text) if shortened else text
    text = unicodedata.normalize("NFKD", text).translate(_ALSO)
    return "".join(_PLAIN.get(unicodedata.category(char), char) for char in text).strip()


def rendered(types: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[str]:
    """The texts that a content template's types may become, with its variables filled in."""
    for shape in types.values():
        body = shape.get("body") if isinstance(shape, Mapping) else None
        if isinstance(body, str) and body:
            yield _variable.sub(lambda match: str(variables.get(match[1], match[0])), body)


log: logging.Logger = logging.getLogger(__name__)

AHEAD = messages.SOONEST + timedelta(minutes=1)  # for the request to arrive, and two clocks that differ
SECOND = timedelta(seconds=2)  # Twilio's times have no fractions
DAY = 86_400.0
SHOWN = 20  # SIDs that an error names
KINDS = 5  # errors that differ, of which one error tells
THROTTLED = 5  # messages in a row that Twilio refuses for being too many, after which none is tried


@dataclass(frozen=True, repr=False)
class Part:
    """The message to one address."""

    number: int
    to: str
    fingerprint: str
    zones: tuple[str, ...] = ()
    who: str | None = None
    count: int = 1
    country: str = ""
    after: float = 0.0


class MessageSend(SendOnce[Part, Message]):
    """A send of single messages under way.

    ``earliest`` is when the first try may have begun, in seconds since 1970, for a ledger that is blank.
    ``revive`` sends a message again that was canceled before it went out. ``schedule`` says when each goes
    out, and ``zones`` the time zones of each recipient, where that matters, and ``chunks`` its number in the
    plan. ``statuses`` are what Twilio said
    when it took the messages, by SID. One message's failure does not keep the others back.
    """

    noun: ClassVar[str] = "message"

    def __init__(
        self,
        message: OutgoingMessage,
        ledger: Ledger,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        *,
        earliest: float | None = None,
        revive: bool = False,
        schedule: Schedule | None = None,
        zones: Sequence[tuple[str, ...]] = (),
        chunks: Sequence[int] = (),
        rows: int | None = None,
        **settings: Any,
    ) -> None:
        schedule = schedule or Schedule(message.options.get("send_at"))
        super().__init__(ledger, on_unknown, lag, schedule, **settings)
        self.message = message
        self.statuses: dict[str, str] = {}
        self.failures: dict[int, TwilioError] = {}
        self._earliest = earliest
        self._revive = revive
        self._zones = zones or ((),) * len(message.to)
        self._rows = len(message.to) if rows is None else rows
        self._texts: tuple[str, ...] | None = None
        self._throttled = 0
        self._chunks = chunks
        self._left_out = 0

    def once(self) -> Flow[list[str]]:
        """Send what is not sent yet; returns every SID. Raises when all were tried, for those that failed."""
        yield from super().once()
        if self.failures:
            raise self._failure()
        return self.ids

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
        content = replace(message, to=("",)).fingerprint(0, salt)
        people = keyed(salt, *sorted(message.to))
        return Outline(
            content=content,
            people=people,
            plan=keyed(content, *message.to),
            parts=len(message.to),
            recipients=len(message.to) - self._left_out,
            rows=self._rows,
            rejected=self._rows - len(message.to) + self._left_out,
            by_zone=self.schedule.by_zone,
        )

    def admitted(self, part: Part) -> Part | None:
        """The part, if the guard lets it out: it knows it by its number in the plan."""
        if self.guard is None or not self.guard.admit(self._chunks[part.number], self._person(part)):
            return part
        log.info("%s is left out: it may not be sent any more", self.name(part))
        self._left_out += 1
        return None

    def not_given(self, part: Part, error: TwilioError) -> None:
        if self.guard is not None:
            codes = [str(getattr(error, "code", ""))]
            self.guard.refused(self._chunks[part.number], self._person(part), codes)

    def _person(self, part: Part) -> dict[int, Person]:
        return {0: Person(part.to.rpartition(":")[2])}

    def gone(self, parts: Sequence[Part]) -> tuple[list[Entry], int]:
        """Whoever was texted is done, also where the list does not hold them any more."""
        marks = {part.fingerprint for part in parts}
        people = {part.who for part in parts}
        lost, free = [], 0
        for entry in self.ledger.entries():
            if entry.state == "refused" or (entry.who and entry.who not in people):
                free += entry.count
            elif entry.fingerprint not in marks:
                lost.append(entry)
        return lost, free

    def complete(self) -> bool:
        """Not where messages failed, nor where a killed task takes back what is scheduled."""
        return super().complete() and not self.failures and not self._revive

    def look_for_others(self, parts: Sequence[Part]) -> Flow[bool]:
        yield from ()
        return self.ask  # messages bear no key

    def each(self, part: Part, entry: Entry | None, began: float) -> Flow[None]:
        try:
            if self._revive and entry and entry.operation_id and (yield from _canceled(entry.operation_id)):
                log.info("%s was canceled before it went out, and is sent again", self.name(part))
                yield from self.send(part, entry)
            else:
                yield from super().each(part, entry, began)
            self._throttled = 0
        except (ApiError, InvalidInput, Refused, SendUncertain, TransportFailed) as error:
            self.failures[part.number] = error
            log.warning("%s: %s", self.name(part), error)
            self._throttled = self._throttled + 1 if isinstance(error, RateLimited) else 0
            if isinstance(error, (AuthenticationFailed, TransportFailed)) or self._throttled >= THROTTLED:
                raise self._failure() from error  # the others would not fare better

    def request(self, part: Part, time: float) -> Call[Message]:
        send_at = self.schedule.at(part, time)
        if send_at is not None:
            messages.schedulable(send_at, datetime.fromtimestamp(time, timezone.utc))
        return self.message.call(part.number, send_at)

    def identity(self, reply: Message) -> str:
        self.statuses[reply.sid] = reply.status or "accepted"
        return reply.sid

    def look(self, part: Part, entry: Entry | None, since: float | None) -> Flow[Found]:
        texts = yield from self._expected()
        found: list[Message] = []
        for call in self._lists(part.to):
            listing: Call[Any] | None = call
            while listing is not None:
                ahead, page = yield from timed(listing)
                start = yield from started(since, ahead, self._earliest)
                found += [row for row in page.items if self._is(row, part.to, texts, start)]
                # Newest first: behind what is too old there is nothing.
                old = page.items and page.items[-1].date_created and page.items[-1].date_created < start
                listing = None if old else page.next
        found.sort(key=lambda row: row.date_created.timestamp() if row.date_created else 0.0)
        if len(found) > 1 and not any(texts):
            tried = f"its list shows {len(found)} messages without a text that it may be"
            raise self.uncertain(part, "before", tried)
        self.statuses.update({row.sid: row.status or "accepted" for row in found[:1]})
        return Found(row.sid for row in found)

    def uncertain(self, part: Part, when: str, tried: str | None = None) -> SendUncertain:
        what = tried or "its list shows no such message to that recipient"
        return SendUncertain(
            f"message {part.number + 1} of {len(self.message.to)} was given to Twilio {when}, no reply came, "
            f"and {what}. It was not sent again. Running the task again looks again. If it stays unknown, "
            "look into the message logs in Twilio's console: only where it certainly is not there, clear the "
            "task with on_unknown='resend'; on_unknown='assume_sent' takes it as sent",
            part=f"message {part.number + 1}",
            key=self.ledger.tag(part.number, part.fingerprint),
            tried=tried or f"listed the recipient's messages for {self.lag:.0f} s",
            operation_ids=list(self.ids),
        )

    def _lists(self, to: str) -> Iterator[Call[Any]]:
        service, sender = self.message.service_sid, self.message.options.get("from_")
        if service is None and sender:
            yield messages.list(to=to, from_=sender, page_size=50)
            return
        yield messages.list(to=to, page_size=50)  # the service chooses the sender later, and maybe RCS
        if ":" not in to:
            yield messages.list(to=f"rcs:{to}", page_size=50)

    def _is(self, row: Message, to: str, texts: Iterable[str], start: datetime) -> bool:
        """Tell whether a row can be the message: Twilio ignores filters that it does not know."""
        service, sender = self.message.service_sid, self.message.options.get("from_")
        own = row.messaging_service_sid == service if service else row.from_ == sender
        return (
            own
            and row.sid not in self.claimed
            and row.direction in (None, "outbound-api")
            and (row.to or "").rpartition(":")[2] == to.rpartition(":")[2]
            and (row.date_created is None or row.date_created >= start)
            and any(alike(text, row.body or "", shortened=self._shortened) for text in texts)
            and (any(texts) or row.num_media in (None, len(self.message.options.get("media_url") or ())))
        )

    @property
    def _shortened(self) -> bool:
        return bool(self.message.options.get("shorten_urls"))

    def _expected(self) -> Flow[tuple[str, ...]]:
        """The texts as which Twilio may show the message. A template that has none is never found."""
        if self._texts is None:
            sid = self.message.options.get("content_sid")
            if sid is None:
                self._texts = (self.message.options.get("body") or "",)
            else:
                template = yield from made(content.fetch(sid))
                variables = {
                    **(template.variables or {}),
                    **(self.message.options.get("content_variables") or {}),
                }
                self._texts = tuple(rendered(template.types or {}, variables))
        return self._texts

    def _failure(self) -> TwilioError:
        """Make one error of all that failed: of the kind that a later try may fix, if there is one."""
        worst = min(self.failures.values(), key=_hope)
        alike: dict[str, list[int]] = {}
        for number, error in self.failures.items():
            # An uncertain one names itself, and differs from the next in nothing else.
            text = str(error).partition(" was given")[2] if isinstance(error, SendUncertain) else str(error)
            alike.setdefault(text, []).append(number + 1)
        told = "; ".join(_numbered(numbers, text) for text, numbers in list(alike.items())[:KINDS])
        if len(alike) > KINDS:
            told += f"; and {len(alike) - KINDS} other errors"
        unknown = sum(isinstance(error, SendUncertain) for error in self.failures.values())
        doubt = f" (of {unknown} of them nobody knows)" if unknown else ""
        text = (
            f"{len(self.failures)} of {len(self.message.to)} messages could not be sent{doubt}. {told}. "
            + (f"{self.sent} were sent: {', '.join(self.ids[:SHOWN])}" if self.ids else "None was sent")
        )
        return type(worst)(text, **{name: getattr(worst, name) for name in worst.fields})


def _numbered(numbers: Sequence[int], text: str) -> str:
    named = ", ".join(str(number) for number in numbers[:KINDS])
    more = f" and {len(numbers) - KINDS} more" if len(numbers) > KINDS else ""
    lead = f"message{'s' if len(numbers) > 1 else ''} {named}{more}"
    verb = "were" if len(numbers) > 1 else "was"
    return f"{lead} {verb} given{text}" if text.startswith(" to Twilio") else f"{lead}: {text}"


def _hope(error: TwilioError) -> int:
    if isinstance(error, SendUncertain):
        return 0
    final = getattr(error, "verdict", None) in ("configuration", "recipient", "opt-out")
    return 2 if final or isinstance(error, (InvalidInput, Refused)) else 1


def started(since: float | None, ahead: timedelta | None, earliest: float | None) -> Flow[datetime]:
    """The earliest time of a message by Twilio's clock, which is ``ahead`` of ours by so much.

    A time that is yet to come was noted by a clock that differs from this try's, so neither says anything:
    then any message since ``earliest``, when the run began, may be it.
    """
    time = yield from now()
    wrong = since is not None and since > time
    if since is None or wrong:
        since = earliest or time - DAY
    moment = datetime.fromtimestamp(since, timezone.utc)
    return moment - timedelta(seconds=SKEW) if ahead is None or wrong else moment + ahead - SECOND


def timed(call: Call[Any]) -> Flow[tuple[timedelta | None, Any]]:
    """Make a call; returns how far Twilio's clock is ahead of ours, and what the call reads."""

    def read(reply: Reply) -> tuple[datetime | None, Any]:
        return when(reply.headers.get("date")), call.read(reply)

    theirs, page = yield from made(replace(call, read=read))
    ours = yield from now()
    return theirs and theirs - datetime.fromtimestamp(ours, timezone.utc), page


def _canceled(sid: str) -> Flow[bool]:
    found = yield from seen(sid)
    return found is not None and found.status == "canceled"
