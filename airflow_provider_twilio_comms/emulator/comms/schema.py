"""Schema of ``POST /Messages``, and every rule that is checked before anything is sent."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT_PREFIX,
    SNAPSHOT_PREFIX,
    SNAPSHOT_RECIPIENT,
)
from airflow_provider_twilio_comms.emulator.comms.modules import (
    Media,
    Module,
    Strict,
    Text,
    given,
    problem_with,
)
from airflow_provider_twilio_comms.emulator.http import Problem

__all__ = ["Controls", "Counted", "From", "Send", "Tags", "check", "moment_of"]

MOST_ERRORS = 20  # of one reply
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SEND_AT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|z|[+-]\d\d:\d\d)?")
_ULID = r"[0-7][a-hjkmnpqrstv-z0-9]{25,34}\Z"

Variables = dict[str, str]
TagKey = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[a-zA-Z0-9._~-]+\Z")]
TagValue = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[a-zA-Z0-9._~-]+\Z|\{\{.*\}\}")]
Tags = Annotated[dict[TagKey, TagValue], Meta(max_length=10)]
Channel = Literal["SMS", "RCS", "EMAIL", "WHATSAPP", "PUSH"]
SenderId = Annotated[str, Meta(pattern=rf"\Acomms_sender_{_ULID}")]
PoolId = Annotated[str, Meta(pattern=rf"\Acomms_senderpool_{_ULID}")]


class Address(Strict, gc=False):
    address: Text
    channel: Literal["PHONE", "WHATSAPP"]


class Recipient(Strict, gc=False):
    address: Text | UnsetType = UNSET
    channel: Literal["PHONE", "WHATSAPP"] | UnsetType = UNSET
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    profile_id: Annotated[str, Meta(pattern=rf"\Amem_profile_{_ULID}")] | UnsetType = UNSET
    memory_store_id: Annotated[str, Meta(pattern=rf"\Amem_(store|service)_{_ULID}")] | UnsetType = UNSET
    cohort_id: Annotated[str, Meta(pattern=rf"\A{COHORT_PREFIX}{_ULID}")] | UnsetType = UNSET
    cohort_snapshot_id: Annotated[str, Meta(pattern=rf"\A{SNAPSHOT_PREFIX}{_ULID}")] | UnsetType = (
        msgspec.field(default=UNSET, name=SNAPSHOT_RECIPIENT)
    )
    variables: Variables | UnsetType = UNSET


class Priority(Strict):
    channel: Channel
    priority: Annotated[int, Meta(ge=0)]


class Controls(Strict):
    filter_in: list[Channel] | UnsetType = UNSET
    priority: list[Priority] | UnsetType = UNSET


class From(Strict):
    address: Text | UnsetType = UNSET
    channel: Literal["SMS", "RCS", "WHATSAPP"] | UnsetType = UNSET
    sender_id: SenderId | UnsetType = UNSET
    sender_pool_id: PoolId | UnsetType = UNSET
    channels: Controls | UnsetType = UNSET


class Body(Strict):
    """``content``"""

    text: Text | UnsetType = UNSET
    media: Annotated[list[Media], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    content_id: Annotated[str, Meta(pattern=r"\AHX[0-9a-zA-Z]{26,34}\Z")] | UnsetType = UNSET
    modules: Annotated[list[Module], Meta(min_length=1, max_length=4)] | UnsetType = UNSET


class Schedule(Strict):
    send_at: Annotated[list[str], Meta(min_length=1)]


class _Common(Strict, kw_only=True):
    content: Body
    from_: From | UnsetType = msgspec.field(default=UNSET, name="from")
    schedule: Schedule | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class Send(_Common, kw_only=True):
    to: Annotated[list[Recipient], Meta(min_length=1, max_length=10_000)]


class Counted(_Common, kw_only=True):
    """The body for the null sink, which does not parse recipients."""

    to: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=10_000)]


def check(request: Send | Counted, groups: bool = False) -> None:
    """Check a request; raises one 400 that lists every broken rule, up to ``MOST_ERRORS``.

    ``groups`` allows cohorts and snapshots as recipients, as preview does.
    """
    errors: list[tuple[int, str, str | None]] = []
    if isinstance(request, Send):
        for index, recipient in enumerate(request.to):
            if (problem := _problem_with(recipient, groups)) and len(errors) < MOST_ERRORS:
                code, text, where = problem
                errors.append((code, text, f"$.to[{index}]{where}"))
    if isinstance(request.from_, From) and not _one_form(request.from_):
        text = "from is an address with its channel, a senderId, or a senderPoolId with or without channels"
        errors.append((21603, text, "$.from"))
    errors += _problems_with_content(request.content)
    if isinstance(request.schedule, Schedule):
        for index, text in enumerate(request.schedule.send_at):
            if moment_of(text) is None:
                errors.append((35114, "Not an RFC 3339 time", f"$.schedule.sendAt[{index}]"))
    if errors:
        raise Problem.several(400, errors[:MOST_ERRORS])


def _problem_with(recipient: Recipient, groups: bool) -> tuple[int, str, str] | None:
    """Check a recipient: returns code, text and place of an error. Its forms exclude one another."""
    if recipient.address is not UNSET and recipient.channel is not UNSET:
        fine = _E164.fullmatch(recipient.address)
        forms = given(recipient, "addresses", *_STORED)
        if fine and not forms:
            return None
        if not forms:
            return 21211, "The address is not a phone number in E.164 form", ".address"
    names = set(given(recipient, "address", "channel", "addresses", *_STORED))
    if names == {"addresses"} and not isinstance(recipient.addresses, UnsetType):
        for index, each in enumerate(recipient.addresses):
            if not _E164.fullmatch(each.address):
                text = "The address is not a phone number in E.164 form"
                return 21211, text, f".addresses[{index}].address"
        return None
    if names == {"profile_id", "memory_store_id"} or (groups and names in _GROUPS):
        return None
    text = "A recipient is an address with its channel, addresses, or a profileId with its memoryStoreId"
    return 20001, text, ""


_STORED = ("profile_id", "memory_store_id", "cohort_id", "cohort_snapshot_id")
_GROUPS = ({"cohort_id"}, {"cohort_snapshot_id"})


def _one_form(sender: From) -> bool:
    names = set(given(sender, "address", "channel", "sender_id", "sender_pool_id", "channels"))
    return names in (
        {"address", "channel"},
        {"sender_id"},
        {"sender_pool_id"},
        {"sender_pool_id", "channels"},
    )


def _problems_with_content(content: Body) -> list[tuple[int, str, str | None]]:
    names = set(given(content, "text", "media", "content_id", "modules"))
    if not names or (len(names) > 1 and names != {"text", "media"}):
        text = "content is text or media or both, or a contentId, or modules"
        return [(21619, text, "$.content")]
    if isinstance(content.media, list):
        return [
            (21620, "A media url is an http or https address", f"$.content.media[{index}].url")
            for index, media in enumerate(content.media)
            if not re.match(r"https?://[^\s/]+|\{\{", media.url)
        ]
    problem = problem_with(content.modules) if isinstance(content.modules, list) else None
    return [(20001, problem, "$.content.modules")] if problem else []


def moment_of(text: str) -> float | None:
    """Read an entry of ``sendAt``, in UTC if it has no offset; None if it is not a time."""
    match = _SEND_AT.fullmatch(text)
    if match is None:
        return None
    offset = match[4] if match[4] and match[4] not in "Zz" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{match[1]}{match[2] or ':00'}{offset}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).timestamp() + float(match[3] or 0)
