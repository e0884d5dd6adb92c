"""Messaging services and their five lists of senders: https://www.twilio.com/docs/messaging/api/service-resource

A number or short code is in one service at most (21712) and only once (21710); a list has a limit (21714).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api._forms import Paged
from airflow_provider_twilio_comms.api.messaging.services import Changes
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given, required
from airflow_provider_twilio_comms.emulator.classic.inventory import missing
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["LISTS", "Entry", "Service", "Services", "routes"]

routes: Routes = Routes("messaging", "/v1")
LISTS = ("PhoneNumbers", "ShortCodes", "AlphaSenders", "DestinationAlphaSenders", "ChannelSenders")
_DEFAULTS: dict[str, Any] = {
    "inbound_request_url": None,
    "inbound_method": "POST",
    "fallback_url": None,
    "fallback_method": "POST",
    "status_callback": None,
    "sticky_sender": True,
    "mms_converter": True,
    "smart_encoding": True,
    "scan_message_content": "inherit",
    "fallback_to_long_code": True,
    "area_code_geomatch": True,
    "validity_period": 36_000,
    "synchronous_validation": False,
    "usecase": "undeclared",
    "use_inbound_webhook_on_number": False,
}


@dataclass
class Entry:
    """A sender in a service: its SID there, its address, and the fields of its row."""

    sid: str
    address: str
    row: dict[str, Any]
    created: float


@dataclass
class Service:
    """A messaging service: its settings by name, its senders by list and SID.

    ``version`` changes with the senders.
    """

    sid: str
    account_sid: str
    created: float
    updated: float
    settings: dict[str, Any]
    lists: dict[str, dict[str, Entry]] = field(default_factory=lambda: {name: {} for name in LISTS})

    def setting(self, name: str) -> Any:
        return self.settings.get(name, _DEFAULTS[name])

    version: int = 0
    addresses: frozenset[str] = frozenset()

    def entries(self) -> Iterator[Entry]:
        """List its senders, numbers first."""
        return (entry for entries in self.lists.values() for entry in entries.values())

    def add(self, name: str, entry: Entry) -> None:
        """Add a sender to the list of that name."""
        self.lists[name][entry.sid] = entry
        self._changed()

    def remove(self, name: str, sid: str) -> None:
        """Remove a sender, if it is in the list of that name."""
        if self.lists[name].pop(sid, None) is not None:
            self._changed()

    def _changed(self) -> None:
        self.version += 1
        self.addresses = frozenset(entry.address for entry in self.entries())

    def view(self) -> dict[str, Any]:
        url = address("messaging", f"/v1/Services/{self.sid}")
        links = {name: f"{url}/{path}" for name, path in zip(_LINKS, LISTS, strict=True)}
        return {
            **_DEFAULTS,
            **self.settings,
            "sid": self.sid,
            "account_sid": self.account_sid,
            "us_app_to_person_registered": False,
            "date_created": iso(self.created),
            "date_updated": iso(self.updated),
            "url": url,
            "links": links,
        }


_LINKS = ("phone_numbers", "short_codes", "alpha_senders", "destination_alpha_senders", "channel_senders")


class Services:
    """Every service, by SID."""

    def __init__(self, twilio: State) -> None:
        self.by_sid: dict[str, Service] = {}

    def get(self, sid: str) -> Service:
        if sid not in self.by_sid:
            raise missing()
        return self.by_sid[sid]

    def holding(self, name: str, sid: str) -> Service | None:
        """Find the service that has a sender in the list of that name."""
        return next((service for service in self.by_sid.values() if sid in service.lists[name]), None)

    def forget(self, sid: str) -> None:
        """Remove a sender that is no longer the account's from its service."""
        for service in self.by_sid.values():
            for name in LISTS:
                service.remove(name, sid)


@routes("POST", "/Services")
def create(twilio: State, request: Request) -> Reply:
    settings = given(request, Changes)
    settings["friendly_name"] = required(settings, "friendly_name", "FriendlyName")
    now = twilio.clock.now()
    service = Service(f"MG{twilio.random.getrandbits(128):032x}", _account(request), now, now, settings)
    twilio.part(Services).by_sid[service.sid] = service
    return json_reply(service.view(), 201)


@routes("GET", "/Services")
def list_services(twilio: State, request: Request) -> Reply:
    asked(request, Paged)
    newest = reversed(twilio.part(Services).by_sid.values())
    return meta_page(request, "services", [service.view() for service in newest])


@routes("GET", "/Services/{Sid}")
def fetch(twilio: State, request: Request, sid: str) -> Reply:
    return json_reply(twilio.part(Services).get(sid).view())


@routes("POST", "/Services/{Sid}")
def update(twilio: State, request: Request, sid: str) -> Reply:
    service = twilio.part(Services).get(sid)
    service.settings.update(given(request, Changes))
    service.updated = twilio.clock.now()
    return json_reply(service.view())


@routes("DELETE", "/Services/{Sid}")
def delete(twilio: State, request: Request, sid: str) -> Reply:
    """Delete a service; its senders stay the account's."""
    del twilio.part(Services).by_sid[twilio.part(Services).get(sid).sid]
    return Reply(204)


def _account(request: Request) -> str:
    assert request.caller is not None
    return request.caller.account_sid
