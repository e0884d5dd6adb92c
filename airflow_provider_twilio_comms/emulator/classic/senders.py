"""Senders of a messaging service, in its five lists, whose differences are in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict

from airflow_provider_twilio_comms.api._forms import (
    AlphaSender,
    CountryCode,
    Paged,
    PhoneNumberSid,
    ShortCodeSid,
)
from airflow_provider_twilio_comms.api._forms import sid as sid_of
from airflow_provider_twilio_comms.api.messaging.senders import DestinationFilter
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given
from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory, missing
from airflow_provider_twilio_comms.emulator.classic.services import LISTS, Entry, Service, Services
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import meta_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes"]

routes: Routes = Routes("messaging", "/v1/Services/{ServiceSid}")
_LIST = f"/{{List:{'|'.join(LISTS)}}}"


class _PhoneNumber(TypedDict, total=False):
    phone_number_sid: PhoneNumberSid


class _ShortCode(TypedDict, total=False):
    short_code_sid: ShortCodeSid


class _Alpha(TypedDict, total=False):
    alpha_sender: AlphaSender


class _Destination(_Alpha, total=False):
    iso_country_code: CountryCode


class _Channel(TypedDict, total=False):
    sid: Annotated[str, sid_of("XE")]


# A sender's SID (None: a new one), its address, and what its row says beside what every row says.
_Found = tuple["str | None", str, dict[str, Any]]


def _phone_number(inventory: Inventory, form: dict[str, Any]) -> _Found:
    number = inventory.number(form["phone_number_sid"])
    can = [name.upper() if name != "voice" else "Voice" for name, able in number.capabilities.items() if able]
    row = {"phone_number": number.number, "country_code": number.country, "capabilities": sorted(can)}
    return number.sid, number.number, row


def _short_code(inventory: Inventory, form: dict[str, Any]) -> _Found:
    code = inventory.short_code(form["short_code_sid"])
    row = {"short_code": code.code, "country_code": code.country, "capabilities": ["SMS"]}
    return code.sid, code.code, row


def _alpha_sender(inventory: Inventory, form: dict[str, Any]) -> _Found:
    return None, form["alpha_sender"], {"alpha_sender": form["alpha_sender"], "capabilities": ["SMS"]}


def _destination(inventory: Inventory, form: dict[str, Any]) -> _Found:
    sid, sender, row = _alpha_sender(inventory, form)
    return sid, sender, {**row, "iso_country_code": form.get("iso_country_code", "")}


def _channel_sender(inventory: Inventory, form: dict[str, Any]) -> _Found:
    if form["sid"] not in inventory.channels:
        raise missing()
    channel = inventory.channels[form["sid"]]
    row = {"sender": channel.address, "sender_type": channel.kind, "country_code": channel.country}
    return channel.sid, channel.address, row


class _Kind(NamedTuple):
    """A list of senders: its ``key`` and ``limit``, the ``form`` of a creation and its required ``field``."""

    key: str
    form: Any
    field: str
    find: Callable[[Inventory, dict[str, Any]], _Found]
    limit: int
    invalid: int = 20001
    service: str = "service_sid"


_KINDS = {
    "PhoneNumbers": _Kind("phone_numbers", _PhoneNumber, "phone_number_sid", _phone_number, 400),
    "ShortCodes": _Kind("short_codes", _ShortCode, "short_code_sid", _short_code, 400),
    "AlphaSenders": _Kind("alpha_senders", _Alpha, "alpha_sender", _alpha_sender, 1, 21709),
    "DestinationAlphaSenders": _Kind("alpha_senders", _Destination, "alpha_sender", _destination, 400, 21709),
    "ChannelSenders": _Kind(
        "senders", _Channel, "sid", _channel_sender, 400, service="messaging_service_sid"
    ),
}


@routes("POST", _LIST)
def create(twilio: State, request: Request, service_sid: str, list: str) -> Reply:
    service, kind = twilio.part(Services).get(service_sid), _KINDS[list]
    form = given(request, kind.form, {"AlphaSender": kind.invalid})
    if not form.get(kind.field):
        raise Problem(400, kind.invalid, f"A required parameter is missing: {kind.field}")
    sid, sender, row = kind.find(twilio.part(Inventory), form)
    entries = service.lists[list]
    if sid in entries or any(entry.row == row for entry in entries.values()):
        raise Problem(409, 21710, "The sender is already in the messaging service")
    if sid and list != "ChannelSenders" and twilio.part(Services).holding(list, sid):
        raise Problem(409, 21712, "The sender is in another messaging service")
    if len(entries) >= kind.limit:
        raise Problem(400, 21714, "The messaging service's pool is full")
    sid = sid or f"AI{twilio.random.getrandbits(128):032x}"
    entry = Entry(sid, sender, row, twilio.clock.now())
    service.add(list, entry)
    return json_reply(_view(service, list, entry), 201)


@routes("GET", _LIST)
def list_entries(twilio: State, request: Request, service_sid: str, list: str) -> Reply:
    service = twilio.part(Services).get(service_sid)
    only = asked(request, DestinationFilter if list == "DestinationAlphaSenders" else Paged)
    rows = [_view(service, list, entry) for entry in service.lists[list].values()]
    fitting = [row for row in rows if all(row[name] == wanted for name, wanted in only.items())]
    return meta_page(request, _KINDS[list].key, fitting)


@routes("GET", f"{_LIST}/{{Sid}}")
def fetch(twilio: State, request: Request, service_sid: str, list: str, sid: str) -> Reply:
    service = twilio.part(Services).get(service_sid)
    return json_reply(_view(service, list, _entry(service, list, sid)))


@routes("DELETE", f"{_LIST}/{{Sid}}")
def delete(twilio: State, request: Request, service_sid: str, list: str, sid: str) -> Reply:
    service = twilio.part(Services).get(service_sid)
    service.remove(list, _entry(service, list, sid).sid)
    return Reply(204)


def _entry(service: Service, name: str, sid: str) -> Entry:
    if sid not in service.lists[name]:
        raise missing()
    return service.lists[name][sid]


def _view(service: Service, name: str, entry: Entry) -> dict[str, Any]:
    return {
        "sid": entry.sid,
        "account_sid": service.account_sid,
        _KINDS[name].service: service.sid,
        **entry.row,
        "date_created": iso(entry.created),
        "date_updated": iso(entry.created),
        "url": address("messaging", f"/v1/Services/{service.sid}/{name}/{entry.sid}"),
    }
