"""What people wrote, read from Twilio's list of messages: there is no list of inbound ones alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_provider_twilio_comms.api.classic import media, messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import ApiError

__all__ = ["InboundMessage", "arrivals", "senders_of"]

FEW = 5  # so many numbers are asked for one by one; beyond that, one list of everything is cheaper


@dataclass(frozen=True, repr=False)
class InboundMessage:
    """A message from a person. ``date`` is seconds since 1970, by Twilio's clock, in whole seconds."""

    sid: str
    date: float
    sender: str
    receiver: str
    service_sid: str | None
    body: str
    media: tuple[str, ...] = ()

    def came_to(self, receiver: str) -> bool:
        """Whether it came to this number, channel address or messaging service; an empty one is any."""
        return receiver in ("", self.receiver, self.service_sid)


def arrivals(
    since: float, receivers: Collection[str], known: dict[str, tuple[str, ...]]
) -> Flow[list[InboundMessage]]:
    """What came in since then (seconds since 1970), oldest first.

    ``receivers`` are numbers, channel addresses and messaging services; an empty one means all. ``known``
    are the files of messages that were read before, by SID; it is brought up to date.
    """
    start = datetime.fromtimestamp(int(since), timezone.utc)
    rows: dict[str, Message] = {}
    for call in _lists(receivers, start):
        for row in (yield from every_item(call)):
            date = row.date_sent or row.date_created
            if row.direction == "inbound" and date is not None and date >= start:
                rows[row.sid] = row
    for sid in known.keys() - rows.keys():
        del known[sid]
    found = []
    for row in rows.values():
        if row.num_media and row.sid not in known:
            known[row.sid] = yield from _files(row.sid)
        found.append(_arrived(row, known.get(row.sid, ())))
    found.reverse()  # newest first, as Twilio lists them, keeps the order within a second
    found.sort(key=lambda each: each.date)
    return found


def senders_of(sids: Collection[str]) -> Flow[set[str]]:
    """From whom messages of ours went out, as far as that is known: there their answers arrive."""
    found = set()
    for sid in sids:
        message = yield from made(messages.fetch(sid))
        found.add(message.from_ or "")
    return found


def _lists(receivers: Collection[str], start: datetime) -> Iterator[Call[Any]]:
    wanted = set(receivers)
    everything = len(wanted) > FEW or any(not each or each.startswith("MG") for each in wanted)
    for receiver in [None] if everything else sorted(wanted):
        only: Any = {"to": receiver} if receiver else {}
        yield messages.list(sent_on_or_after=start, page_size=1000, **only)


def _files(sid: str) -> Flow[tuple[str, ...]]:
    try:
        files = yield from every_item(media.list(sid))
    except ApiError as error:
        if error.status != 404:
            raise
        return ()  # deleted since
    return tuple(file.sid for file in files)


def _arrived(row: Message, files: tuple[str, ...]) -> InboundMessage:
    date = row.date_sent or row.date_created
    assert date is not None
    return InboundMessage(
        row.sid,
        date.timestamp(),
        row.from_ or "",
        row.to or "",
        row.messaging_service_sid,
        row.body or "",
        files,
    )
