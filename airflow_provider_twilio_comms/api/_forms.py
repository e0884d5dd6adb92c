"""Form fields of the classic API: arguments validated against their limits and encoded for a request.

The optional arguments of a call are a ``TypedDict``. Its annotations state three things once: the type that a
checker sees, the limits that :func:`pairs` enforces before anything is sent, and, by its name, the field on
the wire (``sms_url`` is ``SmsUrl``). None means "not given"; ``""`` clears a setting.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta
from typing_extensions import get_type_hints

from airflow_provider_twilio_comms.api._times import aware, timestamp
from airflow_provider_twilio_comms.exceptions import InvalidInput

V = TypeVar("V")


@dataclass(frozen=True)
class Named:
    """A field's name on the wire, where it is not the argument's name in PascalCase."""

    name: str


@dataclass(frozen=True)
class Day:
    """A field that is a whole UTC day: a moment stands for the day that it is in."""


def sid(*prefixes: str, optional: bool = False) -> Meta:
    """The pattern of a SID with one of these prefixes; ``optional`` allows '' too, which clears a setting."""
    pattern, none = rf"({'|'.join(prefixes)})[0-9a-fA-F]{{32}}", "|" if optional else ""
    return Meta(
        pattern=rf"^({pattern}{none})\Z",
        description=f"a SID: {' or '.join(prefixes)} and 32 hexadecimal digits" + (", or ''" if none else ""),
    )


AccountSid = Annotated[str, sid("AC")]
AddressSid = Annotated[str, sid("AD")]
ApplicationSid = Annotated[str, sid("AP")]
BundleSid = Annotated[str, sid("BU")]
ContentSid = Annotated[str, sid("HX")]
IdentitySid = Annotated[str, sid("RI")]
MediaSid = Annotated[str, sid("ME")]
MessageSid = Annotated[str, sid("SM", "MM")]
PhoneNumberSid = Annotated[str, sid("PN")]
ServiceSid = Annotated[str, sid("MG")]
ShortCodeSid = Annotated[str, sid("SC")]

PhoneNumber = Annotated[str, Meta(pattern=r"^\+[1-9]\d{6,14}\Z", description="E.164: + and 7 to 15 digits")]
Address = Annotated[
    str,
    Meta(
        pattern=r"^(\+[1-9]\d{6,14}|[a-z][a-z-]*:\S+)\Z",
        description="a number in E.164 (+ and 7 to 15 digits), or a channel address like whatsapp:<number>",
    ),
]
AlphaSender = Annotated[
    str,
    Meta(
        pattern=r"^(?!\d+\Z)[A-Za-z0-9 +_&-]{1,11}\Z",
        description="1 to 11 letters, digits, spaces or -+_&, not digits alone",
    ),
]
Sender = Annotated[
    str,
    Meta(
        pattern=r"^(\+[1-9]\d{3,14}|[a-z][a-z-]*:\S+|MG[0-9a-fA-F]{32}|[A-Za-z0-9 +_&-]{1,11})\Z",
        description="a number in E.164, short code, alphanumeric sender (up to 11), channel address, MG SID",
    ),
]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", description="two capital letters, such as US")]
Url = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^\s/?#]+\S*)?\Z",
        max_length=4000,
        description="an http(s) address of up to 4,000 characters, or '' for none",
    ),
]
# Twilio refuses an underscore in the host: https://www.twilio.com/docs/api/errors/21609
Callback = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s/?#_]+([/?#]\S*)?\Z",
        max_length=4000,
        description="an http(s) address of up to 4,000 characters without an underscore in its host",
    ),
]
FileUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+\S*\Z", description="http(s) addresses")]
HttpMethod = Literal["GET", "POST"]
ValidityPeriod = Annotated[int, Meta(ge=1, le=36_000, description="1 to 36,000 seconds")]


class Field(NamedTuple):
    """An argument of a call: its name here, its name on the wire, and the type that its value must have."""

    name: str
    wire: str
    hint: Any


class Paged(TypedDict, total=False):
    """The argument of every list: the number of rows on a page."""

    page_size: Annotated[int, Meta(ge=1, le=1000, description="1 to 1,000")]


def valid(field: str, value: V, hint: Any) -> V:
    """Validate a value against a type and its limits. Raises :class:`InvalidInput` with what is expected."""
    try:
        checked: V = _dated(field, value, hint) if _takes_dates(hint) else msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise InvalidInput.at(field, "not a valid value", f"Expected {_looks(hint, error)}") from None
    return checked


def one_of(given: Mapping[str, Any], *names: str) -> None:
    """Raise :class:`InvalidInput` unless at least one of these arguments is given."""
    if not any(given.get(name) for name in names):
        raise InvalidInput.at(names[0], "is missing", f"Give at least one of {', '.join(names)}")


_UNSAFE = re.compile(rb"[^A-Za-z0-9_.~ -]")
_QUOTED = [b"%%%02X" % byte for byte in range(256)]


def quoted(text: bytes) -> bytes:
    """Encode a form's value as ``urllib.parse.quote_plus`` does, in a third of its time."""
    return _UNSAFE.sub(lambda unsafe: _QUOTED[unsafe[0][0]], text).replace(b" ", b"+")


