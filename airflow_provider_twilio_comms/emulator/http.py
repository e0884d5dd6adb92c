"""Requests and replies of the emulator, with the error formats of both generations of the API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote_plus

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply

__all__ = [
    "Caller",
    "Problem",
    "Request",
    "address",
    "body_as",
    "form",
    "json_reply",
    "problem_reply",
    "spelled",
]

T = TypeVar("T")


class Caller(NamedTuple):
    """The account and credentials of a request."""

    account_sid: str
    kind: Literal["token", "main", "standard", "restricted", "test", "suspended", "oauth"]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request. ``product`` is the first segment of the server's path (``comms``, ``api``), ``path`` is the
    rest, version included; header names are lower case. The core sets ``caller`` when it is authenticated,
    and ``strict`` by the option ``mode``: unless it is set, what Twilio would ignore is ignored.
    """

    method: str
    product: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller | None = None
    strict: bool = True

    def __repr__(self) -> str:
        return f"<Request {self.method} /{self.product}{self.path}>"

    def by(self, caller: Caller | None, strict: bool) -> Request:
        """The same request, once its caller is known."""
        known = (self.method, self.product, self.path, self.query, self.headers, self.body)
        return Request(*known, caller, strict)

    @property
    def values(self) -> dict[str, str]:
        """The query as a mapping; a repeated key has its last value."""
        return dict(self.query)


class Problem(Exception):
    """A 4xx or 5xx reply. ``errors`` are ``(code, message, context)``; only some formats can hold several."""

    def __init__(self, status: int, code: int, message: str, context: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[tuple[int, str, str | None]] = [(code, message, context)]
        self.headers: dict[str, str] = {}
        self.body: dict[str, Any] | None = None  # in place of an error's

    @classmethod
    def several(cls, status: int, errors: Sequence[tuple[int, str, str | None]]) -> Problem:
        problem = cls(status, *errors[0])
        problem.errors = list(errors)
        return problem


def address(product: str, path: str) -> str:
    """Build a full address, as replies contain them. It is ``.invalid`` on purpose: a client that follows it
    instead of using its configured host fails at once, and no credentials leave the machine.
    """
    return f"https://{product}.twilio.invalid{path}"


def json_reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, {"content-type": "application/json", **(headers or {})}, msgspec.json.encode(body))


def problem_reply(product: str, problem: Problem, path: str = "") -> Reply:
    """Build an error reply: ``{"errors": [...]}`` for comms, Problem Details (RFC 9457) for audiences,
    ``{code, message, ...}`` for other products.

    The latter's 404 names the path, which may hold a phone number: a client must not show it.
    """
    info = "https://www.twilio.com/docs/errors/"
    body: dict[str, Any]
    if product == "comms":
        body = {
            "errors": [
                {"code": code, "message": message, "infoUrl": f"{info}{code}", "context": context}
                for code, message, context in problem.errors
            ]
        }
    elif product == "audiences":  # no code: only the 429 is documented, without one
        _, title, detail = problem.errors[0]
        body = {"title": title, "status": problem.status, "detail": detail or title}
    elif problem.body is not None:
        body = problem.body
    else:
        code, message, _ = problem.errors[0]
        if (problem.status, code) == (404, 20404) and path:
            message = f"The requested resource {path} was not found"
        body = {"code": code, "message": message, "more_info": f"{info}{code}", "status": problem.status}
    return json_reply(body, problem.status, problem.headers)


def body_as(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode the JSON body. Raises a 400 that names the place of the error (``$.to[3].address``)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(400, 20001, "Content-Type must be application/json")
    try:
        return decoder.decode(request.body)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        context = where.rstrip("`").rpartition("`")[2]  # `$.to[0]`, or of a key: `key` in `$.tags`
        raise Problem(400, 20001, text, context or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, 20001, f"The body is not JSON: {error}", "$") from None


def form(request: Request) -> list[tuple[str, str]]:
    """Parse a form body into pairs, empty values included; Twilio takes multipart too."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return _multipart(kind, request.body)
    if request.body and not kind.startswith("application/x-www-form-urlencoded"):
        raise Problem(400, 20001, "Content-Type must be application/x-www-form-urlencoded")
    parts = (part.partition("=") for part in request.body.decode("utf-8", "replace").split("&") if part)
    return [(_plain(name), _plain(value)) for name, _, value in parts]


def _plain(text: str) -> str:
    """Decode a part of a form. Most need none, which a parser of forms is slow to see."""
    return unquote_plus(text) if "%" in text or "+" in text else text


def _multipart(kind: str, body: bytes) -> list[tuple[str, str]]:
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=HTTP)
    pairs = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if not isinstance(name, str) or part.get_filename() or not isinstance(content, bytes):
            raise Problem(400, 20001, "A part of the form is not a field")
        pairs.append((name, content.decode("utf-8", "replace")))
    return pairs


def spelled(name: str) -> str:
    """Convert a name to snake_case: ``operationId`` and ``AccountSid`` become ``operation_id`` ..."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
