"""The five lists of senders that a messaging service has.

Entries can be created, listed, fetched and deleted, but not changed. The differences between the lists stand
once, as a :class:`_Pool`. Creating answers 201, or 200; 21710 means that the sender is in the list already,
21712 that another service has it, 21714 that the list is full. https://www.twilio.com/docs/messaging/api/service-resource
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import (
    AlphaSender,
    CountryCode,
    Paged,
    PhoneNumberSid,
    ServiceSid,
    ShortCodeSid,
    pairs,
    sid,
    valid,
)
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = [
    "AlphaSenderEntry",
    "ChannelSenderEntry",
    "DestinationAlphaSenderEntry",
    "DestinationFilter",
    "PhoneNumberEntry",
    "SenderEntry",
    "ShortCodeEntry",
    "create_alpha_sender",
    "create_channel_sender",
    "create_destination_alpha_sender",
    "create_phone_number",
    "create_short_code",
    "delete_alpha_sender",
    "delete_channel_sender",
    "delete_destination_alpha_sender",
    "delete_phone_number",
    "delete_short_code",
    "fetch_alpha_sender",
    "fetch_channel_sender",
    "fetch_destination_alpha_sender",
    "fetch_phone_number",
    "fetch_short_code",
    "list_alpha_senders",
    "list_channel_senders",
    "list_destination_alpha_senders",
    "list_phone_numbers",
    "list_short_codes",
]

AlphaSenderSid = Annotated[str, sid("AI")]
ChannelSenderSid = Annotated[str, sid("XE")]


class SenderEntry(Resource, frozen=True):
    """A sender in a service."""

    sid: str
    account_sid: str | None = None
    service_sid: str | None = None
    capabilities: tuple[str, ...] | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class PhoneNumberEntry(SenderEntry, frozen=True):
    """A number in a service; its SID is the number's own."""

    phone_number: str | None = None
    country_code: str | None = None


class ShortCodeEntry(SenderEntry, frozen=True):
    """A short code in a service; its SID is the short code's own."""

    short_code: str | None = None
    country_code: str | None = None


class AlphaSenderEntry(SenderEntry, frozen=True):
    """An alphanumeric sender of a service."""

    alpha_sender: str | None = None


class DestinationAlphaSenderEntry(AlphaSenderEntry, frozen=True):
    """An alphanumeric sender for one country, or with an empty country for all others."""

    iso_country_code: str | None = None


class ChannelSenderEntry(SenderEntry, frozen=True):
    """A WhatsApp, Messenger or RCS sender in a service, which is named ``messaging_service_sid`` here."""

    messaging_service_sid: str | None = None
    sender: str | None = None
    sender_type: str | None = None
    country_code: str | None = None


class DestinationFilter(Paged, total=False):
    """Filters of the list of destination alpha senders."""

    iso_country_code: CountryCode


S = TypeVar("S", bound=SenderEntry)


@dataclass(frozen=True)
class _Pool(Generic[S]):
    """One of the lists: its path, the key and type of its rows, and the pattern of its SIDs."""

    path: str
    key: str
    shape: type[S]
    sid: Any

    def create(self, service_sid: str, form: list[tuple[str, str]]) -> Call[S]:
        return Call("POST", self.path, one(self.shape), "messaging", self._in(service_sid), form=form)

    def list(self, service_sid: str, query: list[tuple[str, str]]) -> Call[Page[S]]:
        call = Call("GET", self.path, nothing, "messaging", self._in(service_sid), query)
        return paged(call, self.key, self.shape)

    def fetch(self, service_sid: str, sid: str) -> Call[S]:
        return Call("GET", f"{self.path}/{{Sid}}", one(self.shape), "messaging", self._at(service_sid, sid))

    def delete(self, service_sid: str, sid: str) -> Call[None]:
        return Call("DELETE", f"{self.path}/{{Sid}}", nothing, "messaging", self._at(service_sid, sid))

    def _in(self, service_sid: str) -> dict[str, str]:
        name = "MessagingServiceSid" if "{MessagingServiceSid}" in self.path else "ServiceSid"
        return {name: valid("service_sid", service_sid, ServiceSid)}

    def _at(self, service_sid: str, sid: str) -> dict[str, str]:
        return {**self._in(service_sid), "Sid": valid("sid", sid, self.sid)}


