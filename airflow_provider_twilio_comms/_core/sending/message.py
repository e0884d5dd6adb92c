"""A single message before it is sent: what it says, and to whom, checked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Protocol

import msgspec

from airflow_provider_twilio_comms._core.planning.plan import Plan
from airflow_provider_twilio_comms._core.planning.texts import Template, Text, filled
from airflow_provider_twilio_comms._core.recipients.phone_numbers import normalised
from airflow_provider_twilio_comms._core.recipients.reader import Address, Reader, Reject
from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message, Options
from airflow_provider_twilio_comms.api.comms._elsewhere import ELSEWHERE
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput, Refused

log: logging.Logger = logging.getLogger(__name__)


class To(Protocol):
    """A recipient of a message; ``to`` is the address as Twilio takes it."""

    @property
    def to(self) -> str: ...


@dataclass(frozen=True, repr=False)
class OutgoingMessage:
    """The same message to each of these addresses. Its repr shows none of it.

    ``template`` is what its content template says, where that was read.
    """

    to: tuple[str, ...]
    options: Options
    template: Template | None = None

    envelope: ClassVar[int] = 0  # each address has a request of its own

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> OutgoingMessage:
        """A message to nobody yet, without what is None or empty. Raises :class:`InvalidInput`."""
        given: Any = {name: value for name, value in options.items() if value not in (None, "")}
        for name in sorted((given.keys() - Options.__annotations__.keys()) & ELSEWHERE.keys()):
            raise InvalidInput.at(name, "there is no such argument", ELSEWHERE[name])
        if "send_at" in given:
            given["send_at"] = valid("send_at", given["send_at"], datetime)
        return cls((), given)

    @property
    def service_sid(self) -> str | None:
        """The messaging service that sends it, if one does; ``from_`` may name one too."""
        sender = self.options.get("from_") or ""
        return self.options.get("messaging_service_sid") or (sender if is_service(sender) else None)

    @property
    def sender(self) -> dict[str, str]:
        """The sender as a list of messages shows it: ``messaging_service_sid`` or ``from_``."""
        service = self.service_sid
        return {"messaging_service_sid": service} if service else {"from_": self.options.get("from_") or ""}

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""
        return self.options.get("content_sid")

    def with_template(self, template: Template) -> OutgoingMessage:
        """The same, with what the content template says."""
        return replace(self, template=template)

    @property
    def needed(self) -> frozenset[str]:
        """The content template's variables that have neither a value nor a default."""
        if self.template is None:
            return frozenset()
        given = {**self.template.defaults, **(self.options.get("content_variables") or {})}
        return self.template.variables - given.keys()

    def text(self) -> Text:
        """The text, the same for everybody, where it goes as SMS or MMS."""
        if ":" in (self.options.get("from_") or ""):
            return Text(None)
        if self.options.get("media_url"):
            return Text(None, media=True, priced=False)
        body = self.options.get("body")
        if self.template and self.template.body is not None:
            values = {**self.template.defaults, **(self.options.get("content_variables") or {})}
            body = filled(self.template.body, values)
        return Text(None) if body is None else Text(lambda values: body, constant=True)

    def address(self, person: To) -> str:
        """The address of a recipient, as Twilio takes it."""
        return person.to

    def values(self, person: To) -> Mapping[str, str]:
        """The values for the variables of the content template, the same for everybody."""
        return self.options.get("content_variables") or {}

    def body(self, person: To) -> str:
        """The text, the same for everybody; empty where there is none."""
        return self.options.get("body") or ""

    def sent_to(self, to: Iterable[str]) -> OutgoingMessage:
        """The same to these addresses. Raises :class:`InvalidInput` for what Twilio would refuse."""
        checked = replace(self, to=tuple(to))
        for number in range(len(checked.to)):
            checked.call(number)
        return checked

    def call(self, number: int, send_at: datetime | None = None) -> Call[Message]:
        """The request for one of the addresses, at ``send_at``, or at once."""
        options: Any = {name: value for name, value in self.options.items() if name != "send_at"}
        if send_at is not None:
            options["send_at"] = send_at
        return messages.send(self.to[number], **options)

    def fingerprint(self, number: int, salt: str) -> str:
        """A hash that is the same as long as message and address are.

        A file counts without its address's query, which may be signed anew for each try.
        """
        shown = ("from_", "messaging_service_sid", "body", "content_sid", "content_variables")
        marks = [salt, self.to[number], *(self.options.get(name) for name in shown)]
        marks += [url.partition("?")[0] for url in self.options.get("media_url") or ()]
        return keyed(*marks)


