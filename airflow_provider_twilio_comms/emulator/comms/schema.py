"""Schema of ``POST /Messages``, and every rule that is checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT_PREFIX,
    SNAPSHOT_PREFIX,
    SNAPSHOT_RECIPIENT,
)
from airflow_provider_twilio_comms.api.comms.messages import LATEST
from airflow_provider_twilio_comms.emulator.clock import moment_of
from airflow_provider_twilio_comms.emulator.comms.modules import (
    Closed,
    Media,
    Module,
    Strict,
    Text,
    given,
    problem_with,
)
from airflow_provider_twilio_comms.emulator.http import Problem

__all__ = ["Controls", "Counted", "From", "Send", "Tags", "check", "problem_with_controls"]

MOST_ERRORS = 20  # of one reply
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_ULID = r"[0-7][a-hjkmnpqrstv-z0-9]{25,34}\Z"

Variables = dict[str, str]
TagKey = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[a-zA-Z0-9._~-]+\Z")]
TagValue = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A[a-zA-Z0-9._~-]+\Z|\{\{.*\}\}")]
Tags = Annotated[dict[TagKey, TagValue], Meta(max_length=10)]
Channel = Literal["SMS", "RCS", "EMAIL", "WHATSAPP", "PUSH"]
SenderId = Annotated[str, Meta(pattern=rf"\Acomms_sender_{_ULID}")]
PoolId = Annotated[str, Meta(pattern=rf"\Acomms_senderpool_{_ULID}")]


class Address(Closed, gc=False):
    address: Text
    channel: Literal["PHONE", "WHATSAPP"]


class Recipient(Strict, gc=False):
    address: Text | UnsetType = UNSET
    channel: Literal["PHONE", "WHATSAPP"] | UnsetType = UNSET
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    profile_id: Annotated[str, Meta(pattern=rf"\Amem_profile_{_ULID}")] | UnsetType = UNSET
    memory_store_id: Annotated[str, Meta(pattern=rf"\Amem_store_{_ULID}")] | UnsetType = UNSET
    cohort_id: Annotated[str, Meta(pattern=rf"\A{COHORT_PREFIX}{_ULID}")] | UnsetType = UNSET
    cohort_snapshot_id: Annotated[str, Meta(pattern=rf"\A{SNAPSHOT_PREFIX}{_ULID}")] | UnsetType = (
        msgspec.field(default=UNSET, name=SNAPSHOT_RECIPIENT)
    )
    variables: Variables | UnsetType = UNSET

    @classmethod
    def is_closed(cls, given: Mapping[str, Any]) -> bool:
        return "address" in given


class Priority(Strict):
    channel: Channel
    priority: int


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
    media: list[Media] | UnsetType = UNSET
    content_id: Annotated[str, Meta(pattern=r"\AHX[0-9a-zA-Z]{26,34}\Z")] | UnsetType = UNSET
    modules: Annotated[list[Module], Meta(min_length=1, max_length=4)] | UnsetType = UNSET

    @classmethod
    def is_closed(cls, given: Mapping[str, Any]) -> bool:
        return "contentId" not in given and "modules" not in given


class Schedule(Closed):
    send_at: list[str]


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


def check(request: Send | Counted, now: float, strict: bool, groups: bool = False) -> None:
    """Check a request; raises one 400 that lists every broken rule, up to ``MOST_ERRORS``.

    Unless ``strict``, what Twilio's document leaves open is allowed. ``groups`` allows cohorts and snapshots
    as recipients, as preview does.
    """
    errors: list[tuple[int, str, str | None]] = []
    if isinstance(request, Send):
        for index, recipient in enumerate(request.to):
            if (problem := _problem_with(recipient, strict, groups)) and len(errors) < MOST_ERRORS:
                code, text, where = problem
                errors.append((code, text, f"$.to[{index}]{where}"))
    if isinstance(request.from_, From):
        errors += _problems_with_sender(request.from_, strict)
    errors += _problems_with_content(request.content, strict)
    if isinstance(request.schedule, Schedule):
        errors += _problems_with_schedule(request.schedule, now, strict)
    if errors:
        raise Problem.several(400, errors[:MOST_ERRORS])


def _problem_with(recipient: Recipient, strict: bool, groups: bool) -> tuple[int, str, str] | None:
    """Check a recipient: returns code, text and place of an error. Its forms exclude one another."""
    if recipient.address is not UNSET and recipient.channel is not UNSET:
        fine = _E164.fullmatch(recipient.address)
        forms = given(recipient, "addresses", *_STORED)
        if fine and not forms:
            return None
        if not forms:
            return 21211, "The address is not a phone number in E.164 form", ".address"
    names = set(given(recipient, "address", "channel", "addresses", *_STORED))
    if groups and names in _GROUPS:
        return None
    connected, profile = "addresses" in names, {"profile_id", "memory_store_id"} <= names
    exact = names in ({"addresses"}, {"profile_id", "memory_store_id"})
    if connected == profile or (not exact and (strict or "address" in names)):
        text = "A recipient is an address with its channel, addresses, or a profileId with its memoryStoreId"
        return 20001, text, ""
    for index, each in enumerate(recipient.addresses if isinstance(recipient.addresses, list) else ()):
        if not _E164.fullmatch(each.address):
            return 21211, "The address is not a phone number in E.164 form", f".addresses[{index}].address"
    return None


_STORED = ("profile_id", "memory_store_id", "cohort_id", "cohort_snapshot_id")
_GROUPS = ({"cohort_id"}, {"cohort_snapshot_id"})


def _problems_with_sender(sender: From, strict: bool) -> list[tuple[int, str, str | None]]:
    names = set(given(sender, "address", "channel", "sender_id", "sender_pool_id", "channels"))
    forms = [form for form in ({"address", "channel"}, {"sender_id"}, {"sender_pool_id"}) if form <= names]
    stray = names - forms[0] - ({"channels"} if "sender_pool_id" in forms[0] else set()) if forms else names
    if len(forms) != 1 or (strict and stray):
        text = "from is an address with its channel, a senderId, or a senderPoolId with or without channels"
        return [(21603, text, "$.from")]
    if isinstance(sender.channels, Controls):
        problem = problem_with_controls(sender.channels, ("SMS", "RCS", "WHATSAPP"), strict)
        return [(20001, problem, "$.from.channels")] if problem else []
    return []


def problem_with_controls(controls: Controls, known: tuple[str, ...], strict: bool) -> str | None:
    """Check the channels of a pool: known ones, none twice in the filter."""
    chosen = controls.filter_in if isinstance(controls.filter_in, list) else []
    order = controls.priority if isinstance(controls.priority, list) else []
    if not {*chosen, *(each.channel for each in order)} <= set(known):
        return f"A channel is one of {', '.join(known)}"
    if len(set(chosen)) < len(chosen):
        return "filterIn repeats a channel"
    return "A priority is 0 or more" if strict and any(each.priority < 0 for each in order) else None


def _problems_with_content(content: Body, strict: bool) -> list[tuple[int, str, str | None]]:
    names = set(given(content, "text", "media", "content_id", "modules"))
    rich = names & {"content_id", "modules"}
    if not names or len(rich) > 1 or (strict and rich and names != rich):
        text = "content is text or media or both, or a contentId, or modules"
        return [(21619, text, "$.content")]
    if strict and isinstance(content.media, list) and not 1 <= len(content.media) <= 10:
        return [(21623, "media are 1 to 10", "$.content.media")]
    if isinstance(content.media, list) and not rich:
        return [
            (21620, "A media url is an http or https address", f"$.content.media[{index}].url")
            for index, media in enumerate(content.media)
            if not re.match(r"https?://[^\s/]+|\{\{", media.url)
        ]
    problem = problem_with(content.modules, strict) if isinstance(content.modules, list) else None
    return [(20001, problem, "$.content.modules")] if problem else []


def _problems_with_schedule(
    schedule: Schedule, now: float, strict: bool
) -> list[tuple[int, str, str | None]]:
    if strict and not schedule.send_at:
        return [(35111, "sendAt is empty", "$.schedule.sendAt")]
    errors: list[tuple[int, str, str | None]] = []
    for index, text in enumerate(schedule.send_at):
        moment, where = moment_of(text), f"$.schedule.sendAt[{index}]"
        if moment is None:
            errors.append((35114, "Not an RFC 3339 time", where))
        elif moment - now > LATEST.total_seconds():
            errors.append((35115, "sendAt is more than 30 days ahead", where))
    return errors