_PHONE_NUMBERS = _Pool(
    "/v1/Services/{ServiceSid}/PhoneNumbers", "phone_numbers", PhoneNumberEntry, PhoneNumberSid
)
_SHORT_CODES = _Pool("/v1/Services/{ServiceSid}/ShortCodes", "short_codes", ShortCodeEntry, ShortCodeSid)
_ALPHA_SENDERS = _Pool(
    "/v1/Services/{ServiceSid}/AlphaSenders", "alpha_senders", AlphaSenderEntry, AlphaSenderSid
)
_DESTINATION_ALPHA_SENDERS = _Pool(
    "/v1/Services/{ServiceSid}/DestinationAlphaSenders",
    "alpha_senders",
    DestinationAlphaSenderEntry,
    AlphaSenderSid,
)
_CHANNEL_SENDERS = _Pool(
    "/v1/Services/{MessagingServiceSid}/ChannelSenders", "senders", ChannelSenderEntry, ChannelSenderSid
)


def create_phone_number(service_sid: ServiceSid, phone_number_sid: PhoneNumberSid) -> Call[PhoneNumberEntry]:
    """Add a phone number: ``POST /v1/Services/{ServiceSid}/PhoneNumbers``."""
    return _PHONE_NUMBERS.create(
        service_sid, [("PhoneNumberSid", valid("phone_number_sid", phone_number_sid, PhoneNumberSid))]
    )


def list_phone_numbers(service_sid: ServiceSid, **paging: Unpack[Paged]) -> Call[Page[PhoneNumberEntry]]:
    """List the phone numbers: ``GET /v1/Services/{ServiceSid}/PhoneNumbers``."""
    return _PHONE_NUMBERS.list(service_sid, pairs(Paged, paging))


def fetch_phone_number(service_sid: ServiceSid, sid: PhoneNumberSid) -> Call[PhoneNumberEntry]:
    """Read a phone number: ``GET /v1/Services/{ServiceSid}/PhoneNumbers/{Sid}``."""
    return _PHONE_NUMBERS.fetch(service_sid, sid)


def delete_phone_number(service_sid: ServiceSid, sid: PhoneNumberSid) -> Call[None]:
    """Remove a phone number: ``DELETE /v1/Services/{ServiceSid}/PhoneNumbers/{Sid}``."""
    return _PHONE_NUMBERS.delete(service_sid, sid)


def create_short_code(service_sid: ServiceSid, short_code_sid: ShortCodeSid) -> Call[ShortCodeEntry]:
    """Add a short code: ``POST /v1/Services/{ServiceSid}/ShortCodes``."""
    return _SHORT_CODES.create(
        service_sid, [("ShortCodeSid", valid("short_code_sid", short_code_sid, ShortCodeSid))]
    )


def list_short_codes(service_sid: ServiceSid, **paging: Unpack[Paged]) -> Call[Page[ShortCodeEntry]]:
    """List the short codes: ``GET /v1/Services/{ServiceSid}/ShortCodes``."""
    return _SHORT_CODES.list(service_sid, pairs(Paged, paging))


def fetch_short_code(service_sid: ServiceSid, sid: ShortCodeSid) -> Call[ShortCodeEntry]:
    """Read a short code: ``GET /v1/Services/{ServiceSid}/ShortCodes/{Sid}``."""
    return _SHORT_CODES.fetch(service_sid, sid)


def delete_short_code(service_sid: ServiceSid, sid: ShortCodeSid) -> Call[None]:
    """Remove a short code: ``DELETE /v1/Services/{ServiceSid}/ShortCodes/{Sid}``."""
    return _SHORT_CODES.delete(service_sid, sid)


def create_alpha_sender(service_sid: ServiceSid, alpha_sender: AlphaSender) -> Call[AlphaSenderEntry]:
    """Add an alphanumeric sender: ``POST /v1/Services/{ServiceSid}/AlphaSenders``."""
    return _ALPHA_SENDERS.create(
        service_sid, [("AlphaSender", valid("alpha_sender", alpha_sender, AlphaSender))]
    )