def keyed(*marks: Any) -> str:
    """A short hash of what is not to be written down; the first mark is the send's name, or another hash."""
    return hashlib.sha256(msgspec.json.encode(marks, order="deterministic")).hexdigest()[:16]


class Addressee(Address):
    """A recipient: ``to`` as Twilio takes it, ``address`` without the channel of a number."""

    to: str = ""


@dataclass
class AddresseeReader(Reader):
    """Reads addresses: numbers, and those of channels (``whatsapp:+...``, ``messenger:...``)."""

    def _in_order(self, batch: Sequence[Any]) -> None:
        """They are few, and looked at one by one."""

    def _one(self, given: Any, row: int) -> Addressee | Reject:
        to, problem = _address(given, self.region)
        if not problem and self.allows and not self.allows(to):
            problem = "is outside the connection's allowed_recipients"
        if problem:
            return Reject(row, "to", problem, given)
        number = to.rpartition(":")[2]
        return Addressee(number if number[:1] == "+" else to, self.channel, None, to)


def addressees_of(plan: Plan) -> Iterator[str]:
    """Read the address of each request of a plan, which has one addressee."""
    for chunk in plan.chunks:
        yield msgspec.json.decode(plan.read(chunk), type=Addressee).to


def listed(given: str | Iterable[Any]) -> Iterable[Any]:
    """Addresses one by one: a template makes a list the text of one."""
    return [row.strip(" '\"") for row in given.strip(" []").split(",")] if isinstance(given, str) else given


def addresses(given: str | Iterable[Any], region: str | None = None) -> tuple[str, ...]:
    """Read addresses, each once, in E.164 or as a channel's address.

    ``region`` is the country of numbers without a country code. Raises :class:`InvalidInput` with the row.
    """
    found: dict[str, None] = {}
    count = 0
    for count, row in enumerate(listed(given), 1):
        to, problem = _address(row, region)
        if problem:
            raise InvalidInput.at("to", problem, "Write it in E.164: + and the country code first", count)
        found[to] = None
    if not found:
        raise InvalidInput.at("to", "there is nobody", "Give at least one number")
    if count > len(found):
        log.warning("%d recipients were given more than once; each gets one message", count - len(found))
    return tuple(found)


def _address(given: Any, region: str | None) -> tuple[str, str]:
    """``(address, "")``, or ``("", problem)``."""
    channel, colon, address = given.rpartition(":") if isinstance(given, str) else ("", "", given)
    # WhatsApp's addresses are numbers, as suppress knows them; other channels' may be digits that are none.
    named = colon and address[:1] != "+" and not (channel == "whatsapp" and address.isdecimal())
    number, problem = (address, "") if named else normalised(address, region)
    return ("", problem) if problem else (f"{channel}{colon}{number}", "")


def compose(to: Sequence[str], options: Mapping[str, Any], allows: Callable[[str], bool]) -> OutgoingMessage:
    """Make a message that can be sent. Raises :class:`InvalidInput` or :class:`Refused` if it cannot."""
    checked = OutgoingMessage.of(options).sent_to(to)
    barred = sum(not allows(address) for address in checked.to)
    if barred:
        raise Refused(
            f"{barred} of {len(checked.to)} recipients are outside the connection's allowed_recipients: "
            "nothing was sent"
        )
    return checked


def is_service(sender: str) -> bool:
    """Tell whether a sender is a messaging service."""
    return len(sender) == 34 and sender.startswith("MG")
