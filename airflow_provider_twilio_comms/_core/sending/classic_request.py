"""The message of a classic bulk send: the same content for many, each with a text of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airflow_provider_twilio_comms._core.campaigns.variants import Varied
from airflow_provider_twilio_comms._core.planning.texts import (
    Template,
    Text,
    filled,
    mixed,
    renderer,
    undefaulted,
)
from airflow_provider_twilio_comms._core.recipients.reader import Address, Reader, Reject
from airflow_provider_twilio_comms._core.sending.bulk import parse_moment, without_queries
from airflow_provider_twilio_comms._core.sending.message import is_service, keyed
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Options, Sent
from airflow_provider_twilio_comms.api.comms._arguments import checked_content
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput

_CHANNELS = ("phone", "sms", "whatsapp", "rcs")
_COMMS = "Use generation='comms', or a number, a messaging service (MG...) or whatsapp:<number>"


@dataclass(frozen=True, repr=False)
class ClassicRequest(Varied):
    """The message to everyone, through the classic API. Its repr shows none of it.

    ``prefix`` is the channel's, before a recipient's number; ``sender`` is ``from_`` or
    ``messaging_service_sid``. ``needed`` are the variables without a default,
    ``template`` what the content template says, where it was read.
    """

    content: Mapping[str, Any]
    options: Options
    sender: Mapping[str, str]
    prefix: str
    send_at: datetime | None
    needed: frozenset[str]
    template: Template | None = None
    marks: Sequence[Any] = field(default=())

    envelope = 0  # each recipient has a request of their own

    @classmethod
    def checked(
        cls,
        *,
        content: str | Mapping[str, Any],
        sender: str | Mapping[str, Any] | None,
        channel: str,
        send_at: datetime | str | None,
        options: Mapping[str, Any] | None,
    ) -> ClassicRequest:
        """Raises :class:`InvalidInput` for anything that Twilio would refuse, before recipients are read."""
        given = classic_sender(sender)
        named = str(channel).lower()
        if named not in _CHANNELS:
            raise InvalidInput.at("channel", f"{channel!r} is unknown", f"Use {', '.join(_CHANNELS)}")
        scheme = str(given.get("from_") or "").rpartition(":")[0]
        if scheme and named in ("phone", "sms"):
            named = scheme
        shared: Any = {**given, **(options or {})}
        body = checked_content(content)
        if "modules" in body:
            raise InvalidInput.at(
                "content", "modules are of the Communications API", "Give a text, or a content_sid"
            )
        if "contentId" in body:
            shared["content_sid"] = body["contentId"]
        elif body.get("media"):
            shared["media_url"] = [each.get("url") for each in body["media"]]
        if at_media := [each for each in body.get("media", ()) if "url" not in each]:
            raise InvalidInput.at("content", f"{len(at_media)} media have no url", "Give their addresses")
        at = parse_moment(send_at)
        if at is not None and not shared.get("messaging_service_sid"):
            raise InvalidInput.at("send_at", "only a messaging service holds messages", "Give one as sender")
        messages.series(**shared)
        return cls(
            content=body,
            options=shared,
            sender=given,
            prefix="" if named in ("phone", "sms") else f"{named}:",
            send_at=at,
            needed=undefaulted(body),
            marks=(without_queries(content), sender, named, options),
        )

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""
        return self.options.get("content_sid")

    def with_template(self, template: Template) -> ClassicRequest:
        """The same, with what the content template says."""
        return replace(self, template=template, needed=template.variables - template.defaults.keys())

    def text(self) -> Text:
        """The text of each recipient."""
        if self.variants:
            return mixed(each.text() for each in self.variants.values())
        if self.prefix:
            return Text(None)  # which Twilio neither cuts in segments nor has in its price list for SMS
        template = self.template
        if template is not None and template.body is not None:
            body, defaults = template.body, template.defaults
            return Text(lambda values: filled(body, {**defaults, **values}))
        return renderer(self.content)

    def address(self, person: Address) -> str:
        """The address of a recipient, as Twilio takes it."""
        return self.prefix + person.address

    def values(self, person: Address) -> Mapping[str, str]:
        """A recipient's values for the variables of the content template."""
        return person.variables or {}

    def body(self, person: Address) -> str:
        """A recipient's text; empty where there is none."""
        text = self.content.get("text")
        render = renderer({"text": text}).render if text else None
        return render(person.variables or {}) or "" if render else ""

    @property
    def fingerprint(self) -> str:
        """A hash of what goes to everyone. A file counts without its query, which may be signed anew."""
        return self.mark(keyed(*self.marks))

    def composer(self, send_at: datetime | None = None) -> Callable[[Address], tuple[Call[Sent], str | None]]:
        """Make the function that composes a recipient's call, and gives its text if that is known here."""
        options: Any = {**self.options, "send_at": send_at} if send_at is not None else self.options
        call, prefix = messages.series(**options), self.prefix
        if self.template_sid:
            return lambda person: (call(prefix + person.address, None, person.variables), None)
        render = renderer({"text": self.content["text"]}).render if self.content.get("text") else None
        if render is None:
            return lambda person: (call(prefix + person.address, None, None), None)

        def composed(person: Address) -> tuple[Call[Sent], str | None]:
            text = render(person.variables or {})
            return call(prefix + person.address, text, None), text

        return composed


def classic_sender(sender: str | Mapping[str, Any] | None) -> dict[str, str]:
    """Read a sender as the classic API takes it: ``from_`` or ``messaging_service_sid``, or both."""
    if not sender:
        raise InvalidInput.at("sender", "is missing", "Name one, or set default_sender in the connection")
    if isinstance(sender, Mapping):
        given = {str(name): str(value) for name, value in sender.items() if value}
        if "address" in given and not given.keys() - {"address", "channel"}:
            scheme = given.get("channel", "SMS").lower()
            return classic_sender(given["address"] if scheme == "sms" else f"{scheme}:{given['address']}")
        if not given or given.keys() - {"from_", "messaging_service_sid"}:
            raise InvalidInput.at("sender", "is not one of the classic API", _COMMS)
        return given
    name = sender.strip()
    if name.startswith("comms_"):
        raise InvalidInput.at("sender", "is one of the Communications API", _COMMS)
    return {"messaging_service_sid" if is_service(name) else "from_": name}


class ClassicReader(Reader):
    """Reads recipients with one address each, which is all that a single message can have."""

    def _one(self, given: Any, row: int) -> Any:
        read = super()._one(given, row)
        if isinstance(read, (Address, Reject)):
            return read
        problem = "has several addresses or is a profile, which only the Communications API takes"
        return Reject(row, "recipient", problem, given)
