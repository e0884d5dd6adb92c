"""Content templates: https://www.twilio.com/docs/content/content-api-resources

The only classic API that takes JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import ContentSid, Paged, pairs, valid
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = [
    "Approval",
    "Category",
    "Content",
    "Language",
    "TemplateName",
    "Types",
    "Variables",
    "approval",
    "create",
    "delete",
    "fetch",
    "list",
    "list_with_approvals",
    "request_approval",
    "update",
]

CONTENTS = "/v1/Content"
CONTENT = "/v1/Content/{Sid}"

Category = Literal["UTILITY", "MARKETING", "AUTHENTICATION"]
Types = Annotated[
    Mapping[
        Annotated[str, Meta(pattern=r"^(twilio|whatsapp)/[a-z-]+\Z")],
        Annotated[Mapping[str, Any], Meta(min_length=1)],
    ],
    Meta(min_length=1, description='a mapping such as {"twilio/text": {"body": "Hello {{1}}"}}'),
]
Variables = Annotated[Mapping[str, str], Meta(description='sample texts by name, such as {"1": "Ada"}')]
Language = Annotated[
    str, Meta(pattern=r"^[a-z]{2,3}(_[A-Z]{2,3})?\Z", description="a code such as en or en_US")
]
# https://www.twilio.com/docs/content/approval-requests: WhatsApp's own rule for names
TemplateName = Annotated[
    str, Meta(pattern=r"^[a-z0-9_]{1,512}\Z", description="lower-case letters, digits and underscores")
]


class Content(Resource, frozen=True):
    """A content template. ``approval_requests`` is set only if it was listed with approvals."""

    sid: str
    friendly_name: str | None = None
    language: str | None = None
    variables: dict[str, Any] | None = None
    types: dict[str, Any] | None = None
    approval_requests: dict[str, Any] | None = None
    account_sid: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Approval(Resource, frozen=True):
    """WhatsApp's approval of a template."""

    name: str | None = None
    category: str | None = None
    content_type: str | None = None
    status: str | None = None  # unsubmitted, received, pending, approved, rejected, paused, disabled
    rejection_reason: str | None = None
    allow_category_change: bool | None = None


class _Approvals(Resource, frozen=True):
    sid: str
    whatsapp: Approval | None = None


def create(
    types: Mapping[str, Mapping[str, Any]],
    *,
    language: str,
    friendly_name: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Call[Content]:
    """Create a template: ``POST /v1/Content``."""
    body = _body(types, friendly_name, variables, valid("language", language, Language))
    return Call("POST", CONTENTS, one(Content), "content", json=body)


def list(**paging: Unpack[Paged]) -> Call[Page[Content]]:
    """List templates: ``GET /v1/Content``."""
    return paged(Call("GET", CONTENTS, nothing, "content", query=pairs(Paged, paging)), "contents", Content)


def list_with_approvals(**paging: Unpack[Paged]) -> Call[Page[Content]]:
    """List templates with their WhatsApp approvals: ``GET /v1/ContentAndApprovals``."""
    call = Call("GET", "/v1/ContentAndApprovals", nothing, "content", query=pairs(Paged, paging))
    return paged(call, "contents", Content)


def fetch(sid: ContentSid) -> Call[Content]:
    """Read a template: ``GET /v1/Content/{Sid}``."""
    return Call("GET", CONTENT, one(Content), "content", _at(sid))


def update(
    sid: ContentSid,
    types: Mapping[str, Mapping[str, Any]],
    *,
    language: str | None = None,
    friendly_name: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Call[Content]:
    """Replace a template that was not submitted for approval: ``PUT /v1/Content/{Sid}``."""
    body = _body(types, friendly_name, variables, language and valid("language", language, Language))
    return Call("PUT", CONTENT, one(Content), "content", _at(sid), json=body)


def delete(sid: ContentSid) -> Call[None]:
    """Delete a template: ``DELETE /v1/Content/{Sid}``."""
    return Call("DELETE", CONTENT, nothing, "content", _at(sid))


def approval(sid: ContentSid) -> Call[Approval]:
    """Read WhatsApp's approval of a template: ``GET /v1/Content/{Sid}/ApprovalRequests``."""
    read = one(_Approvals)
    return Call(
        "GET",
        "/v1/Content/{Sid}/ApprovalRequests",
        lambda reply: read(reply).whatsapp or Approval(status="unsubmitted"),
        "content",
        _at(sid),
    )


def request_approval(
    sid: ContentSid, name: str, category: Category, *, allow_category_change: bool | None = None
) -> Call[Approval]:
    """Submit a template to WhatsApp: ``POST /v1/Content/{ContentSid}/ApprovalRequests/whatsapp``.

    With ``allow_category_change`` False, WhatsApp rejects a template that it would put into another, perhaps
    dearer, category; left out, it may change it. Twilio's document names the field in replies only, so that
    a request sets it is an assumption.
    """
    body: dict[str, Any] = {
        "name": valid("name", name, TemplateName),
        "category": valid("category", category, Category),
    }
    if allow_category_change is not None:
        body["allow_category_change"] = valid("allow_category_change", allow_category_change, bool)
    return Call(
        "POST",
        "/v1/Content/{ContentSid}/ApprovalRequests/whatsapp",
        one(Approval),
        "content",
        {"ContentSid": valid("sid", sid, ContentSid)},
        json=body,
    )


def _body(types: Any, friendly_name: Any, variables: Any, language: str | None) -> dict[str, Any]:
    body = {
        "friendly_name": None if friendly_name is None else valid("friendly_name", friendly_name, str),
        "language": language,
        "variables": None if variables is None else valid("variables", variables, Variables),
        "types": valid("types", types, Types),
    }
    return {name: value for name, value in body.items() if value is not None}


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, ContentSid)}
