"""Buying one number, however often it is tried.

The number that is bought gets a label, a friendly name that only this purchase has; before anything is bought
it is looked for. A number is always searched first and then bought as that number: buying the same one twice
is refused, where an area code would buy another one each time.
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from airflow_provider_twilio_comms._core.sending.ledger import Entry, Ledger, Outline
from airflow_provider_twilio_comms.api.classic import available_numbers, incoming_numbers
from airflow_provider_twilio_comms.api.classic.incoming_numbers import IncomingNumber
from airflow_provider_twilio_comms.api.flows import Flow, every_item, made, now, removed, waited
from airflow_provider_twilio_comms.client.retry import untouched
from airflow_provider_twilio_comms.exceptions import ApiError, InvalidInput, ServerFailed, TransportFailed

TAKEN = 21422  # https://www.twilio.com/docs/api/errors/21422
CHECKS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between looks; the last one repeats


class Bought(NamedTuple):
    """A number, and whether it was bought just now."""

    number: IncomingNumber
    new: bool


@dataclass(frozen=True)
class Purchase:
    """A number to buy: ``phone_number``, or the first that ``criteria`` find in a country.

    ``lag`` is for how many seconds an absence from Twilio's list proves nothing.
    """

    ledger: Ledger
    name: str = ""
    phone_number: str | None = None
    country_code: str = "US"
    kind: Any = "local"
    criteria: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lag: float = 90.0

    @property
    def label(self) -> str:
        """The friendly name: what the author calls it, and whose purchase it is."""
        return f"{self.name or 'airflow'} [{self.ledger.name}]"


def bought(purchase: Purchase) -> Flow[Bought]:
    """The number of this purchase: found where an earlier try has bought it, else bought now.

    Raises :class:`InvalidInput` where there is no such number to be bought, and whatever Twilio refuses.
    """
    ledger = purchase.ledger
    entry = next(iter(ledger.entries()), Entry("sending", PURCHASE, 1))
    number = yield from _own(purchase, entry)
    if number is not None:
        return Bought(number, False)
    ledger.begin(_OUTLINE, (yield from now()))
    for candidate in (yield from _candidates(purchase)):
        number, entry = yield from _taken(purchase, candidate, entry)
        if number is not None:
            ledger.settled(replace(entry, state="accepted", operation_id=number.sid))
            return Bought(number, True)
    ledger.settled(replace(entry if entry.place >= 0 else ledger.sending(entry, PURCHASE), state="refused"))
    raise InvalidInput.at(
        "phone_number" if purchase.phone_number else "criteria",
        "there is no such number to be bought",
        "Search with wider criteria",
    )


def released(sid: str) -> Flow[bool]:
    """Give a number back; returns whether the account had it."""
    return (yield from removed(incoming_numbers.release(sid)))


PURCHASE = "purchase"  # the fingerprint: what is bought may change between tries, that it is one may not
_OUTLINE = Outline(content=PURCHASE, people=PURCHASE, plan=PURCHASE, parts=1, recipients=1, rows=1)


def _own(purchase: Purchase, entry: Entry) -> Flow[IncomingNumber | None]:
    """The number, where the account has it: by its label, or as the number that was asked for."""
    if purchase.phone_number:
        listed = yield from every_item(incoming_numbers.list(phone_number=purchase.phone_number))
        found = [number for number in listed if number.phone_number == purchase.phone_number]
        return found[0] if found else None
    uncertain = purchase.ledger.blank or (entry.place >= 0 and entry.state == "sending")
    since = entry.since or (yield from now())
    return (yield from _labelled(purchase, since + purchase.lag if uncertain else 0.0))


def _labelled(purchase: Purchase, until: float) -> Flow[IncomingNumber | None]:
    """The number with our label; looked for until then, since lists lag."""
    pauses = iter(CHECKS)
    pause = 0.0
    while True:
        time = yield from waited(pause)
        listed = yield from every_item(incoming_numbers.list(friendly_name=purchase.label))
        found = [number for number in listed if number.friendly_name == purchase.label]
        if found or time >= until:
            return found[0] if found else None
        pause = min(next(pauses, CHECKS[-1]), max(0.1, until - time))


def _candidates(purchase: Purchase) -> Flow[list[str]]:
    if purchase.phone_number:
        return [purchase.phone_number]
    search = available_numbers.search(purchase.country_code, purchase.kind, **purchase.criteria)
    return [found.phone_number for found in (yield from every_item(search))]


def _taken(purchase: Purchase, phone_number: str, entry: Entry) -> Flow[tuple[IncomingNumber | None, Entry]]:
    """Buy this number; None where somebody else has it. A lost reply is made good by trying it again."""
    call = incoming_numbers.buy(phone_number, **{**purchase.settings, "friendly_name": purchase.label})
    for last in (False, True):
        time = yield from now()
        entry = purchase.ledger.sending(replace(entry, state="sending", since=time), "The purchase")
        try:
            return (yield from made(call)), entry
        except (ApiError, TransportFailed) as error:
            if getattr(error, "code", None) == TAKEN:  # by ourselves, if a reply was lost
                return (yield from _labelled(purchase, time + purchase.lag if last else 0.0)), entry
            unknown = isinstance(error, (ServerFailed, TransportFailed)) and not untouched(error)
            if not unknown:
                purchase.ledger.settled(replace(entry, state="refused"))
            if last or not unknown:
                raise
    return None, entry
