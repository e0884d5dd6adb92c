"""Look up messages whose outcome is unknown: by pages of Twilio's list, not by a request for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_twilio_comms._core.planning.texts import renderer
from airflow_provider_twilio_comms._core.recipients.reader import Address
from airflow_provider_twilio_comms._core.sending.classic_request import ClassicRequest
from airflow_provider_twilio_comms._core.sending.single import alike, rendered, started, timed
from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message
from airflow_provider_twilio_comms.api.content import Content
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.wire import Call, Page

PAGE = 1000


@dataclass(eq=False)
class Wanted:
    """A message that is looked for: its place in a batch."""

    person: Address
    batch: Any
    place: int


class LookUp:
    """Looks for messages of a send. ``claimed`` are SIDs that others of its messages have.

    ``earliest`` is when they can have been sent at the earliest, where that is not known of each.
    """

    def __init__(self, request: ClassicRequest, claimed: set[str], earliest: float | None) -> None:
        self._request = request
        self._claimed = claimed
        self._earliest = earliest
        self._templates: dict[str, Content] = {}  # by SID

    def once(self, wanted: Sequence[Wanted], since: float | None) -> Flow[list[tuple[Wanted, str]]]:
        """Go through the list once; returns those that are in it, with their SIDs. ``since`` is by our
        clock."""
        yield from self._read_templates(wanted)
        rows = yield from self._rows({each.person.address for each in wanted}, since)
        found = []
        for each in wanted:
            row = self._of(each, rows.get(each.person.address, ()))
            if row is not None:
                self._claimed.add(row.sid)
                found.append((each, row.sid))
        return found

    def _rows(self, numbers: set[str], since: float | None) -> Flow[dict[str, list[Message]]]:
        """The account's messages to these numbers that this sender can have sent, oldest first."""
        service = self._request.sender.get("messaging_service_sid")
        sender = self._request.sender.get("from_")
        only: Any = {} if service else {"from_": sender}
        call: Call[Page[Message]] | None = messages.list(page_size=PAGE, **only)
        found: dict[str, list[Message]] = {}
        start: datetime | None = None
        while call is not None:
            ahead, page = yield from timed(call)
            start = start or (yield from started(since, ahead, self._earliest))
            for row in page.items:
                number = (row.to or "").rpartition(":")[2]
                own = row.messaging_service_sid == service if service else row.from_ == sender
                new = row.date_created is None or row.date_created >= start
                if own and new and number in numbers and row.direction in (None, "outbound-api"):
                    found.setdefault(number, []).insert(0, row)
            last = page.items[-1].date_created if page.items else None
            call = None if last is not None and last < start else page.next
        return found

    def _of(self, wanted: Wanted, rows: Sequence[Message]) -> Message | None:
        """The first of these rows that is the message, and no other one's."""
        request = self._request.of(wanted.batch.part.variant)
        texts = self._texts(request, wanted.person)
        shortened = bool(request.options.get("shorten_urls"))
        files = len(request.options.get("media_url") or ())
        for row in rows:
            said = any(alike(text, row.body or "", shortened=shortened) for text in texts)
            if row.sid not in self._claimed and said and (any(texts) or row.num_media in (None, files)):
                return row
        return None

    def _texts(self, request: ClassicRequest, person: Address) -> list[str]:
        """The texts as which Twilio may show a message."""
        values = person.variables or {}
        if request.template_sid:
            template = self._templates[request.template_sid]
            return list(rendered(template.types or {}, {**(template.variables or {}), **values}))
        text = request.content.get("text")
        render = renderer({"text": text}).render if text else None
        return [render(values) if render else ""]

    def _read_templates(self, wanted: Sequence[Wanted]) -> Flow[None]:
        sids = {self._request.of(each.batch.part.variant).template_sid for each in wanted}
        for sid in sorted(filter(None, sids - self._templates.keys())):
            self._templates[sid] = yield from made(content.fetch(sid))
