"""The OpenAPI document of the Communications API as a judge of replies."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters

from airflow_provider_twilio_comms.api.wire import Reply

__all__ = ["MISSING", "PRESENT", "QUARRELS", "document", "validate"]

_ROOT = Path(__file__).resolve().parents[2]
_SPECS = Path(os.environ.get("TWILIO_SPECS") or _ROOT.parent / "shared" / "twilio" / "specs")
PRESENT = (_SPECS / "comms.json").is_file()
MISSING = "no comms.json in ../shared/twilio/specs nor in $TWILIO_SPECS"

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
    loaded: dict[str, Any] = json.loads((_SPECS / "comms.json").read_text())
    return loaded


@cache
def _judge() -> OpenAPI:
    return OpenAPI.from_dict(json.loads(json.dumps(document())), config=Config(spec_validator_cls=None))


@dataclass
class _Asked:
    """What openapi-core wants to know of a request."""

    method: str
    path: str
    host_url: str = "https://comms.twilio.com"
    content_type: str = ""
    body: bytes | None = None
    parameters: RequestParameters = field(default_factory=RequestParameters)

    @property
    def full_url_pattern(self) -> str:
        return self.host_url + self.path


@dataclass
class _Answered:
    """What it wants to know of a reply."""

    status_code: int
    content_type: str
    headers: dict[str, str]
    data: bytes | None


def validate(method: str, path: str, reply: Reply) -> None:
    """Raises where the document does not allow this reply. ``path`` is the server's, version included."""
    answered = _Answered(
        reply.status,
        reply.headers.get("content-type", ""),
        dict(reply.headers),
        reply.body or None,
    )
    _judge().validate_response(_Asked(method.lower(), path), answered)
