"""Content templates: https://www.twilio.com/docs/content/content-api-resources

A template that is submitted to WhatsApp is received, then pending after a third of the pace, and approved at
its end; one whose name contains ``reject`` is rejected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms.api._forms import Paged
from airflow_provider_twilio_comms.api.content import Category, Language, TemplateName, Types, Variables
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, body_as, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Contents", "routes"]

routes: Routes = Routes("content", "/v1")


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    types: Types
    friendly_name: str | None = None
    language: Language | None = None
    variables: Variables | None = None


class _Submission(msgspec.Struct, forbid_unknown_fields=True):
    name: TemplateName
    category: Category
    allow_category_change: bool = True


_CHANGE, _SUBMISSION = msgspec.json.Decoder(_Change), msgspec.json.Decoder(_Submission)


@dataclass
class _Template:
    sid: str
    account_sid: str
    fields: dict[str, Any]
    created: float
    updated: float
    submission: _Submission | None = None
    submitted: float = 0.0
    pace: float = 0.0

    def view(self) -> dict[str, Any]:
        url = address("content", f"/v1/Content/{self.sid}")
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": "",
            "variables": {},
            **self.fields,
            "date_created": iso(self.created),
            "date_updated": iso(self.updated),
            "url": url,
            "links": {
                "approval_create": f"{url}/ApprovalRequests/whatsapp",
                "approval_fetch": f"{url}/ApprovalRequests",
            },
        }

    def approval(self, now: float) -> dict[str, Any]:
        asked = self.submission
        status = "unsubmitted"
        if asked:
            passed = now - self.submitted + 1e-6
            ended = "rejected" if "reject" in asked.name else "approved"
            status = "received" if passed < self.pace / 3 else "pending" if passed < self.pace else ended
        return {
            "type": "whatsapp",
            "name": asked.name if asked else "",
            "category": asked.category if asked else "",
            "content_type": next(iter(self.fields["types"])) if asked else "",
            "status": status,
            "rejection_reason": "It asks to be rejected" if status == "rejected" else "",
            "allow_category_change": asked.allow_category_change if asked else True,
        }


class Contents:
    """Every template by SID."""

    def __init__(self, twilio: State) -> None:
        self.by_sid: dict[str, _Template] = {}

    def get(self, sid: str) -> _Template:
        if sid not in self.by_sid:
            raise missing()
        return self.by_sid[sid]

    def body(self, values: dict[str, Any]) -> str:
        """Build the text of a message from a template, with sample texts for variables that are not given."""
        template = self.by_sid.get(values["content_sid"])
        if template is None:
            raise Problem(400, 21655, "The ContentSid does not exist")
        texts = {**(template.fields.get("variables") or {}), **(values.get("content_variables") or {})}
        body = str(next(iter(template.fields["types"].values())).get("body", ""))
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: texts.get(match[1], match[0]), body)


@routes("POST", "/Content")
def create(twilio: State, request: Request) -> Reply:
    change = body_as(request, _CHANGE)
    if change.language is None:
        raise Problem(400, 20001, "language is required")
    assert request.caller is not None
    now = twilio.clock.now()
    sid = f"HX{twilio.random.getrandbits(128):032x}"
    template = _Template(sid, request.caller.account_sid, _fields(change), now, now)
    twilio.part(Contents).by_sid[sid] = template
    return json_reply(template.view(), 201)


@routes("GET", "/Content")
def list_contents(twilio: State, request: Request) -> Reply:
    asked(request, Paged)
    return meta_page(request, "contents", [each.view() for each in twilio.part(Contents).by_sid.values()])


@routes("GET", "/ContentAndApprovals")
def list_with_approvals(twilio: State, request: Request) -> Reply:
    asked(request, Paged)
    now, rows = twilio.clock.now(), []
    for template in twilio.part(Contents).by_sid.values():
        row = {**template.view(), "approval_requests": template.approval(now)}
        del row["url"], row["links"], row["approval_requests"]["type"]
        rows.append(row)
    return meta_page(request, "contents", rows)


@routes("GET", "/Content/{Sid}")
def fetch(twilio: State, request: Request, sid: str) -> Reply:
    return json_reply(twilio.part(Contents).get(sid).view())


@routes("PUT", "/Content/{Sid}")
def update(twilio: State, request: Request, sid: str) -> Reply:
    template = twilio.part(Contents).get(sid)
    change = body_as(request, _CHANGE)
    if template.submission:
        raise Problem(409, 20409, "A template that was submitted for approval cannot be changed")
    template.fields.update(_fields(change))
    template.updated = twilio.clock.now()
    return json_reply(template.view())


@routes("DELETE", "/Content/{Sid}")
def delete(twilio: State, request: Request, sid: str) -> Reply:
    del twilio.part(Contents).by_sid[twilio.part(Contents).get(sid).sid]
    return Reply(204)


@routes("GET", "/Content/{Sid}/ApprovalRequests")
def approval(twilio: State, request: Request, sid: str) -> Reply:
    template = twilio.part(Contents).get(sid)
    return json_reply(
        {
            "sid": sid,
            "account_sid": template.account_sid,
            "whatsapp": template.approval(twilio.clock.now()),
            "url": address("content", f"/v1/Content/{sid}/ApprovalRequests"),
        }
    )


@routes("POST", "/Content/{ContentSid}/ApprovalRequests/whatsapp")
def submit(twilio: State, request: Request, content_sid: str) -> Reply:
    template = twilio.part(Contents).get(content_sid)
    submission = body_as(request, _SUBMISSION)
    if template.submission:
        raise Problem(409, 20409, "The template was submitted already")
    now = twilio.clock.now()
    template.submission, template.submitted, template.pace = submission, now, twilio.options.pace
    view = template.approval(now)
    del view["type"]
    return json_reply(view, 201)


def _fields(change: _Change) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
