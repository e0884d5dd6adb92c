"""Look up messages whose outcome is unknown, in Twilio's list.

A message has no tag by which the list could be asked for it, so it is found again by its recipient, its
sender, its text (or, without one, the number of its files) and the time of the attempt. One that another
message of the send was sent as does not count again. Many are looked for by pages of the sender's list, not
by a request for each; a few by the lists of their recipients, however much else the account sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from airflow_provider_twilio_comms._core.sending.send_once import SKEW
from airflow_provider_twilio_comms._core.sending.shown_texts import alike, rendered
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api._times import when
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message, Options
from airflow_provider_twilio_comms.api.content import Content
from airflow_provider_twilio_comms.api.flows import Flow, made, now
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply

PAGE = 1000
PAGE_OF_ONE = 50  # rows of a recipient's list
FEW = 3  # recipients whose own lists are read
SECOND = timedelta(seconds=2)  # Twilio's times have no fractions
DAY = 86_400.0


class Request(Protocol):
    """The message that was sent, to whomever."""

    @property
    def options(self) -> Options: ...

    @property
    def template_sid(self) -> str | None: ...

    def address(self, person: Any) -> str:
        """The address of a recipient, as Twilio takes it."""

    def values(self, person: Any) -> Mapping[str, str]:
        """A recipient's values for the variables of a content template."""

    def body(self, person: Any) -> str:
        """A recipient's text, where there is no content template; empty where there is none at all."""


@dataclass(eq=False)
class Wanted:
    """A message that is looked for: its place in a batch.

    ``since`` is when it was sent by our clock, where that is known of it alone. ``rows`` counts the messages
    that it may be where these are too many: without a text, the list tells nothing then.
    """

    person: Any
    request: Request
    batch: Any
    place: int
    since: float | None = None
    rows: int = 0

    @property
    def number(self) -> str:
        """The number of the recipient, whatever channel Twilio has chosen."""
        return _number(self.request.address(self.person))


class LookUp:
    """Looks for messages of a send, by ``sender``. ``claimed`` are SIDs that others of its messages have.

    ``earliest`` is when they can have been sent at the earliest, where that is not known of each.
    """

    def __init__(self, sender: Mapping[str, str], claimed: set[str], earliest: float | None) -> None:
        self._service = sender.get("messaging_service_sid")
        self._from = sender.get("from_")
        self._claimed = claimed
        self._earliest = earliest
        self._templates: dict[str, Content] = {}  # by SID

    def once(self, wanted: Sequence[Wanted], since: float | None) -> Flow[list[tuple[Wanted, Message]]]:
        """Go through the list once; returns those that are in it, with their rows. ``since`` is by our
        clock, of those that know no time of their own."""
        yield from self._read_templates(wanted)
        starts: dict[float | None, datetime] = {}
        times = {since if each.since is None else each.since for each in wanted}
        rows: dict[str, dict[str, Message]] = {each.number: {} for each in wanted}
        for call in self._lists(wanted):
            yield from self._read(call, times, starts, rows)
        found = []
        left = Counter(each.number for each in wanted)
        for each in wanted:
            start = starts[since if each.since is None else each.since]
            theirs = sorted(reversed(rows[each.number].values()), key=_created)
            row = self._of(each, [row for row in theirs if _is_new(row, start)], left[each.number])
            if row is not None:
                self._claimed.add(row.sid)
                left[each.number] -= 1
                found.append((each, row))
        return found

    def _lists(self, wanted: Sequence[Wanted]) -> Iterator[Call[Page[Message]]]:
        """The lists to read. A service chooses the sender later, and maybe RCS as the channel."""
        only: Any = {} if self._service else {"from_": self._from}
        addresses = sorted({each.request.address(each.person) for each in wanted})
        if len(addresses) > FEW:
            yield messages.list(page_size=PAGE, **only)
            return
        for to in addresses:
            yield messages.list(to=to, page_size=PAGE_OF_ONE, **only)
            channel, _, number = to.rpartition(":")
            if self._service and channel in ("", "rcs"):
                yield messages.list(to=number if channel else f"rcs:{number}", page_size=PAGE_OF_ONE)

    def _read(
        self,
        first: Call[Page[Message]],
        times: Iterable[float | None],
        starts: dict[float | None, datetime],
        rows: dict[str, dict[str, Message]],
    ) -> Flow[None]:
        """Read a list, newest first, as far back as the first of these times, which ``starts`` gets by
        Twilio's clock; ``rows`` gets what this sender can have sent, by number and SID."""
        call: Call[Page[Message]] | None = first
        while call is not None:
            ahead, page = yield from timed(call)
            for time in times:
                if time not in starts:
                    starts[time] = yield from started(time, ahead, self._earliest)
            for row in page.items:
                number = _number(row.to or "")
                own = row.messaging_service_sid == self._service if self._service else row.from_ == self._from
                if own and number in rows and row.direction in (None, "outbound-api"):
                    rows[number][row.sid] = row
            last = page.items[-1].date_created if page.items else None
            call = None if last is not None and last < min(starts.values()) else page.next

    def _of(self, wanted: Wanted, rows: Sequence[Message], most: int) -> Message | None:
        """The first of these rows that is the message, and no other one's.

        None where it has no text, and more may be it than so many that are looked for.
        """
        options = wanted.request.options
        texts = self._texts(wanted)
        shortened = bool(options.get("shorten_urls"))
        files = len(options.get("media_url") or ())
        fitting = [
            row
            for row in rows
            if row.sid not in self._claimed
            and any(alike(text, row.body or "", shortened=shortened) for text in texts)
            and (any(texts) or row.num_media in (None, files))
        ]
        wanted.rows = 0 if any(texts) or len(fitting) <= most else len(fitting)
        return fitting[0] if fitting and not wanted.rows else None

    def _texts(self, wanted: Wanted) -> list[str]:
        """The texts as which Twilio may show a message. A template that has none is never found."""
        request, person = wanted.request, wanted.person
        if request.template_sid is None:
            return [request.body(person)]
        template = self._templates[request.template_sid]
        return list(rendered(template.types or {}, {**(template.variables or {}), **request.values(person)}))

    def _read_templates(self, wanted: Sequence[Wanted]) -> Flow[None]:
        sids = {each.request.template_sid for each in wanted}
        for sid in sorted(filter(None, sids - self._templates.keys())):
            self._templates[sid] = yield from made(content.fetch(sid))


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


def _number(address: str) -> str:
    return address.rpartition(":")[2]


def _created(row: Message) -> float:
    return row.date_created.timestamp() if row.date_created else 0.0


def _is_new(row: Message, start: datetime) -> bool:
    return row.date_created is None or row.date_created >= start
