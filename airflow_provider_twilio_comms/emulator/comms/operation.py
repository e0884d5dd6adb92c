"""An operation, that is one accepted ``POST /Messages``: its messages in columns, and their statuses."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_twilio_comms.emulator.comms.content import Content
from airflow_provider_twilio_comms.emulator.comms.ids import key_of
from airflow_provider_twilio_comms.emulator.comms.timeline import Fronts, Plan, Timeline

__all__ = ["COUNTERS", "Operation", "Party", "Recipients", "Source"]

COUNTERS = (
    *("total", "recipients", "attempts", "unaddressable", "scheduled", "queued"),
    *("sent", "delivered", "read", "undelivered", "failed", "canceled"),
)


@dataclass(frozen=True, slots=True)
class Party:
    """The address and channel of a recipient in a request: ``PHONE`` or ``WHATSAPP``."""

    address: str
    channel: str


@dataclass(frozen=True, slots=True)
class Source:
    """A sender that an operation may use."""

    address: str
    channel: str
    sender_id: str | None

    def view(self, pool: str | None = None) -> dict[str, Any]:
        view: dict[str, Any] = {"address": self.address, "channel": self.channel}
        if self.sender_id:
            view["senderId"] = self.sender_id
        return {**view, "senderPoolId": pool} if pool else view


class Recipients:
    """The recipients of an operation, column by column: a million take about 200 MB, variables included.

    Only recipients with several addresses, another channel than PHONE, or a profile are in ``others``.
    """

    __slots__ = ("_variables", "addresses", "members", "others", "plan_of", "plans", "profiles")

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.others: dict[int, tuple[Party, ...]] = {}
        self.profiles: dict[int, dict[str, str]] = {}  # their ids and stores, as replies show them
        self._variables: dict[int, bytes] = {}
        self.plans: list[Plan] = []
        self.plan_of: array[int] = array("H")
        self.members: list[Sequence[int]] = []

    def __len__(self) -> int:
        return len(self.addresses)

    def add(self, address: str, plan: int, variables: Mapping[str, str] | None) -> None:
        """Add a recipient. ``plan`` is an index into ``plans``, to which a new plan is appended first."""
        index = len(self.addresses)
        self.addresses.append(address)
        if variables:
            self._variables[index] = msgspec.json.encode(variables)
        self.plan_of.append(plan)
        while len(self.members) <= plan:
            self.members.append(array("I"))
        self.members[plan].append(index)  # type: ignore[attr-defined]

    def plan(self, index: int) -> Plan:
        return self.plans[self.plan_of[index]]

    def parties(self, index: int) -> tuple[Party, ...]:
        return self.others.get(index) or (Party(self.addresses[index], "PHONE"),)

    def variables(self, index: int) -> dict[str, str]:
        encoded = self._variables.get(index)
        return msgspec.json.decode(encoded) if encoded else {}

    def mentions(self, index: int, words: str, encoded: bytes) -> bool:
        return words in self.addresses[index] or encoded in self._variables.get(index, b"")


@dataclass(slots=True)
class Operation:
    """An operation. ``asked`` is the ``from`` of the request, for recipients that no sender can reach."""

    id: str
    number: int
    account_sid: str
    created: float
    scheduled_for: float | None
    timeline: Timeline
    content: Content
    tags: dict[str, str]
    sources: list[Source]
    pool: str | None
    recipients: Recipients
    key: str = field(init=False)
    liquid_tags: bool = field(init=False)

    def __post_init__(self) -> None:
        self.key = key_of(self.id)
        self.liquid_tags = any("{" in value for value in self.tags.values())

    def status(self, now: float) -> str:
        line = self.timeline
        if line.canceled_at is not None and now >= line.canceled_at:
            return "CANCELED"
        if now < line.start:
            return "SCHEDULED"
        return "COMPLETED" if now + 1e-6 >= line.end else "PROCESSING"

    def updated(self, now: float) -> float:
        line = self.timeline
        if line.canceled_at is not None and now >= line.canceled_at:
            return line.canceled_at
        return self.created if now < line.start else min(now, line.end)

    def stats(self, now: float, rows: bool) -> dict[str, int]:
        """Count the twelve counters, which add up: every recipient is unaddressable or in one state.

        With ``rows``, unaddressable recipients have a message each, and count in ``total``.
        """
        stats, statuses, fronts = dict.fromkeys(COUNTERS, 0), dict[str, int](), self.timeline.fronts(now)
        recipients = self.recipients
        for plan, members in zip(recipients.plans, recipients.members, strict=True):
            if plan.unaddressable:
                sent = plan.tally(members, fronts, {})
                stats["unaddressable"] += sent
            else:
                sent = plan.tally(members, fronts, statuses)
                stats["attempts"] += sent * len(plan.attempts)
            waiting = self._waiting(now)
            statuses[waiting] = statuses.get(waiting, 0) + len(members) - sent
        for status, count in statuses.items():
            stats[status.lower()] += count
        stats["recipients"] = self.timeline.count
        unreachable = sum(
            len(members)
            for plan, members in zip(recipients.plans, recipients.members, strict=True)
            if plan.unaddressable
        )
        stats["total"] = self.timeline.count - (0 if rows else unreachable)
        return stats

    def _waiting(self, now: float) -> str:
        line = self.timeline
        if line.canceled_at is not None and now >= line.canceled_at:
            return "CANCELED"
        return "SCHEDULED" if now < line.start else "QUEUED"

    def message_status(self, index: int, now: float, fronts: Fronts) -> str:
        if index >= fronts.sent:
            return self._waiting(now)
        return self.recipients.plan(index).status(index, fronts)

    def message_updated(self, index: int, now: float, fronts: Fronts) -> float:
        line, stages = self.timeline, self.recipients.plan(index).stages
        if index >= fronts.sent:
            waiting = self._waiting(now)
            return line.canceled_at or now if waiting == "CANCELED" else self.created
        if index < fronts.read and stages[2] != stages[1]:
            return line.read_at(index)
        return (
            line.settled_at(index)
            if index < fronts.settled and stages[1] != stages[0]
            else line.sent_at(index)
        )

    def has(self, index: int, rows: bool) -> bool:
        """Tell if there is a message at a place."""
        recipients = self.recipients
        return 0 <= index < len(recipients) and (rows or not recipients.plan(index).unaddressable)

    def indices(self, start: int, rows: bool) -> Iterator[int]:
        return (index for index in range(start, len(self.recipients)) if self.has(index, rows))
