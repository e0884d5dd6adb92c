"""Send a plan in bulk, once: the parts are its chunks, and each carries a tag that only this send has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, ClassVar

import msgspec

from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._core.planning.texts import Template, Text, renderer, undefaulted
from airflow_provider_twilio_comms._core.recipients.reader import Channel
from airflow_provider_twilio_comms._core.sending.ledger import Ledger
from airflow_provider_twilio_comms._core.sending.send_once import LAG, SKEW, Found, SendOnce
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms._arguments import (
    MAX_TAGS,
    SenderChannel,
    checked_content,
    checked_sender,
    checked_tags,
    schedule,
)
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput, SendUncertain

__all__ = ["TAG", "BulkRequest", "BulkSend"]

_CHANNELS: dict[str, tuple[Channel, SenderChannel]] = {
    "phone": ("PHONE", "SMS"),
    "sms": ("PHONE", "SMS"),
    "rcs": ("PHONE", "RCS"),
    "whatsapp": ("WHATSAPP", "WHATSAPP"),
}
_TAG_SIZE = 160  # bytes that the package's own tag takes at most


@dataclass(frozen=True)
class BulkRequest:
    """What goes to everyone. ``needed`` are the text's variables without a default."""

    content: str | Mapping[str, Any]
    sender: str | Mapping[str, Any]
    channel: Channel
    sender_channel: SenderChannel
    send_at: datetime | None
    tags: Mapping[str, str]
    needed: frozenset[str]
    template: str | None = None  # what the content template says, where it was read

    @classmethod
    def checked(
        cls,
        *,
        content: str | Mapping[str, Any],
        sender: str | Mapping[str, Any] | None,
        channel: str,
        send_at: datetime | str | None,
        tags: Mapping[str, str] | None,
    ) -> BulkRequest:
        """Raises :class:`InvalidInput` for anything that Twilio would refuse, before recipients are read."""
        if not sender:
            raise InvalidInput.at("sender", "is missing", "Name one, or set default_sender in the connection")
        if str(channel).lower() not in _CHANNELS:
            raise InvalidInput.at("channel", f"{channel!r} is unknown", f"Use {', '.join(_CHANNELS)}")
        recipients, senders = _CHANNELS[str(channel).lower()]
        checked_sender(sender, senders)
        moment = _moment(send_at)
        if moment:
            schedule(moment)
        return cls(
            content=content,
            sender=sender,
            channel=recipients,
            sender_channel=senders,
            send_at=moment,
            tags=checked_tags(tags, MAX_TAGS - 1),
            needed=undefaulted(checked_content(content)),
        )

    @property
    def envelope(self) -> int:
        """Bytes of a request without its recipients."""
        try:
            _, body = self.call(msgspec.Raw(b"[]"), {}).content()
        except InvalidInput as error:
            raise InvalidInput.at(
                "content", f"{error.message} before the first recipient", "Shorten it"
            ) from None
        return len(body or b"") + _TAG_SIZE

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""
        return self.content.get("content_sid") if isinstance(self.content, Mapping) else None

    def text(self) -> Text:
        """What each recipient's text will be."""
        if self.channel == "WHATSAPP":
            return Text(None)  # which Twilio neither cuts in segments nor has in its price list for SMS
        text, sender = (
            renderer(checked_content(self.content), self.template),
            checked_sender(self.sender, self.sender_channel),
        )
        return (
            text._replace(priced=False)
            if "RCS" in (sender.get("channel"), *sender.get("channels", ()))
            else text
        )

    def with_template(self, template: Template) -> BulkRequest:
        """The same, with what the content template says, if it has a text."""
        if template.body is None:
            return self
        return replace(self, template=template.body, needed=template.variables)

    def call(
        self, to: msgspec.Raw, tags: Mapping[str, str], send_at: datetime | None = None
    ) -> Call[messages.Accepted]:
        """The request for recipients that are encoded already; ``send_at`` is theirs, if not everyone's."""
        return messages.send(
            to,
            self.content,
            sender=self.sender,
            sender_channel=self.sender_channel,
            send_at=send_at or self.send_at,
            tags={**self.tags, **tags},
        )


def _moment(send_at: datetime | str | None) -> datetime | None:
    """A rendered template is text; a datetime without a zone is refused where it is used."""
    if not send_at:
        return None
    if isinstance(send_at, datetime):
        return send_at
    try:
        return datetime.fromisoformat(send_at.strip().replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        raise InvalidInput.at(
            "send_at", "is no ISO 8601 time", "Write it like 2027-01-01T09:00:00+01:00"
        ) from None


log: logging.Logger = logging.getLogger(__name__)

TAG = "airflow_send"


class BulkSend(SendOnce[Chunk, messages.Accepted]):
    """A bulk send under way. ``schedule`` says when each chunk goes out."""

    noun: ClassVar[str] = "chunk"

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        request: BulkRequest,
        on_unknown: OnUnknown = "fail",
        lag: float = LAG,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(ledger, on_unknown, lag, schedule or Schedule(request.send_at))
        self.plan = plan
        self._request = request

    @property
    def operation_ids(self) -> list[str]:
        """Of every chunk that is sent, earlier tries' included."""
        return self.ids

    def parts(self) -> list[Chunk]:
        return self.plan.chunks

    def request(self, part: Chunk, time: float) -> Call[messages.Accepted]:
        return self._request.call(self.plan.to(part), self._tags(part), self.due(part, time))

    def identity(self, reply: messages.Accepted) -> str | None:
        return reply.operation_id

    def look(self, part: Chunk, since: float | None) -> Flow[Found]:
        tags = self._tags(part)
        start = datetime.fromtimestamp(since - SKEW, timezone.utc) if since is not None else None
        call: Call[Page[messages.Message]] | None = messages.list(tags=tags, start_date=start, page_size=100)
        while call is not None:
            page = yield from made(call)
            # A filter that Twilio does not know is ignored, so each row has to show the tag itself.
            mine = [row.operation_id for row in page.items if (row.tags or {}).get(TAG) == tags[TAG]]
            if mine:
                return Found(mine)
            call = page.next
        return Found()

    def uncertain(self, part: Chunk, when: str) -> SendUncertain:
        key = self.ledger.key(part.number)
        return SendUncertain(
            f"chunk {part.number + 1} of {len(self.plan.chunks)} ({part.count:,} recipients) was given "
            f"to Twilio {when}, no reply came, and its list shows no message tagged {TAG}:{key}. Certainly "
            f"sent: {self.sent:,} recipients in {len(self.ids)} operations. This chunk was not "
            "sent again, and nothing after it was. Look for the tag in Twilio's console. Where it is there, "
            "run the task again: it will be found. Where it certainly is not, clear the task with "
            "on_unknown='resend'; on_unknown='assume_sent' goes on without it",
            part=f"chunk {part.number + 1}",
            key=key,
            tried=f"listed messages by tag for {self.lag:.0f} s",
            operation_ids=self.ids,
        )

    def told(self, part: Chunk, seconds: float) -> None:
        log.info(
            "Sent chunk %d of %d: %s of %s recipients, %s a second",
            part.number + 1,
            len(self.plan.chunks),
            f"{self.sent:,}",
            f"{self.plan.recipients:,}",
            f"{self.sent / max(seconds, 1e-3):,.0f}",
        )

    def _tags(self, chunk: Chunk) -> dict[str, str]:
        return {TAG: self.ledger.key(chunk.number)}
