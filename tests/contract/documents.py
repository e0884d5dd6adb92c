"""Twilio's OpenAPI documents, and the judgement they pass on a request or a reply.

The documents are in ``specs``, beside this module; their README says whose they are and what was left out.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import ImmutableMultiDict

from airflow_provider_twilio_comms.api.wire import Call, Reply
from tests.contract.disagreements import QUARRELS

__all__ = [
    "CLASSIC",
    "EXAMPLE_REPLIES",
    "METHODS",
    "ROOT",
    "SPECS",
    "Heard",
    "Operation",
    "Sent",
    "example_replies",
    "judge",
    "judge_by",
    "load",
    "operation_of",
    "operations",
    "raw",
    "strangers",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SPECS = HERE / "specs"
EXAMPLE_REPLIES = HERE / "example_replies.json"
METHODS = ("get", "post", "put", "patch", "delete")

# Documents of the classic generation, by product.
CLASSIC = {
    "api": "api_v2010",
    "content": "content_v1",
    "lookups": "lookups_v2",
    "messaging": "messaging_v1",
    "pricing": "pricing_v1",
}


class Operation(NamedTuple):
    """One operation of a document."""

    product: str
    method: str
    template: str
    id: str
    content: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Operation ids repeat: every document has its own ``ListPhoneNumber``."""
        return f"{self.product}.{self.id}"


@dataclass
class Sent:
    """A call as it goes over the wire, in the shape that openapi-core judges."""

    method: str
    host_url: str
    target: str
    content_type: str
    body: bytes | None
    parameters: RequestParameters = field(init=False)

    def __post_init__(self) -> None:
        query = ImmutableMultiDict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))
        self.parameters = RequestParameters(query=query, header={"Authorization": "Basic QTpi"})

    @classmethod
    def of(cls, call: Call[Any], account_sid: str) -> Sent:
        content_type, body = call.content()
        host = f"https://{call.product}.twilio.com"
        return cls(call.method.lower(), host, call.target(account_sid), content_type or "", body)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def full_url_pattern(self) -> str:
        return self.host_url + self.path


@dataclass(frozen=True)
class Heard:
    """A reply, in the shape that openapi-core judges."""

    status_code: int
    content_type: str
    headers: Any
    data: bytes | None

    @classmethod
    def of(cls, reply: Reply) -> Heard:
        return cls(reply.status, reply.headers.get("content-type", ""), reply.headers, reply.body)


def load(name: str) -> dict[str, Any]:
    """A document by its file's name, a fresh copy each time."""
    document: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text("utf-8"))
    return document


def judge_by(document: dict[str, Any]) -> OpenAPI:
    """Validates requests and replies against a document."""
    # It rewrites what it is given, and the documents themselves are not ours to validate.
    return OpenAPI.from_dict(copy.deepcopy(document), config=Config(spec_validator_cls=None))


def raw(product: str) -> dict[str, Any]:
    """A product's document with its faults."""
    return load(CLASSIC[product])


@cache
def example_replies() -> dict[str, dict[str, dict[str, Any]]]:
    """Replies of the shapes that the documents show: by an operation's key, status and name."""
    replies: dict[str, dict[str, dict[str, Any]]] = json.loads(EXAMPLE_REPLIES.read_text("utf-8"))
    return replies


@cache
def _document(product: str) -> dict[str, Any]:
    """A document, with the quarrels settled in it."""
    document = raw(product)
    for quarrel in QUARRELS:
        if quarrel.product == product:
            quarrel.settle(document)
    return document


@cache
def judge(product: str) -> OpenAPI:
    """Validates requests and replies of a product."""
    return judge_by(_document(product))


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation of every document."""
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    for product in CLASSIC:
        for template, item in _document(product)["paths"].items():
            for method, content in item.items():
                if method in METHODS:
                    yield Operation(product, method.upper(), template, content["operationId"], content)


def operation_of(call: Call[Any], account_sid: str) -> Operation | None:
    """The operation that a call makes: the one with the fewest placeholders, where several match."""
    path = urlsplit(call.target(account_sid)).path
    matching = [
        operation
        for operation in operations()
        if (operation.product, operation.method) == (call.product, call.method)
        and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.template)), path)
    ]
    return min(matching, key=lambda operation: operation.template.count("{"), default=None)


def strangers(call: Call[Any], operation: Operation) -> set[str]:
    """The fields of a call that its operation does not know: OpenAPI itself would let them pass."""
    parameters = {parameter["name"] for parameter in operation.content.get("parameters", ())}
    sent = {name for name, _ in call.query} - parameters
    for body in operation.content.get("requestBody", {}).get("content", {}).values():
        given = call.json if call.json is not None else dict(call.form or ())
        sent |= set(given) - set(_resolved(operation.product, body["schema"])["properties"])
    return sent


def _resolved(product: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _document(product)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
