"""The OpenAPI document of the Communications API, and the validation of replies against it."""

from __future__ import annotations

from typing import Any

from openapi_core import OpenAPI

from airflow_provider_twilio_comms.api.wire import Reply
from tests.contract import documents
from tests.contract.documents import OpenApiReply, OpenApiRequest

__all__ = ["document", "validate", "validator"]


def document() -> dict[str, Any]:
    return documents.document_of("comms")


def validator() -> OpenAPI:
    """Return the validator of requests and replies of the Communications API."""
    return documents.validator("comms")


def validate(method: str, path: str, reply: Reply) -> None:
    """Raise if the document does not allow a reply. ``path`` is the server's, version included."""
    asked = OpenApiRequest(method.lower(), "https://comms.twilio.com", path, "", None)
    validator().validate_response(asked, OpenApiReply.of(reply))
