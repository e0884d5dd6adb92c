"""Routing: choose the sender of each message from the ``from`` of a request.

https://www.twilio.com/docs/bulk-messaging/channel-fallback
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType

from airflow_provider_twilio_comms.emulator.comms.content import Content
from airflow_provider_twilio_comms.emulator.comms.inventory import (
    SMS_NUMBER,
    SMS_SENDER_ID,
    WHATSAPP_SENDER_ID,
    Inventory,
    Sender,
)
from airflow_provider_twilio_comms.emulator.comms.operation import Party, Source
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcomes
from airflow_provider_twilio_comms.emulator.comms.schema import Controls, From
from airflow_provider_twilio_comms.emulator.comms.timeline import Attempted, Plan
from airflow_provider_twilio_comms.emulator.http import Problem

__all__ = ["pooled", "reaches", "routed", "sources_of"]

_USUAL = ("RCS", "SMS", "WHATSAPP")  # with RCS and SMS in a pool, RCS is tried first
_REACHES = {"PHONE": ("SMS", "RCS"), "WHATSAPP": ("WHATSAPP",)}
_STAGES = {
    "DELIVERED": ("SENT", "DELIVERED", "DELIVERED"),
    "READ": ("SENT", "DELIVERED", "READ"),
    "UNDELIVERED": ("SENT", "UNDELIVERED", "UNDELIVERED"),
    "SENT": ("SENT", "SENT", "SENT"),
    "FAILED": ("FAILED", "FAILED", "FAILED"),
}


def reaches(sender_channel: str, recipient_channel: str) -> bool:
    """Tell if a sender's channel reaches a recipient's; SMS and RCS reach a phone number."""
    return sender_channel in _REACHES.get(recipient_channel, ())


def sources_of(
    inventory: Inventory, asked: From | UnsetType, strict: bool
) -> tuple[list[Source], str | None]:
    """List the senders that a request may use, in the order of preference, and their pool.

    Raises a 400 for a sender or pool that the account does not have; unless ``strict``, one is made up.
    """
    if isinstance(asked, UnsetType):  # Twilio chooses
        chosen = [inventory.senders[id_] for id_ in (SMS_SENDER_ID, WHATSAPP_SENDER_ID)]
        return [Source(each.address, each.channel, each.id) for each in chosen], None
    if isinstance(asked.sender_pool_id, str):
        pool = inventory.pool(asked.sender_pool_id)
        if pool is not None:
            return pooled(inventory.members(pool), asked.channels), pool.id
        _refuse(strict, 20404, "The account has no such sender pool", "$.from.senderPoolId")
        return [Source(SMS_NUMBER, "SMS", None)], asked.sender_pool_id
    if isinstance(asked.sender_id, str):
        sender = inventory.senders.get(asked.sender_id)
        if sender and sender.status == "ACTIVATED":
            return [Source(sender.address, sender.channel, sender.id)], None
        _refuse(strict, 20404, "The account has no such active sender", "$.from.senderId")
        return [Source(SMS_NUMBER, "SMS", asked.sender_id)], None
    address, channel = str(asked.address), str(asked.channel)
    sender = inventory.sender_at(address, channel)
    if sender is None:
        _refuse(strict, 21606, "The from address is not an active sender of this account", "$.from.address")
    return [Source(address, channel, sender.id if sender else None)], None


def _refuse(strict: bool, code: int, text: str, where: str) -> None:
    if strict:
        raise Problem(400, code, text, where)


def pooled(senders: Sequence[Sender], channels: Controls | UnsetType) -> list[Source]:
    """Pick one sender for each channel of a pool, the preferred channel first."""
    order = {name: rank for rank, name in enumerate(_USUAL)}
    allowed: Sequence[str] = _USUAL
    if isinstance(channels, Controls):
        if isinstance(channels.filter_in, list):
            allowed = channels.filter_in
        if isinstance(channels.priority, list):
            order = {name: rank + 1_000_000 for name, rank in order.items()}
            order.update({each.channel: each.priority for each in channels.priority})
    first: dict[str, Source] = {}
    for sender in senders:
        source = Source(sender.address, sender.channel, sender.id)
        if source.channel in allowed and source.channel in _USUAL:
            first.setdefault(source.channel, source)
    return sorted(first.values(), key=lambda source: order[source.channel])


def routed(parties: Sequence[Party], sources: Sequence[Source], content: Content, outcomes: Outcomes) -> Plan:
    """Plan the attempts of one message, until one is not refused by its whole channel."""
    attempts: list[Attempted] = []
    for place, party in enumerate(parties):
        for number, source in enumerate(sources):
            if not reaches(source.channel, party.channel) or not content.serves(source.channel):
                continue
            outcome = outcomes.of(party.address, source.channel)
            if outcome.unaddressable:
                continue
            attempts.append(Attempted(number, place, outcome.status, outcome.code))
            if not outcome.elsewhere:
                return Plan(_STAGES[outcome.status], tuple(attempts))
    return Plan(_STAGES[attempts[-1].status if attempts else "FAILED"], tuple(attempts))
