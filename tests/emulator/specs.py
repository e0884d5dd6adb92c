"""The OpenAPI document of the Communications API, and the validation of replies against it."""

from __future__ import annotations

from functools import cache
from typing import Any

from openapi_core import OpenAPI

from airflow_provider_twilio_comms.api.wire import Reply
from tests.contract import documents
from tests.contract.documents import OpenApiReply, OpenApiRequest

__all__ = ["OMITTED", "document", "validate", "validator"]

# Operations of the document that the emulator does not have, with the reason.
OMITTED = {
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
def validator() -> OpenAPI:
    """Make the validator of requests and replies of the Communications API."""
    return documents.validator_of(document())


def validate(method: str, path: str, reply: Reply) -> None:
    """Raise if the document does not allow a reply. ``path`` is the server's, version included."""
    asked = OpenApiRequest(method.lower(), "https://comms.twilio.com", path, "", None)
    validator().validate_response(asked, OpenApiReply.of(reply))
