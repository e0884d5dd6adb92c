"""Inventory of the account's senders and sender pools; some exist from the start, with fixed ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.clock import iso

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Inventory", "Pool", "Sender"]

_ULID = "01h9krwprkeee8fzqspvwy6n"
SMS_NUMBER, SMS_SENDER_ID = "+15005550006", f"comms_sender_{_ULID}q1"
RCS_AGENT, RCS_SENDER_ID = "emulated_agent", f"comms_sender_{_ULID}q2"
WHATSAPP_NUMBER, WHATSAPP_SENDER_ID = "+14155238886", f"comms_sender_{_ULID}q3"
POOL_ID = f"comms_senderpool_{_ULID}q8"  # SMS, RCS and WhatsApp
SMS_POOL_ID = f"comms_senderpool_{_ULID}q9"  # SMS alone
_BORN = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender, such as a number or an RCS agent; the API lists senders but does not create them."""

    id: str
    address: str
    channel: str
    name: str | None = None
    status: str = "ACTIVATED"
    tags: dict[str, str] = field(default_factory=dict)
    created: float = _BORN

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "displayName": self.name,
            "address": self.address,
            "channel": self.channel,
            "status": self.status,
            "tags": self.tags,
            "createdAt": iso(self.created),
            "updatedAt": iso(self.created),
        }


@dataclass(slots=True)
class Pool:
    """A sender pool, which exists from ``created`` on, since ``operation_id`` creates it asynchronously."""

    id: str
    name: str | None
    tags: dict[str, str]
    created: float
    updated: float
    operation_id: str | None = None
    sender_ids: dict[str, float] = field(default_factory=dict)  # and since when

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "tags": self.tags,
            "createdAt": iso(self.created),
            "updatedAt": iso(self.updated),
        }


class Inventory:
    """Senders and pools by id."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        senders = (
            Sender(SMS_SENDER_ID, SMS_NUMBER, "SMS"),
            Sender(RCS_SENDER_ID, RCS_AGENT, "RCS", "Emulated agent"),
            Sender(WHATSAPP_SENDER_ID, WHATSAPP_NUMBER, "WHATSAPP", "Emulated business"),
            Sender(f"comms_sender_{_ULID}q4", "+15005550010", "SMS"),
            Sender(f"comms_sender_{_ULID}q5", "+15005550007", "SMS", status="DEACTIVATED"),
            Sender(f"comms_sender_{_ULID}q6", "hello@example.com", "EMAIL", "Hello"),
        )
        self.senders: dict[str, Sender] = {sender.id: sender for sender in senders}
        members = {id_: _BORN for id_ in (SMS_SENDER_ID, RCS_SENDER_ID, WHATSAPP_SENDER_ID)}
        self.pools: dict[str, Pool] = {
            POOL_ID: Pool(POOL_ID, "Everything", {}, _BORN, _BORN, None, members),
            SMS_POOL_ID: Pool(SMS_POOL_ID, "SMS only", {}, _BORN, _BORN, None, {SMS_SENDER_ID: _BORN}),
        }

    def sender_at(self, address: str, channel: str) -> Sender | None:
        """Find the activated sender of an address."""
        for sender in self.senders.values():
            if (sender.address, sender.channel, sender.status) == (address, channel, "ACTIVATED"):
                return sender
        return None

    def pool(self, pool_id: str) -> Pool | None:
        """Find a pool, which exists only once it has been created."""
        pool = self.pools.get(pool_id)
        return pool if pool and pool.created <= self._twilio.clock.now() else None

    def members(self, pool: Pool) -> list[Sender]:
        now = self._twilio.clock.now()
        return [self.senders[id_] for id_, since in pool.sender_ids.items() if since <= now]
