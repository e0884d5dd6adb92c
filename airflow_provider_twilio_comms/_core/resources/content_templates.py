"""A content template found or created by its name and content, and submitted to WhatsApp once.

The name at Twilio ends in a hash of the content, so that a retry finds what an earlier try has created, and
another content is another template: one that was submitted cannot be changed.
https://www.twilio.com/docs/content/content-api-resources
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.content import Approval, Category, Content
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, waited
from airflow_provider_twilio_comms.api.wire import Call
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import ApiError, ServerFailed, TransportFailed

CHECKS = (1.0, 2.0, 4.0, 8.0)  # seconds between looks for a template whose reply was lost
HASH = 12  # hexadecimal digits of the hash


@dataclass(frozen=True)
class Declared:
    """A declared template, and the category under which WhatsApp is asked to approve it, if any."""

    name: str
    types: Mapping[str, Mapping[str, Any]]
    language: str
    variables: Mapping[str, str] | None = None
    category: Category | None = None
    whatsapp_name: str | None = None

    @cached_property
    def hash(self) -> str:
        """A hash of what it says: types, language and sample variables."""
        marks = [self.types, self.language, self.variables or {}]
        return hashlib.sha256(msgspec.json.encode(marks, order="deterministic")).hexdigest()[:HASH]

    @property
    def friendly_name(self) -> str:
        return f"{self.name}_{self.hash}"

    @property
    def approval_name(self) -> str:
        """The name that WhatsApp gets: lower-case letters, digits and underscores."""
        return self.whatsapp_name or re.sub(r"[^a-z0-9_]+", "_", self.friendly_name.lower())

    def create(self) -> Call[Content]:
        """The request that creates it. Raises :class:`InvalidInput`."""
        return content.create(
            self.types, language=self.language, friendly_name=self.friendly_name, variables=self.variables
        )

    def submit(self, sid: str) -> Call[Approval]:
        """The request that submits it. Raises :class:`InvalidInput`."""
        assert self.category is not None
        return content.request_approval(sid, self.approval_name, self.category)

    def check(self) -> None:
        """Make every call that may be needed, to see that it can be made. Raises :class:`InvalidInput`."""
        self.create()
        if self.category is not None:
            self.submit(f"HX{0:032x}")


@dataclass
class Changes:
    """Changes that were made, or with a dry run would be; ``approval`` is WhatsApp's status, if asked for."""

    sid: str | None
    created: bool = False
    submitted: bool = False
    approval: str | None = None
    rejection_reason: str | None = None


def applied(declared: Declared, *, dry_run: bool) -> Flow[Changes]:
    """Find the template or create it, and submit it if that is declared and was not done before."""
    declared.check()
    template = yield from _found(declared)
    changes = Changes(template.sid if template else None, created=template is None)
    if template is None:
        if dry_run:
            changes.submitted = declared.category is not None
            return changes
        template = yield from _created(declared)
        changes.sid = template.sid
    if declared.category is not None:
        yield from _submitted(declared, template.sid, changes, dry_run)
    return changes


def _found(declared: Declared) -> Flow[Content | None]:
    """The template of this name and content; of several the one that was created first."""
    every = yield from every_item(content.list(page_size=1000))
    named = [each for each in every if each.friendly_name == declared.friendly_name]
    return min(named, key=lambda each: (str(each.date_created), each.sid), default=None)


def _created(declared: Declared) -> Flow[Content]:
    """Create it. Where the reply is lost, it is looked for before anybody may try again."""
    try:
        return (yield from made(declared.create()))
    except (ServerFailed, TransportFailed) as error:
        if untouched(error):
            raise
        for pause in CHECKS:
            yield from waited(pause)
            template = yield from _found(declared)
            if template is not None:
                return template
        raise


def _submitted(declared: Declared, sid: str, changes: Changes, dry_run: bool) -> Flow[None]:
    """Submit it, unless it was submitted before; a lost reply is made good by looking again."""
    approval = yield from made(content.approval(sid))
    if approval.status in (None, "unsubmitted"):
        changes.submitted = True
        if not dry_run:
            approval = yield from _asked(declared, sid)
    changes.approval, changes.rejection_reason = approval.status, approval.rejection_reason


def _asked(declared: Declared, sid: str) -> Flow[Approval]:
    try:
        return (yield from made(declared.submit(sid)))
    except (ServerFailed, TransportFailed) as error:
        if untouched(error):
            raise
        for pause in CHECKS:
            yield from waited(pause)
            approval = yield from made(content.approval(sid))
            if approval.status not in (None, "unsubmitted"):
                return approval
        raise
    except ApiError as error:
        if error.status != 409:  # it was submitted in the meantime
            raise
        return (yield from made(content.approval(sid)))
