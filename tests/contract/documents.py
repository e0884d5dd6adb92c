"""Twilio's OpenAPI documents, and the judgement they pass on a request or a reply."""

from __future__ import annotations

import copy
import json
import os
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
    "AVAILABLE",
    "MISSING",
    "Heard",
    "Operation",
    "Sent",
    "judge",
    "operation_of",
    "operations",
    "raw",
    "strangers",
]

_ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("TWILIO_SPECS") or _ROOT.parent / "shared" / "twilio" / "specs")
AVAILABLE = (SPECS / "api_v2010.json").is_file()
MISSING = "Twilio's OpenAPI documents are neither in ../shared/twilio/specs nor in $TWILIO_SPECS"

DOCUMENTS = {
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


def raw(product: str) -> dict[str, Any]:
    """A document as Twilio wrote it."""
    document: dict[str, Any] = json.loads((SPECS / f"{DOCUMENTS[product]}.json").read_text())
    return document


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
    """What validates requests and replies of a product."""
    # It rewrites what it is given, and the documents themselves are not ours to validate.
    return OpenAPI.from_dict(copy.deepcopy(_document(product)), config=Config(spec_validator_cls=None))


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation of every document."""
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    for product in DOCUMENTS:
        for template, item in _document(product)["paths"].items():
            for method, content in item.items():
                if method in ("get", "post", "put", "delete"):
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
