"""Where Twilio's documents contradict themselves or their own API: each point by name, with its reason.

A quarrel is settled in the document before it judges, so that everything else about the same request or reply
is still judged. What the API does (its examples, its pages) wins over what the schema says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["OMITTED", "QUARRELS", "WITHOUT_OPERATION", "Quarrel"]

A = "/2010-04-01/Accounts/{AccountSid}"


class Quarrel(NamedTuple):
    """One point of one document, why it is wrong, and how it is put right."""

    product: str
    reason: str
    settle: Callable[[dict[str, Any]], None]


def _form(document: dict[str, Any], path: str) -> dict[str, Any]:
    body = document["paths"][path]["post"]["requestBody"]["content"]
    properties: dict[str, Any] = body["application/x-www-form-urlencoded"]["schema"]["properties"]
    return properties


def _days(path: str, field: str) -> Callable[[dict[str, Any]], None]:
    def settle(document: dict[str, Any]) -> None:
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"].rstrip("<>") == field:
                del parameter["schema"]["format"]

    return settle


def _tags(document: dict[str, Any]) -> None:
    _form(document, f"{A}/Messages.json")["Tags"] = {"type": "string"}


def _message_intent(document: dict[str, Any]) -> None:
    intents = (
        "otp notifications marketing fraud security customercare delivery education polling announcements"
    )
    _form(document, f"{A}/Messages.json")["MessageIntent"] = {
        "type": "string",
        "enum": [*intents.split(), "events"],
    }


QUARRELS = [
    Quarrel(
        "api",
        "DateSent filters are typed date-time, but the document's own examples filter by day (2008-01-02)",
        _days(f"{A}/Messages.json", "DateSent"),
    ),
    Quarrel(
        "api",
        "DateCreated filters are typed date-time, but the document's own examples filter by day",
        _days(f"{A}/Messages/{{MessageSid}}/Media.json", "DateCreated"),
    ),
    Quarrel("api", "Tags is in CreateMessage's example, not in its schema (pilot feature)", _tags),
    Quarrel("api", "MessageIntent came after the document (helper library 9.13.0)", _message_intent),
]

# Operations of the documents that have no function, each with its reason.
OMITTED = {
    "api.ListAccount": "administers subaccounts, and its reply carries the auth token of each",
    "api.CreateAccount": "administers subaccounts: not messaging",
    "api.UpdateAccount": "administers subaccounts: can close the account for good",
    "content.ListLegacyContent": "a view of templates made before this API; they cannot be sent by SID",
    "lookups.CreateBulkLookup": "private by the document's own marks",
    "messaging.CreateUsAppToPerson": "A2P 10DLC registration: done once, by a person, in the console",
    "messaging.ListUsAppToPerson": "A2P 10DLC registration",
    "messaging.FetchUsAppToPerson": "A2P 10DLC registration",
    "messaging.UpdateUsAppToPerson": "A2P 10DLC registration",
    "messaging.DeleteUsAppToPerson": "A2P 10DLC registration",
    "messaging.FetchUsAppToPersonUsecase": "A2P 10DLC registration",
}

# Functions that make a request which no document describes, each with its reason.
WITHOUT_OPERATION = {
    "media.download": "the file itself: the documents describe the JSON beside it only (contract, 1.3)",
}