def list_alpha_senders(service_sid: ServiceSid, **paging: Unpack[Paged]) -> Call[Page[AlphaSenderEntry]]:
    """List the alphanumeric senders: ``GET /v1/Services/{ServiceSid}/AlphaSenders``."""
    return _ALPHA_SENDERS.list(service_sid, pairs(Paged, paging))


def fetch_alpha_sender(service_sid: ServiceSid, sid: AlphaSenderSid) -> Call[AlphaSenderEntry]:
    """Read an alphanumeric sender: ``GET /v1/Services/{ServiceSid}/AlphaSenders/{Sid}``."""
    return _ALPHA_SENDERS.fetch(service_sid, sid)


def delete_alpha_sender(service_sid: ServiceSid, sid: AlphaSenderSid) -> Call[None]:
    """Remove an alphanumeric sender: ``DELETE /v1/Services/{ServiceSid}/AlphaSenders/{Sid}``."""
    return _ALPHA_SENDERS.delete(service_sid, sid)


def create_destination_alpha_sender(
    service_sid: ServiceSid, alpha_sender: AlphaSender, iso_country_code: CountryCode | None = None
) -> Call[DestinationAlphaSenderEntry]:
    """Add a sender for a country or all: ``POST /v1/Services/{ServiceSid}/DestinationAlphaSenders``."""
    form = [("AlphaSender", valid("alpha_sender", alpha_sender, AlphaSender))]
    if iso_country_code is not None:
        form.append(("IsoCountryCode", valid("iso_country_code", iso_country_code, CountryCode)))
    return _DESTINATION_ALPHA_SENDERS.create(service_sid, form)


def list_destination_alpha_senders(
    service_sid: ServiceSid, **only: Unpack[DestinationFilter]
) -> Call[Page[DestinationAlphaSenderEntry]]:
    """List destination alpha senders: ``GET /v1/Services/{ServiceSid}/DestinationAlphaSenders``."""
    return _DESTINATION_ALPHA_SENDERS.list(service_sid, pairs(DestinationFilter, only))


def fetch_destination_alpha_sender(
    service_sid: ServiceSid, sid: AlphaSenderSid
) -> Call[DestinationAlphaSenderEntry]:
    """Read a destination alpha sender: ``GET /v1/Services/{ServiceSid}/DestinationAlphaSenders/{Sid}``."""
    return _DESTINATION_ALPHA_SENDERS.fetch(service_sid, sid)


def delete_destination_alpha_sender(service_sid: ServiceSid, sid: AlphaSenderSid) -> Call[None]:
    """Remove one for a destination: ``DELETE /v1/Services/{ServiceSid}/DestinationAlphaSenders/{Sid}``."""
    return _DESTINATION_ALPHA_SENDERS.delete(service_sid, sid)


def create_channel_sender(
    service_sid: ServiceSid, channel_sender_sid: ChannelSenderSid
) -> Call[ChannelSenderEntry]:
    """Add a channel sender: ``POST /v1/Services/{MessagingServiceSid}/ChannelSenders``."""
    return _CHANNEL_SENDERS.create(
        service_sid, [("Sid", valid("channel_sender_sid", channel_sender_sid, ChannelSenderSid))]
    )


def list_channel_senders(service_sid: ServiceSid, **paging: Unpack[Paged]) -> Call[Page[ChannelSenderEntry]]:
    """List the channel senders: ``GET /v1/Services/{MessagingServiceSid}/ChannelSenders``."""
    return _CHANNEL_SENDERS.list(service_sid, pairs(Paged, paging))


def fetch_channel_sender(service_sid: ServiceSid, sid: ChannelSenderSid) -> Call[ChannelSenderEntry]:
    """Read a channel sender: ``GET /v1/Services/{MessagingServiceSid}/ChannelSenders/{Sid}``."""
    return _CHANNEL_SENDERS.fetch(service_sid, sid)


def delete_channel_sender(service_sid: ServiceSid, sid: ChannelSenderSid) -> Call[None]:
    """Remove a channel sender: ``DELETE /v1/Services/{MessagingServiceSid}/ChannelSenders/{Sid}``."""
    return _CHANNEL_SENDERS.delete(service_sid, sid)
