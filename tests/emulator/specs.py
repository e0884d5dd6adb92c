"""The OpenAPI document of the Communications API as a judge of replies."""

from __future__ import annotations

from functools import cache
from typing import Any

from openapi_core import OpenAPI

from airflow_provider_twilio_comms.api.wire import Reply
from tests.contract import documents
from tests.contract.documents import Heard, Sent

__all__ = ["QUARRELS", "document", "judge", "validate"]

# Operations of the document that the emulator does not speak, and why.
QUARRELS = {
    "sendEmails": "the Email API is a product of its own",
    "listEmails": "the Email API is a product of its own",
    "fetchEmail": "the Email API is a product of its own",
    "listEmailOperations": "the Email API is a product of its own",
    "fetchEmailOperation": "the Email API is a product of its own",
}


@cache
def document() -> dict[str, Any]:
    return documents.load("comms")


@cache
def judge() -> OpenAPI:
    """Validates requests and replies of the Communications API."""
    return documents.judge_by(document())


def validate(method: str, path: str, reply: Reply) -> None:
    """Raises where the document does not allow this reply. ``path`` is the server's, version included."""
    asked = Sent(method.lower(), "https://comms.twilio.com", path, "", None)
    judge().validate_response(asked, Heard.of(reply))
