"""Twilio's OpenAPI documents, and the validation of requests and replies against them.

The documents are in ``specs``, beside this module; their README names the sources and what was left out.
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
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import ImmutableMultiDict

from airflow_provider_twilio_comms.api.wire import Call, Reply
from airflow_provider_twilio_comms.emulator.http import Request
from tests.contract.disagreements import DISAGREEMENTS

__all__ = [
    "CLASSIC",
    "DOCUMENTS",
    "EXAMPLE_REPLIES",
    "EXAMPLE_REQUESTS",
    "METHODS",
    "ROOT",
    "SPECS",
    "OpenApiReply",
    "OpenApiRequest",
    "Operation",
    "document_of",
    "example_replies",
    "example_requests",
    "load",
    "operation_of",
    "operations",
    "raw",
    "unknown_fields",
    "validator",
    "validator_of",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SPECS = HERE / "specs"
EXAMPLE_REPLIES = HERE / "example_replies.json"
EXAMPLE_REQUESTS = HERE / "example_requests.json"
METHODS = ("get", "post", "put", "patch", "delete")

# Documents of the classic generation, by product.
CLASSIC = {
    "api": "api_v2010",
    "content": "content_v1",
    "lookups": "lookups_v2",
    "messaging": "messaging_v1",
    "pricing": "pricing_v1",
}
# All documents that judge, by product.
DOCUMENTS = {**CLASSIC, "comms": "comms_v1"}


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
class OpenApiRequest:
    """A request in the form that openapi-core validates."""

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
    def of(cls, call: Call[Any], account_sid: str) -> OpenApiRequest:
        content_type, body = call.content()
        host = f"https://{call.product}.twilio.com"
        return cls(call.method.lower(), host, call.target(account_sid), content_type or "", body)

    @classmethod
    def received(cls, request: Request) -> OpenApiRequest:
        """A request as the emulator received it."""
        target = quote(request.path) + (f"?{urlencode(request.query)}" if request.query else "")
        host = f"https://{request.product}.twilio.com"
        content_type = request.headers.get("content-type", "")
        return cls(request.method.lower(), host, target, content_type, request.body or None)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def full_url_pattern(self) -> str:
        return self.host_url + self.path


@dataclass(frozen=True)
class OpenApiReply:
    """A reply in the form that openapi-core validates."""

    status_code: int
    content_type: str
    headers: Any
    data: bytes | None

    @classmethod
    def of(cls, reply: Reply) -> OpenApiReply:
        return cls(reply.status, reply.headers.get("content-type", ""), reply.headers, reply.body)


def load(name: str) -> dict[str, Any]:
    """Read a document by the name of its file, a new copy each time."""
    document: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text("utf-8"))
    return document


def validator_of(document: dict[str, Any]) -> OpenAPI:
    """Make a validator of requests and replies from a document."""
    # It changes its argument, and the documents themselves are not ours to validate.
    return OpenAPI.from_dict(copy.deepcopy(document), config=Config(spec_validator_cls=None))


def raw(product: str) -> dict[str, Any]:
    """Read a product's document without corrections."""
    return load(DOCUMENTS[product])


@cache
def example_replies() -> dict[str, dict[str, dict[str, Any]]]:
    """Read the example replies of the documents, by an operation's key, status and name."""
    replies: dict[str, dict[str, dict[str, Any]]] = json.loads(EXAMPLE_REPLIES.read_text("utf-8"))
    return replies


@cache
def example_requests() -> dict[str, dict[str, Any]]:
    """Read the example requests of the documents, by an operation's key and name."""
    requests: dict[str, dict[str, Any]] = json.loads(EXAMPLE_REQUESTS.read_text("utf-8"))
    return requests


@cache
def document_of(product: str) -> dict[str, Any]:
    """Read a document and correct its errors."""
    document = raw(product)
    for disagreement in DISAGREEMENTS:
        if disagreement.product == product:
            disagreement.correct(document)
    return document


@cache
def validator(product: str) -> OpenAPI:
    """Make the validator of a product's requests and replies."""
    return validator_of(document_of(product))


@cache
def operations(*products: str) -> tuple[Operation, ...]:
    """List every operation of the documents of some products, by default the classic ones."""
    return tuple(_operations(products or tuple(CLASSIC)))


def _operations(products: tuple[str, ...]) -> Iterator[Operation]:
    for product in products:
        for template, item in document_of(product)["paths"].items():
            for method, content in item.items():
                if method in METHODS:
                    yield Operation(product, method.upper(), template, content["operationId"], content)


def operation_of(call: Call[Any], account_sid: str) -> Operation | None:
    """Find the operation of a call: if several match, the one with the fewest placeholders."""
    path = urlsplit(call.target(account_sid)).path
    matching = [
        operation
        for operation in operations()
        if (operation.product, operation.method) == (call.product, call.method)
        and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.template)), path)
    ]
    return min(matching, key=lambda operation: operation.template.count("{"), default=None)


def unknown_fields(call: Call[Any], operation: Operation) -> set[str]:
    """Find the fields of a call that its operation does not define: OpenAPI itself would allow them."""
    parameters = {parameter["name"] for parameter in operation.content.get("parameters", ())}
    sent = {name for name, _ in call.query} - parameters
    for body in operation.content.get("requestBody", {}).get("content", {}).values():
        given = call.json if call.json is not None else dict(call.form or ())
        sent |= set(given) - set(_resolved(operation.product, body["schema"])["properties"])
    return sent


def _resolved(product: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document_of(product)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