def pairs(shape: Any, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Encode the given arguments as form or query fields, in the order in which ``shape`` names them.

    Raises :class:`InvalidInput` for an argument that ``shape`` does not know or whose value is not valid.
    """
    known = fields(shape)
    for name in given:
        if name not in known:
            raise InvalidInput.at(name, "there is no such argument", f"Expected one of {', '.join(known)}")
    return [
        (field.wire, text)
        for name, field in known.items()
        if given.get(name) is not None
        for text in _texts(name, valid(name, given[name], field.hint))
    ]


@cache
def fields(shape: Any) -> dict[str, Field]:
    """Every argument of a ``TypedDict``, by name."""
    hints = get_type_hints(shape, include_extras=True)
    return {name: Field(name, _wire(name, hint), hint) for name, hint in hints.items()}


def _wire(field: str, hint: Any) -> str:
    """``sms_url`` is ``SmsUrl`` on the wire, unless the annotation says otherwise."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Named):
            return extra.name
    return "".join(part.capitalize() for part in field.split("_"))


def _texts(field: str, value: Any) -> Iterator[str]:
    """Encode a value as text; a list gives several texts and repeats its field."""
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, datetime):
        yield timestamp(field, value)
    elif isinstance(value, date):
        yield value.isoformat()
    elif isinstance(value, Mapping):
        yield msgspec.json.encode(value).decode()
    elif isinstance(value, list):
        yield from map(str, value)
    else:
        yield str(value)


def bare(hint: Any) -> tuple[Any, ...]:
    """The types that a hint names, without their limits."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _takes_dates(hint: Any) -> bool:
    return bool({date, datetime} & set(bare(hint)))


def _dated(field: str, value: Any, hint: Any) -> Any:
    """Validate a date or an aware datetime: pendulum's too, which msgspec rejects, and ISO 8601 as text."""
    kinds = bare(hint)
    moment = _iso(value) if isinstance(value, str) else value
    if isinstance(moment, datetime) and datetime in kinds:
        aware(field, moment)
        whole = any(isinstance(extra, Day) for extra in getattr(hint, "__metadata__", ()))
        return moment.astimezone(timezone.utc).date() if whole else moment
    if isinstance(moment, date) and not isinstance(moment, datetime) and date in kinds:
        return moment
    expected = " or ".join({date: "a date", datetime: "an aware datetime"}[kind] for kind in kinds)
    raise InvalidInput.at(field, "not a valid value", f"Expected {expected}")


def _iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(_offset(text))
    except ValueError:
        return None


def _offset(text: str) -> str:
    """Write ``Z`` as an offset: Python 3.10 cannot read it."""
    return f"{text[:-1]}+00:00" if text.endswith("Z") else text


def _looks(hint: Any, error: msgspec.ValidationError) -> str:
    """Describe the expected value; never show the value itself, which may be a phone number."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Meta) and extra.description:
            return extra.description
    for kind in bare(hint):
        if get_origin(kind) is Literal:
            return f"one of {', '.join(map(str, get_args(kind)))}"
    return str(error).partition("Expected ")[2] or str(hint)
