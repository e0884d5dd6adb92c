"""Calls and replies: one exchange with Twilio as values, without any I/O.

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
    "without_nulls",
]

T = TypeVar("T")
E = TypeVar("E", bound=ApiError)
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Product = Literal[
    "api", "audiences", "comms", "content", "events", "lookups", "memory", "messaging", "oauth", "pricing"
]
# reads: changes nothing, may be repeated. writes: changes the account. sends: texts somebody.
Effect = Literal["reads", "writes", "sends"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EXCERPT = 200  # characters of an unreadable reply that an error shows


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply; header names are lower case, or found in any case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """Decode the body as plain Python. Raises :class:`ServerFailed` if it is not JSON."""
        return decoded(self, Any)


@dataclass(frozen=True, slots=True, repr=False)
class Call(Generic[T]):
    """A request that is decided but not sent, together with the reader of its reply.

    ``path`` is Twilio's own template (``/Messages/{messageId}``), filled from ``path_values``; the account's
    ``{AccountSid}`` is the connection's. Give at most one of ``form`` (pairs, PascalCase, or a form already
    encoded), ``json`` (anything msgspec encodes) and ``body`` (JSON already encoded). ``recipients`` are the
    addresses that a call which sends would text, if it knows them. ``redirects`` means that the answer is an
    address elsewhere: a 3xx is read then, and never followed with credentials. ``headers`` are sent besides
    the usual ones. ``idempotent`` marks a POST or PATCH that Twilio processes once, however often it is made.
    Its repr shows neither query nor body, since they can hold phone numbers.
    """

    method: Method
    path: str
    read: Callable[[Reply], T]
    product: Product = "comms"
    path_values: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    form: Sequence[tuple[str, str]] | bytes | None = None
    json: Any = None
    body: bytes | None = None
    effect: Effect | None = None
    recipients: Sequence[str] = ()
    redirects: bool = False
    headers: Sequence[tuple[str, str]] = ()
    idempotent: bool = False

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.product} {self.path}>"

    @property
    def does(self) -> Effect:
        """The effect of the call: as stated, else a GET reads and the others write."""
        return self.effect or ("reads" if self.method == "GET" else "writes")

    @property
    def repeatable(self) -> bool:
        """True if the call may be made again although Twilio may have processed it."""
        once = self.idempotent or self.method in ("PUT", "DELETE")
        return self.does == "reads" or (self.does == "writes" and once)

    def target(self, account_sid: str) -> str:
        """Build path and query, to be appended to a base address."""
        values = {"AccountSid": account_sid, **self.path_values}
        path = re.sub(r"\{(\w+)\}", lambda match: quote(values[match[1]], safe=""), self.path)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def content(self) -> tuple[str | None, bytes | None]:
        """Encode the body; returns its content type and its bytes."""
        if self.body is not None:
            return "application/json", self.body
        if self.json is not None:
            return "application/json", msgspec.json.encode(self.json)
        if self.form is not None:
            form = self.form if isinstance(self.form, bytes) else urlencode(self.form).encode()
            return "application/x-www-form-urlencoded", form
        return None, None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list, and the call for the next page, if there is one."""

    items: Sequence[T]
    next: Call[Page[T]] | None = None


def next_query(address: str) -> list[tuple[str, str]]:
    """Parse a next-page address's query. Its host is never used: a reply must not redirect credentials."""
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


def decoded(reply: Reply, shape: type[T]) -> T:
    """Decode the body as ``shape``. Raises :class:`ServerFailed` for a cut reply or a proxy's page."""
    body = reply.body.removeprefix(BYTE_ORDER_MARK)
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except msgspec.ValidationError as error:
        try:
            return msgspec.convert(without_nulls(msgspec.json.decode(body)), shape, strict=False)
        except msgspec.ValidationError:
            raise unreadable(reply, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(reply, str(error)) from None


def without_nulls(value: Any, *empty: Any) -> Any:
    """Leave out what is null, or ``empty``: a counter or list that is null reads as one that is missing.

    A field that a reply must have is an error in both cases.
    """
    nothing = (None, *empty)
    if isinstance(value, dict):
        return {name: without_nulls(each, *empty) for name, each in value.items() if each not in nothing}
    if isinstance(value, list):
        return [without_nulls(each, *empty) for each in value if each not in nothing]
    return value


def unreadable(reply: Reply, problem: str) -> ServerFailed:
    """The error of a reply that cannot be read; its request may have been processed all the same."""
    return _error(ServerFailed, reply, None, f"the reply cannot be read ({scrub(problem)[:EXCERPT]})")


def checked(call: Call[T], reply: Reply) -> T:
    """Read a reply of success, as the call says; raise :class:`ApiError` for any other."""
    if 200 <= reply.status < (400 if call.redirects else 300):
        return call.read(reply)
    raise error_of(reply, call.product)


def error_of(reply: Reply, product: Product = "comms") -> ApiError:
    """Read the error that a reply describes, in any of Twilio's four shapes.

    They are the comms envelope (``errors``), the classic ``code, message, more_info``, Problem Details (RFC
    9457) and text, which is cut short. Problem Details of ``audiences`` count as Twilio's own without a code.
    """
    try:
        body = msgspec.json.decode(reply.body.removeprefix(BYTE_ORDER_MARK))
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
    own = product == "audiences" and _is_problem(body, reply.status)
    return _error(_class(reply.status, code, own), reply, code, detail, errors)


def _is_problem(body: Any, status: int) -> bool:
    """Tell Problem Details from other JSON: they repeat the status beside a title (RFC 9457, 3.1)."""
    return isinstance(body, dict) and isinstance(body.get("title"), str) and body.get("status") == status


def _listed(body: Any) -> list[dict[str, Any]]:
    """Read every error of an error body into one shape: code, message, more_info, context."""
    if not isinstance(body, dict):
        return []
    rows = body["errors"] if isinstance(body.get("errors"), list) and "type" not in body else [body]
    return [
        {
            "code": _code(row.get("code")),
            "message": scrub(
                str(row.get("message") or row.get("detail") or row.get("title") or "no message")
            ),
            "more_info": row.get("infoUrl") or row.get("more_info") or row.get("type"),
            "context": scrub(str(row["context"])) if row.get("context") not in (None, "null") else None,
        }
        for row in rows
        if isinstance(row, dict) and {"code", "message", "detail", "title"} & set(row)
    ]


def _code(value: Any) -> int | None:
    """Read an error code, which Twilio writes as a number; text of digits counts, true does not."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return value if type(value) is int else None


def _class(status: int, code: int | None, own: bool) -> type[ApiError]:
    own = own or error_codes.from_twilio(code)
    if status == 429 and own:
        return RateLimited
    if status in (401, 403):
        return AuthenticationFailed
    if own and 400 <= status < 500:
        return ApiError
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
    """Read the seconds to wait; a date counts from the reply's own Date, since there is no clock here."""
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
