"""Inventory of the account's numbers, short codes and channel senders; some exist from the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.emulator.classic.countries import Offer, friendly
from airflow_provider_twilio_comms.emulator.clock import rfc2822
from airflow_provider_twilio_comms.emulator.http import Problem

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Channel", "Inventory", "Number", "ShortCode", "missing"]

NUMBER_SID, SECOND_NUMBER_SID = "PN" + "06" * 16, "PN" + "10" * 16
SHORT_CODE_SID, SECOND_SHORT_CODE_SID = "SC" + "12" * 16, "SC" + "67" * 16
WHATSAPP_SENDER_SID, MESSENGER_SENDER_SID, RCS_SENDER_SID = (
    "XE" + "a3" * 16,
    "XE" + "b3" * 16,
    "XE" + "c3" * 16,
)
_BORN = 1_700_000_000.0
_METHODS = (
    "sms_method",
    "sms_fallback_method",
    "status_callback_method",
    "voice_method",
    "voice_fallback_method",
)
_URLS = ("sms_url", "sms_fallback_url", "status_callback", "voice_url", "voice_fallback_url")
_SIDS = (
    *(
        "sms_application_sid",
        "voice_application_sid",
        "address_sid",
        "bundle_sid",
        "identity_sid",
        "trunk_sid",
    ),
    "emergency_address_sid",
)


def missing() -> Problem:
    return Problem(404, 20404, "The requested resource was not found")


@dataclass
class Number:
    """A number of the account, with its settings by name."""

    sid: str
    account_sid: str
    number: str
    kind: str
    country: str
    capabilities: dict[str, bool]
    created: float = _BORN
    updated: float = _BORN
    settings: dict[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        settings = {
            "friendly_name": friendly(self.number),
            "api_version": "2010-04-01",
            "voice_caller_id_lookup": False,
            "voice_receive_mode": "voice",
            "emergency_status": "Inactive",
            **dict.fromkeys(_METHODS, "POST"),
            **dict.fromkeys(_URLS, ""),
            **dict.fromkeys(_SIDS),
            **self.settings,
        }
        return {
            **settings,
            "sid": self.sid,
            "account_sid": self.account_sid,
            "phone_number": self.number,
            "address_requirements": "none",
            "beta": False,
            "capabilities": {**self.capabilities, "fax": False},
            "emergency_address_status": "unregistered",
            "origin": "twilio",
            "status": "in-use",
            "type": self.kind,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/IncomingPhoneNumbers/{self.sid}.json",
        }


@dataclass
class ShortCode:
    """A short code; the API changes short codes but does not create them."""

    sid: str
    account_sid: str
    code: str
    country: str = "US"
    updated: float = _BORN
    settings: dict[str, Any] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        return {
            "friendly_name": self.code,
            "api_version": "2010-04-01",
            "sms_url": None,
            "sms_method": "POST",
            "sms_fallback_url": None,
            "sms_fallback_method": "POST",
            **self.settings,
            "sid": self.sid,
            "account_sid": self.account_sid,
            "short_code": self.code,
            "date_created": rfc2822(_BORN),
            "date_updated": rfc2822(self.updated),
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/SMS/ShortCodes/{self.sid}.json",
        }


@dataclass(frozen=True)
class Channel:
    """A sender of another channel; the API adds it to services but does not create it."""

    sid: str
    address: str
    kind: str
    country: str = "US"


class Inventory:
    """Numbers, short codes and channel senders by SID."""

    def __init__(self, twilio: State) -> None:
        from airflow_provider_twilio_comms.emulator.credentials import ACCOUNT_SID

        self._twilio = twilio
        can = {"voice": True, "sms": True, "mms": True}
        numbers = (
            Number(NUMBER_SID, ACCOUNT_SID, "+15005550006", "local", "US", can),
            Number(SECOND_NUMBER_SID, ACCOUNT_SID, "+15005550010", "local", "US", can),
        )
        codes = (
            ShortCode(SHORT_CODE_SID, ACCOUNT_SID, "12345"),
            ShortCode(SECOND_SHORT_CODE_SID, ACCOUNT_SID, "67890"),
        )
        channels = (
            Channel(WHATSAPP_SENDER_SID, "whatsapp:+14155238886", "WhatsApp"),
            Channel(MESSENGER_SENDER_SID, "messenger:104794531907950", "Messenger"),
            Channel(RCS_SENDER_SID, "rcs:emulated_agent", "RCS"),
        )
        self.numbers: dict[str, Number] = {number.sid: number for number in numbers}
        self.short_codes: dict[str, ShortCode] = {code.sid: code for code in codes}
        self.channels: dict[str, Channel] = {channel.sid: channel for channel in channels}

    def owns(self, sender: str) -> bool:
        """Tell if the account may send from a number, a short code or a channel address."""
        number = self.at(sender)
        if number is not None:
            return number.capabilities["sms"]
        return any(code.code == sender for code in self.short_codes.values()) or any(
            channel.address == sender for channel in self.channels.values()
        )

    def number(self, sid: str) -> Number:
        if sid not in self.numbers:
            raise missing()
        return self.numbers[sid]

    def short_code(self, sid: str) -> ShortCode:
        if sid not in self.short_codes:
            raise missing()
        return self.short_codes[sid]

    def at(self, number: str) -> Number | None:
        return next((each for each in self.numbers.values() if each.number == number), None)

    def buy(self, offer: Offer, account_sid: str, settings: dict[str, Any]) -> Number:
        now = self._twilio.clock.now()
        sid = f"PN{self._twilio.random.getrandbits(128):032x}"
        bought = Number(
            sid,
            account_sid,
            offer.number,
            offer.kind,
            offer.country.iso,
            offer.capabilities,
            now,
            now,
            settings,
        )
        self.numbers[sid] = bought
        return bought
