"""A single message before it is sent: what it says, and to whom, checked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_twilio_comms.api.classic import messages
from airflow_provider_twilio_comms.api.classic.messages import Message, Options
from airflow_provider_twilio_comms.api.forms import valid
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.exceptions import InvalidInput, Refused
from airflow_provider_twilio_comms.sending.numbers import normalised

__all__ = ["Letter", "addresses", "letter"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Letter:
    """The same message to each of these addresses. Its repr shows none of it."""

    to: tuple[str, ...]
    options: Options

    @property
    def service_sid(self) -> str | None:
        """The messaging service that sends it, if one does; ``from_`` may name one too."""
        sender = self.options.get("from_") or ""
        return self.options.get("messaging_service_sid") or (sender if _is_service(sender) else None)

    def call(self, number: int) -> Call[Message]:
        """The request for one of the addresses."""
        return messages.send(self.to[number], **self.options)

    def fingerprint(self, number: int, salt: str) -> str:
        """What tells whether it is still the message, to the same address, that it was.

        A file counts without its address's query, which may be signed anew for each try.
        """
        shown = ("from_", "messaging_service_sid", "body", "content_sid", "content_variables")
        marks = [salt, self.to[number], *(self.options.get(name) for name in shown)]
        marks += [url.partition("?")[0] for url in self.options.get("media_url") or ()]
        return hashlib.sha256(msgspec.json.encode(marks, order="deterministic")).hexdigest()[:16]


def addresses(given: str | Iterable[Any], region: str | None = None) -> tuple[str, ...]:
    """Whom to write to, each once, in E.164 or as a channel's address.

    ``region`` is the country of numbers without a country code. Raises :class:`InvalidInput` with the row.
    """
    rows = [row.strip(" '\"") for row in given.strip(" []").split(",")] if isinstance(given, str) else given
    found: dict[str, None] = {}
    count = 0
    for count, row in enumerate(rows, 1):
        channel, colon, address = row.rpartition(":") if isinstance(row, str) else ("", "", row)
        number, problem = (address, "") if colon and address[:1] != "+" else normalised(address, region)
        if problem:
            raise InvalidInput.at("to", problem, "Write it in E.164: + and the country code first", count)
        found[f"{channel}{colon}{number}"] = None
    if not found:
        raise InvalidInput.at("to", "there is nobody", "Give at least one number")
    if count > len(found):
        log.warning("%d recipients were given more than once; each gets one message", count - len(found))
    return tuple(found)


def letter(to: Sequence[str], options: Mapping[str, Any], allows: Callable[[str], bool]) -> Letter:
    """A message that can be sent. Raises :class:`InvalidInput` or :class:`Refused` before anything is."""
    given: Any = {name: value for name, value in options.items() if value not in (None, "")}
    if "send_at" in given:
        given["send_at"] = valid("send_at", given["send_at"], datetime)
    checked = Letter(tuple(to), given)
    for number in range(len(checked.to)):
        checked.call(number)
    barred = sum(not allows(address) for address in checked.to)
    if barred:
        raise Refused(
            f"{barred} of {len(checked.to)} recipients are outside the connection's allowed_recipients: "
            "nothing was sent"
        )
    return checked


def _is_service(sender: str) -> bool:
    return len(sender) == 34 and sender.startswith("MG")
