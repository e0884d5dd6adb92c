"""Inbound messages (replies), from Twilio's list of all messages: it has none of inbound ones alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from operator import attrgetter
from typing import Any, NamedTuple

from airflow_provider_twilio_comms.api.classic import media, messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Flow, every_item, every_page, made, now
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import ApiError

PAGE = 500  # messages read at a time: an event loop is held up no longer than that takes
FEW = 5  # up to so many numbers are asked for one by one; beyond that, one list of everything is cheaper
OVERLAP = 60.0  # seconds before the newest message that every read covers, since lists lag
WHOLE = 60.0  # seconds after which all that is wanted is read again, for messages that are later than that

_date = attrgetter("date")


@dataclass(frozen=True, repr=False)
class InboundMessage:
    """A message from a person. ``date`` is seconds since 1970, by Twilio's clock, in whole seconds.

    ``files`` is how many media files it has, ``read`` the number of the read of its inbox that found it.
    """

    sid: str
    date: float
    sender: str
    receiver: str
    service_sid: str | None
    body: str
    files: int = 0
    read: int = 0

    def came_to(self, receiver: str) -> bool:
        """Tell if it came to this number, channel address or messaging service; an empty one is any."""
        return receiver in ("", self.receiver, self.service_sid)


@dataclass(repr=False)
class Inbox:
    """Inbound messages kept between polls, so that most polls ask Twilio for the newest page only.

    Twilio's list lags: a message can turn up behind newer ones. So each read covers the last ``OVERLAP``
    seconds again, and every ``WHOLE`` seconds one covers all that is wanted.
    """

    reads: int = 0
    _found: list[InboundMessage] = field(default_factory=list)
    _known: dict[str, InboundMessage] = field(default_factory=dict)
    _since: float = float("inf")
    _receivers: frozenset[str] = frozenset()
    _whole_at: float = float("-inf")

    def refresh(self, since: float, receivers: Collection[str]) -> Flow[list[InboundMessage]]:
        """Read what is new, and return all that came in since then (seconds since 1970), oldest first.

        ``receivers`` are numbers, channel addresses and messaging services; an empty one means all. Where a
        read fails, nothing changes.
        """
        at, wanted = (yield from now()), frozenset(receivers)
        whole = since < self._since or wanted != self._receivers or at - self._whole_at >= WHOLE
        newest = self._found[-1].date if self._found else since
        start = int(since if whole else max(since, newest - OVERLAP))
        listed: list[InboundMessage] = []
        for call in _lists(wanted, datetime.fromtimestamp(start, timezone.utc)):
            yield from every_page(call, lambda rows: listed.extend(self._read(rows)))
        self.reads += 1
        # Newest first, as Twilio lists them: turned round, the order within a second is kept.
        read = {message.sid: message for message in reversed(listed)}
        new = [message for sid, message in read.items() if whole or sid not in self._known]
        found = new if whole else self._found + new
        found.sort(key=_date)
        self._found = found[bisect_left(found, int(since), key=_date) :]
        self._known = {message.sid: message for message in self._found}
        self._since, self._receivers = since, wanted
        self._whole_at = at if whole else self._whole_at
        return self._found

    def _read(self, rows: Sequence[Message]) -> Iterator[InboundMessage]:
        for row in rows:
            message = self._known.get(row.sid) or _inbound(row, self.reads + 1)
            if message is not None:
                yield message


class Origin(NamedTuple):
    """Senders and start of messages of ours: the ``senders``, and the first date by Twilio's clock."""

    senders: frozenset[str]
    first: float | None


def origin_of(sids: Collection[str]) -> Flow[Origin]:
    """Fetch from whom messages of ours went out, as far as that is known: there their answers arrive."""
    senders, dates = set(), []
    for sid in sids:
        message = yield from made(messages.fetch(sid))
        senders.add(message.from_ or "")
        dates += [message.date_created.timestamp()] if message.date_created else []
    return Origin(frozenset(senders), min(dates, default=None))


def files_of(sid: str) -> Flow[tuple[str, ...]]:
    """List the SIDs of a message's media files; none where they were deleted."""
    try:
        files = yield from every_item(media.list(sid))
    except ApiError as error:
        if error.status != 404:
            raise
        return ()
    return tuple(file.sid for file in files)


def _lists(wanted: frozenset[str], start: datetime) -> Iterator[Call[Any]]:
    everything = len(wanted) > FEW or any(not each or each.startswith("MG") for each in wanted)
    for receiver in [None] if everything else sorted(wanted):
        only: Any = {"to": receiver} if receiver else {}
        yield messages.list(sent_on_or_after=start, page_size=PAGE, **only)


def _inbound(row: Message, read: int) -> InboundMessage | None:
    date = row.date_sent or row.date_created
    if row.direction != "inbound" or date is None:
        return None
    return InboundMessage(
        row.sid,
        date.timestamp(),
        row.from_ or "",
        row.to or "",
        row.messaging_service_sid,
        row.body or "",
        row.num_media or 0,
        read,
    )
