"""The request of a bulk send without its recipients: checked once, and then made for each chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_twilio_comms._core.planning.texts import Template, Text, renderer
from airflow_provider_twilio_comms._core.recipients.reader import Channel
from airflow_provider_twilio_comms.api.comms import messages
from airflow_provider_twilio_comms.api.comms._arguments import (
    MAX_TAGS,
    SenderChannel,
    checked_content,
    checked_sender,
    checked_tags,
    schedule,
)
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.sending.liquid import undefaulted

__all__ = ["BulkRequest"]

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
        return renderer(checked_content(self.content), self.template)

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
