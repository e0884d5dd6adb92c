"""Subaccounts, each with an auth token of its own: https://www.twilio.com/docs/iam/api/subaccounts"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Subaccount", "Subaccounts"]


@dataclass(frozen=True)
class Subaccount:
    """An account that the emulator's main account has created, and may act for."""

    sid: str
    auth_token: str
    friendly_name: str
    created: float


class Subaccounts:
    """Every subaccount by SID, oldest first."""

    def __init__(self, twilio: State) -> None:
        self._twilio = twilio
        self.by_sid: dict[str, Subaccount] = {}

    def create(self, friendly_name: str) -> Subaccount:
        now, bits = self._twilio.clock.now(), self._twilio.random.getrandbits
        account = Subaccount(f"AC{bits(128):032x}", f"{bits(128):032x}", friendly_name, now)
        self.by_sid[account.sid] = account
        return account

    def owner_of(self, sid: str, auth_token: str) -> bool:
        """Tell if these are the credentials of a subaccount."""
        account = self.by_sid.get(sid)
        return account is not None and account.auth_token == auth_token
