"""One exchange with Twilio as values: the request, decided but not sent, and how its reply is read.

Nothing here does I/O. A function of ``api/`` returns a ``Call``; a runner of ``client/`` makes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from airflow_provider_twilio_comms.api import error_codes
from airflow_provider_twilio_comms.exceptions import (
    ApiError,
    AuthenticationFailed,
    RateLimited,
    ServerFailed,
    scrub,
)

__all__ = [
    "Call",
    "Effect",
    "Method",
    "Page",
    "Product",
    "Reply",
    "checked",
    "decoded",
    "error_of",
    "next_query",
    "unreadable",
]

T = TypeVar("T")
E = TypeVar("E", bound=ApiError)
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Product = Literal["api", "comms", "content", "lookups", "messaging", "oauth", "pricing"]
# reads: changes nothing, may be repeated. writes: changes the account. sends: somebody's phone rings.
Effect = Literal["reads", "writes", "sends"]

EXCERPT = 200  # characters of an unreadable reply that an error shows


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """The body as plain Python. Raises :class:`ServerFailed` where it is not JSON."""
        return decoded(self, Any)


@dataclass(frozen=True, slots=True, repr=False)
class Call(Generic[T]):
    """A request, decided but not sent, and how to read its reply.

    ``path`` is Twilio's own template (``/Messages/{messageId}``), filled from ``path_values``; the account's
    ``{AccountSid}`` is the connection's. Give at most one of ``form`` (pairs, PascalCase), ``json`` (anything
    msgspec encodes) and ``body`` (JSON already encoded). ``recipients`` are the addresses that a call which
    sends would text, where it knows them. ``redirects`` says that the answer is an address elsewhere: a 3xx
    is read then, and never followed with credentials. Its repr shows neither query nor body: phone numbers
    live there.
    """

    method: Method
    path: str
    read: Callable[[Reply], T]
    product: Product = "comms"
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    form: Sequence[tuple[str, str]] | None = None
    json: Any = None
    body: bytes | None = None
    effect: Effect | None = None
    recipients: Sequence[str] = ()
    redirects: bool = False

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.product} {self.path}>"

    @property
    def does(self) -> Effect:
        """What it does to the world: as stated, else a GET reads and the rest writes."""
        return self.effect or ("reads" if self.method == "GET" else "writes")

    @property
    def repeatable(self) -> bool:
        """May it be made again when nobody knows whether Twilio processed it?"""
        return self.does == "reads" or (self.does == "writes" and self.method in ("PUT", "DELETE"))

    def target(self, account_sid: str) -> str:
        """Path and query, ready to append to a base address."""
        values = {"AccountSid": account_sid, **self.path_values}
        path = re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), self.path)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def content(self) -> tuple[str | None, bytes | None]:
        """The body's content type, and the body."""
        if self.body is not None:
            return "application/json", self.body
        if self.json is not None:
            return "application/json", msgspec.json.encode(self.json)
        if self.form is not None:
            return "application/x-www-form-urlencoded", urlencode(self.form).encode()
        return None, None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, and the call that gives the next part, if there is one."""

    items: Sequence[T]
    next: Call[Page[T]] | None = None


def next_query(address: str) -> list[tuple[str, str]]:
    """The query of a next-page address. Its host is never used: a reply may not redirect credentials."""
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def decoded(reply: Reply, shape: type[T]) -> T:
    """The body as ``shape``. Raises :class:`ServerFailed` where it cannot be: a cut reply, a proxy's page."""
    try:
        return msgspec.json.decode(reply.body, type=shape, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(reply, str(error)) from None


def unreadable(reply: Reply, problem: str) -> ServerFailed:
    """The error of a reply that is not what it should be; what it answers may have been done all the same."""
    return _error(ServerFailed, reply, None, f"the reply cannot be read ({scrub(problem)[:EXCERPT]})")


def checked(call: Call[T], reply: Reply) -> T:
    """What the reply says, read as the call says. Raises :class:`ApiError` for any other than success."""
    if 200 <= reply.status < (400 if call.redirects else 300):
        return call.read(reply)
    raise error_of(reply)


def error_of(reply: Reply) -> ApiError:
    """The error that a reply describes: the comms envelope, the classic shape, or text cut short."""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    errors = _listed(body)
    code = errors[0]["code"] if errors else None
    if errors:
        detail = "; ".join(str(error["message"]) for error in errors[:5])
    else:
        detail = scrub(re.sub(r"(?:<[^>]*>|\s)+", " ", reply.body[:2000].decode(errors="replace")).strip())[
            :EXCERPT
        ]
    return _error(_class(reply.status, code), reply, code, detail, errors)


def _listed(body: Any) -> list[dict[str, Any]]:
    """Every error of an error body, in one shape: code, message, more_info, context."""
    if not isinstance(body, dict):
        return []
    rows = body["errors"] if isinstance(body.get("errors"), list) and "type" not in body else [body]
    return [
        {
            "code": row["code"] if isinstance(row.get("code"), int) else None,
            "message": scrub(
                str(row.get("message") or row.get("detail") or row.get("title") or "no message")
            ),
            "more_info": row.get("infoUrl") or row.get("more_info") or row.get("type"),
            "context": scrub(str(row["context"])) if row.get("context") not in (None, "null") else None,
        }
        for row in rows
        if isinstance(row, dict) and {"code", "message", "detail", "title"} & set(row)
    ]


def _class(status: int, code: int | None) -> type[ApiError]:
    if status == 429 and error_codes.from_twilio(code):
        return RateLimited
    if status in (401, 403):
        return AuthenticationFailed
    # A 408 or 429 of a gateway, or a redirect, proves nothing about what is behind it.
    return ApiError if error_codes.refused(code, status) else ServerFailed


def _error(
    cls: type[E],
    reply: Reply,
    code: int | None,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
) -> E:
    request_id = reply.headers.get("twilio-request-id")
    known = error_codes.known(code)
    parts = [
        f"Twilio answered {reply.status}" + (f", code {code}" if code else ""),
        f" ({known.meaning})" if known else "",
        f": {detail or 'no text'}",
        f" [{request_id}]" if request_id else "",
    ]
    return cls(
        "".join(parts),
        status=reply.status,
        code=code,
        detail=detail,
        more_info=errors[0]["more_info"] if errors else None,
        request_id=request_id,
        retry_after=_retry_after(reply),
        verdict=error_codes.verdict(code, reply.status).value,
        errors=[dict(error) for error in errors],
    )


def _retry_after(reply: Reply) -> float | None:
    """Seconds to wait; a date is counted from the reply's own Date, since nothing here knows the time."""
    value = reply.headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(reply.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
