"""Errors, as a tree to catch by what one would do about them.

::

    TwilioError
      InvalidInput           refused here, before anything was sent: names the field, the row and the fix
        NoRecipients         there is nobody to text
        RecipientsChanged    the recipients of a retry are not those of the first try
      Refused                the connection forbids it: dry_run, or a number outside allowed_recipients
      TransportFailed        no reply. .sent tells whether the request may have reached Twilio
      ApiError               Twilio answered with an error: status, code, message, verdict, request_id ...
        AuthenticationFailed   401, 403 or a code that says so
        RateLimited            429 from Twilio itself: the request was never processed
        ServerFailed           5xx, or a reply nobody can read: the request may have been processed
      ProfileMerged          the profile is part of another now, whose id it names
      SendUncertain          a send whose outcome is unknown, with what was tried to find out
      DeliveryFailed         it ended below what the task asked for; carries the counts
        WaitTimedOut           it had not ended when the time was up
        OperationGone          Twilio no longer knows it (results are kept for seven days)
      TemplateRejected       WhatsApp does not approve a content template; carries its reasons

Every error travels: ``to_dict`` gives JSON, ``from_dict`` the same error in another process (a trigger's
event, a pickle). Messages never hold a phone number: what came from Twilio is scrubbed first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import Self

__all__ = [
    "ApiError",
    "AuthenticationFailed",
    "DeliveryFailed",
    "InvalidInput",
    "NoRecipients",
    "OperationGone",
    "ProfileMerged",
    "RateLimited",
    "RecipientsChanged",
    "Refused",
    "SendUncertain",
    "ServerFailed",
    "TemplateRejected",
    "TransportFailed",
    "TwilioError",
    "WaitTimedOut",
    "scrub",
]

# A run of digits that can be a phone number, written in any of the usual ways, also in an address (%2B is +)
# and glued to letters, _ and -. SIDs, ids, codes, dates, times and amounts with their currency stay.
_GAP = r"[\s()./\u2010-\u2015-]"
_NUMBER = re.compile(
    rf"""
    (?P<kept>
        (?<![^\W_]) (?: [A-Z]{{2}}[0-9a-fA-F]{{32}}                                                   # SID
          | (?=\d*[a-z]) (?:[0-9a-z]{{26}}|[0-9a-f]{{32}}|[0-9a-f]{{64}})                       # ULID, hash
          | [0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}} ) (?![^\W_])                           # UUID
      | (?<!\d) (?: \d{{4}}-[01]\d-[0-3]\d (?!\d) | \d\d:\d\d:\d\d\.\d+ | \d+\.\d+[ ][A-Z]{{3}}(?!\w)
          | \d{{18,}}(?=[^\W\d_]) )                      # date, time, amount, longer than any number
    )
    | (?<!\d) (?<!\d\.) \+?\d (?:{_GAP}*\d){{6,}}
    | (?:\+|%2[Bb]) (?:{_GAP}*\d){{5,}}
    """,
    re.VERBOSE,
)


def scrub(text: str) -> str:
    """Replace phone numbers, or what looks like one, so that the text may be logged."""
    return _NUMBER.sub(lambda match: match["kept"] or "<number>", text)


class TwilioError(Exception):
    """The root. ``fields`` names the attributes that travel with the error, besides its message.

    ``exhausted`` says that what failed was repeated already, as often as it may be.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    exhausted: bool = False
    _known: ClassVar[dict[str, type[TwilioError]]] = {}

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message)
        unknown = set(values) - set(self.fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        self.message = message
        for name in self.fields:
            setattr(self, name, values.get(name))

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        TwilioError._known[cls.__name__] = cls

    def __reduce__(self) -> tuple[Any, ...]:
        return (TwilioError.from_dict, (self.to_dict(),))

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON: ``{"type", "message", <fields>}``."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            **{name: getattr(self, name) for name in self.fields},
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> TwilioError:
        """The error that :meth:`to_dict` described; an unknown type becomes a plain ``TwilioError``."""
        cls = TwilioError._known.get(str(data.get("type")), TwilioError)
        known = {name: value for name, value in data.items() if name in cls.fields}
        return cls(str(data.get("message", "")), **known)


class InvalidInput(TwilioError, ValueError):
    """Refused before sending. ``field`` and ``row`` (1-based, as a person counts) say where."""

    fields: ClassVar[tuple[str, ...]] = ("field", "row")
    field: str | None
    row: int | None

    @classmethod
    def at(cls, field: str, problem: str, fix: str, row: int | None = None) -> Self:
        """Make the error of a field. Phone numbers in ``field`` and ``problem`` are replaced."""
        field = scrub(field)
        where = f"row {row}, {field}" if row else field
        return cls(f"{where}: {scrub(problem)}. {fix}", field=field, row=row)


class NoRecipients(InvalidInput):
    """There is nobody to text, or nobody who is not left out."""


class RecipientsChanged(InvalidInput):
    """Part of these recipients was sent on an earlier try, and they are others now."""


class Refused(TwilioError):
    """The connection forbids this request; nothing was sent."""


class TransportFailed(TwilioError):
    """No reply. ``sent`` is False only where the request provably never left; left out, it is True."""

    fields: ClassVar[tuple[str, ...]] = ("sent",)
    sent: bool

    def __init__(self, message: str, *, sent: bool | None = True) -> None:
        super().__init__(message, sent=True if sent is None else sent)


class ApiError(TwilioError):
    """Twilio's answer, when it is an error.

    ``status`` is HTTP's, ``code`` Twilio's (https://www.twilio.com/docs/api/errors), ``verdict`` what to do
    about it (:class:`~airflow_provider_twilio_comms.api.error_codes.Verdict`), ``retry_after`` seconds,
    ``errors`` every error where one reply named several.
    """

    fields: ClassVar[tuple[str, ...]] = (
        "status",
        "code",
        "detail",
        "more_info",
        "request_id",
        "retry_after",
        "verdict",
        "errors",
    )
    status: int
    code: int | None
    detail: str
    more_info: str | None
    request_id: str | None
    retry_after: float | None
    verdict: str
    errors: list[dict[str, Any]]


class AuthenticationFailed(ApiError):
    """The credentials are wrong, or may not do this."""


class RateLimited(ApiError):
    """Too many requests at once. Twilio did not process this one."""


class ServerFailed(ApiError):
    """Twilio, or something before it, broke. The request may have been processed."""


class ProfileMerged(TwilioError):
    """The profile was merged into another, ``profile_id`` (301 or 308): nothing was done."""

    fields: ClassVar[tuple[str, ...]] = ("profile_id", "status")
    profile_id: str
    status: int


class SendUncertain(TwilioError):
    """A request that sends was made, and nobody knows whether Twilio took it.

    ``part`` names the request or message, ``key`` the tag to look for, ``tried`` what was done to find out,
    ``operation_ids`` what certainly went out before.
    """

    fields: ClassVar[tuple[str, ...]] = ("part", "key", "tried", "operation_ids")
    part: str | None
    key: str | None
    tried: str | None
    operation_ids: list[str] | None


class DeliveryFailed(TwilioError):
    """The send ended below what the task asked for.

    ``stats`` are the counts, ``codes`` how often each Twilio code was the reason (of those looked at),
    ``operation_ids`` (or message SIDs) where to look.
    """

    fields: ClassVar[tuple[str, ...]] = ("operation_ids", "stats", "codes", "verdict")
    operation_ids: list[str]
    stats: dict[str, int]
    codes: dict[str, int] | None
    verdict: str | None


class WaitTimedOut(DeliveryFailed):
    """Time was up first. What is under way at Twilio goes on."""


class OperationGone(DeliveryFailed):
    """Twilio answers 404: it never knew the operation, or its seven days are over."""


class TemplateRejected(TwilioError):
    """WhatsApp has rejected, paused or disabled a content template, or was never asked.

    ``content_sids`` are these templates, ``reasons`` WhatsApp's, by SID, where it gave any.
    """

    fields: ClassVar[tuple[str, ...]] = ("content_sids", "reasons")
    content_sids: list[str]
    reasons: dict[str, str] | None
