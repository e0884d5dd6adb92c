"""Client of the emulator's core, without a network."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID, AUTH_TOKEN
from airflow_provider_twilio_comms.emulator.http import Request
from airflow_provider_twilio_comms.emulator.twilio import Twilio

__all__ = ["CoreClient", "message", "phone"]


def phone(address: str = "+12025550100", **variables: str) -> dict[str, Any]:
    """Build a recipient."""
    return {"address": address, "channel": "PHONE", **({"variables": variables} if variables else {})}


def message(*to: str | dict[str, Any], **others: Any) -> dict[str, Any]:
    """Build the body of a send, which is valid unless ``others`` change it."""
    recipients = [phone(each) if isinstance(each, str) else each for each in to or ("+12025550100",)]
    return {"to": recipients, "content": {"text": "Hello"}, **others}


class CoreClient:
    """A client of one emulator with one set of credentials (or none)."""

    def __init__(
        self, twilio: Twilio, credentials: tuple[str, str] | None = (ACCOUNT_SID, AUTH_TOKEN)
    ) -> None:
        self.twilio = twilio
        self.headers: dict[str, str] = {}
        if credentials:
            encoded = base64.b64encode(":".join(credentials).encode()).decode()
            self.headers["authorization"] = f"Basic {encoded}"

    def __call__(
        self, method: str, path: str, json: Any = None, *, form: Any = None, body: bytes = b"", **query: Any
    ) -> Reply:
        """Make a request; ``path`` begins with the product, as in ``/comms/v1/Messages``."""
        product, _, rest = path[1:].partition("/")
        headers = dict(self.headers)
        if json is not None or body:
            headers["content-type"] = "application/json"
            body = body or msgspec.json.encode(json)
        elif form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        pairs = [(name, str(value)) for name, value in query.items()]
        return self.twilio.handle(Request(method, product, f"/{rest}", pairs, headers, body))

    def get(self, path: str, **query: Any) -> Any:
        """Get JSON below ``/comms/v1``; the reply must be a 200."""
        reply = self("GET", f"/comms/v1{path}", **query)
        assert reply.status == 200, reply.body
        return reply.json()

    def send(self, *to: str | dict[str, Any], **others: Any) -> str:
        """Send; returns the operation's id."""
        reply = self("POST", "/comms/v1/Messages", message(*to, **others))
        assert reply.status == 202, reply.body
        operation_id: str = reply.json()["operationId"]
        return operation_id

    def operation(self, operation_id: str) -> Any:
        return self.get(f"/Messages/Operations/{operation_id}")

    def stats(self, operation_id: str) -> dict[str, int]:
        """Read the counters that are not 0."""
        return {name: count for name, count in self.operation(operation_id)["stats"].items() if count}

    def rows(self, **query: Any) -> list[Any]:
        """Read every row of a list of messages, page by page."""
        rows, token = [], None
        while True:
            page = self.get("/Messages", **query, **({"pageToken": token} if token else {}))
            rows += page["messages"]
            token = page["pagination"]["next"]
            if token is None:
                return rows
