"""Disagreements between Twilio's OpenAPI documents and its API or examples, each with its reason.

Each is corrected in the document before it validates, so that everything else about the same request or reply
is still validated. The API's behaviour (its examples, its pages) takes precedence over the schema. Where the
emulator differs from Twilio stands in ``deviations.py``; the documentation shows both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["DISAGREEMENTS", "OMITTED", "OMITTED_PARAMETERS", "WITHOUT_OPERATION", "Disagreement"]

A = "/2010-04-01/Accounts/{AccountSid}"


class Disagreement(NamedTuple):
    """One error in one document, with the reason and its correction."""

    product: str
    reason: str
    correct: Callable[[dict[str, Any]], None]


def _form(document: dict[str, Any], path: str) -> dict[str, Any]:
    body = document["paths"][path]["post"]["requestBody"]["content"]
    properties: dict[str, Any] = body["application/x-www-form-urlencoded"]["schema"]["properties"]
    return properties


def _days(path: str, field: str) -> Callable[[dict[str, Any]], None]:
    def correct(document: dict[str, Any]) -> None:
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"].rstrip("<>") == field:
                del parameter["schema"]["format"]

    return correct


def _schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Find every schema with properties in a document, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _schemas(each)


def _text(*fields: str) -> Callable[[dict[str, Any]], None]:
    """Allow text for numbers that the API writes as text."""

    def correct(document: dict[str, Any]) -> None:
        for schema in _schemas(document["components"]):
            for name in set(fields) & set(schema["properties"]):
                schema["properties"][name]["type"] = "string"

    return correct


def _or_empty(*fields: str) -> Callable[[dict[str, Any]], None]:
    """Allow empty text for SIDs."""

    def correct(document: dict[str, Any]) -> None:
        for schema in _schemas(document["components"]):
            for name in set(fields) & set(schema["properties"]):
                inner = schema["properties"][name]
                del inner["minLength"]
                inner["pattern"] += "|^$"

    return correct


def _nullable(document: dict[str, Any]) -> None:
    """Allow null for every field of every reply, and for the objects that it refers to."""
    for schema in _schemas(document["components"]):
        schema["nullable"] = True
        for inner in schema["properties"].values():
            inner.setdefault("nullable", True)


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


_ERRORS = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/TwilioErrors"}}}}


def _not_admitted(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for method, operation in item.items():
            if method != "parameters":
                operation["responses"] |= {"401": _ERRORS, "403": _ERRORS}


def _name_exists(document: dict[str, Any]) -> None:
    document["paths"]["/SenderPools"]["post"]["responses"]["409"] = _ERRORS


def _liquid_in_tags(document: dict[str, Any]) -> None:
    values = document["components"]["schemas"]["Tags"]["additionalProperties"]
    values["pattern"] += r"|\{\{.*\}\}"


def _declared(schema: str, field: str, kind: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def correct(document: dict[str, Any]) -> None:
        document["components"]["schemas"][schema]["properties"][field] = kind

    return correct


def _either_form(document: dict[str, Any]) -> None:
    body = document["paths"]["/Senders/Resolve"]["post"]["requestBody"]["content"]["application/json"]
    body["schema"]["anyOf"] = body["schema"].pop("oneOf")


def _preview_too(document: dict[str, Any]) -> None:
    document["servers"].append({"url": "https://comms.twilio.com/preview"})


def _category_change(document: dict[str, Any]) -> None:
    properties = document["components"]["schemas"]["ContentApprovalRequest"]["properties"]
    properties["allow_category_change"] = {"type": "boolean"}


def _bare_acceptance(document: dict[str, Any]) -> None:
    for path in ("/Messages", "/SenderPools", "/SenderPools/{senderPoolId}/Senders"):
        accepted = document["paths"][path]["post"]["responses"]["202"]
        accepted["headers"] = {"operationId": {"schema": {"type": "string"}}}


DISAGREEMENTS = [
    Disagreement(
        "comms",
        "401 and 403 are not described; 401 was seen without credentials (contract, 1)",
        _not_admitted,
    ),
    Disagreement(
        "comms",
        "409 is not described for a pool whose name exists; a page of the resource names it (contract, 4)",
        _name_exists,
    ),
    Disagreement(
        "comms",
        "the pattern of a tag's value forbids Liquid, the text of the same schema allows it (contract, 2.1)",
        _liquid_in_tags,
    ),
    Disagreement(
        "comms",
        "deletedAt is required of a message without being declared; the examples have null",
        _declared("MessageBase", "deletedAt", {"type": ["string", "null"]}),
    ),
    Disagreement(
        "comms",
        "stats.attempts is required of an operation without being declared; the examples have a count",
        _declared("MessageOperationStats", "attempts", {"type": "integer", "minimum": 0}),
    ),
    Disagreement(
        "comms",
        "the forms of Resolve are exclusive and open, so that one object of senderAddresses matches both",
        _either_form,
    ),
    Disagreement(
        "comms",
        "the document of v1 names one server; the paths of preview that we use are the same (contract, 8)",
        _preview_too,
    ),
    Disagreement(
        "comms",
        "a 202 has a body and Location; pages older than the document have a bare header operationId",
        _bare_acceptance,
    ),
    Disagreement(
        "api",
        "DateSent filters are typed date-time, but the document's own examples filter by day (2008-01-02)",
        _days(f"{A}/Messages.json", "DateSent"),
    ),
    Disagreement(
        "api",
        "DateCreated filters are typed date-time, but the document's own examples filter by day",
        _days(f"{A}/Messages/{{MessageSid}}/Media.json", "DateCreated"),
    ),
    Disagreement("api", "Tags is in CreateMessage's example, not in its schema (pilot feature)", _tags),
    Disagreement("api", "MessageIntent came after the document (helper library 9.13.0)", _message_intent),
    Disagreement(
        "api",
        "latitude and longitude of available numbers are typed number; the examples have text",
        _text("latitude", "longitude"),
    ),
    Disagreement(
        "api",
        "application SIDs of numbers must be SIDs; the examples have '' for none",
        _or_empty("sms_application_sid", "voice_application_sid"),
    ),
    Disagreement("api", "price of usage records is typed number; the examples have text", _text("price")),
    Disagreement(
        "content",
        "allow_category_change is in replies only, true or false: assumed that a request sets it",
        _category_change,
    ),
    Disagreement(
        "pricing",
        "base_price and current_price are typed number; the examples have text",
        _text("base_price", "current_price"),
    ),
    Disagreement(
        "lookups",
        "packages and their fields are typed without null; the examples have null for all that was not asked",
        _nullable,
    ),
]

# Operations of the documents that have no function, each with its reason.
OMITTED = {
    "api.CreateAccount": "administers subaccounts: not messaging",
    "api.UpdateAccount": "administers subaccounts: can close the account for good",
    "content.ListLegacyContent": "a view of templates made before this API; they cannot be sent by SID",
    "lookups.CreateBulkLookup": "private by the document's own marks, and packages cost money for each "
    "number: a mapped task with lookups.fetch does the same where it is meant",
    "messaging.CreateUsAppToPerson": "A2P 10DLC registration: done once, by a person, in the console",
    "messaging.ListUsAppToPerson": "A2P 10DLC registration",
    "messaging.FetchUsAppToPerson": "A2P 10DLC registration",
    "messaging.UpdateUsAppToPerson": "A2P 10DLC registration",
    "messaging.DeleteUsAppToPerson": "A2P 10DLC registration",
    "messaging.FetchUsAppToPersonUsecase": "A2P 10DLC registration",
}

# Parameters that are known and cannot be given, each with its reason.
OMITTED_PARAMETERS = {
    "oauth: `scope`, `audience`, `account_sid`": "an OAuth app has its scopes and its account from the "
    "console; a subaccount is reached with its own API key, or with `account_sid` in the connection",
    "oauth: `code`, `redirect_uri`, `refresh_token`, `code_verifier`": "for the log-in of a person, which a "
    "pipeline has not",
    "content approval: `send_ttl_seconds`, `bid_amount`": "in the official clients only, described nowhere",
    "usage: `StartDate=-30days` and other offsets": "an offset from Twilio's today makes a run that is "
    "repeated read other days; a template gives the day: `{{ ds }}`",
}

# Functions whose request no document describes, each with its reason.
WITHOUT_OPERATION = {
    "media.download": "the file itself: the documents describe the JSON beside it only (contract, 1.3)",
}
