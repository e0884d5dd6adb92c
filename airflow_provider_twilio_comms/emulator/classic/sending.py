"""Validation of a single message, with Twilio's code for each error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow_provider_twilio_comms.api._forms import Address
from airflow_provider_twilio_comms.api.classic.messages import LATEST, SOONEST, Options
from airflow_provider_twilio_comms.emulator.classic.content import Contents
from airflow_provider_twilio_comms.emulator.classic.fields import made
from airflow_provider_twilio_comms.emulator.classic.inventory import Inventory
from airflow_provider_twilio_comms.emulator.classic.opt_outs import OptOuts
from airflow_provider_twilio_comms.emulator.classic.sender_choice import SenderChoice
from airflow_provider_twilio_comms.emulator.classic.sender_queues import LENGTH, Queues
from airflow_provider_twilio_comms.emulator.classic.services import Services
from airflow_provider_twilio_comms.emulator.comms.outcomes import Outcome, Outcomes, message_of
from airflow_provider_twilio_comms.emulator.http import Problem, Request, form

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Order", "order"]

_CODES: dict[str, int | tuple[int, str]] = {
    "To": (21211, "The 'To' number {} is not a valid phone number."),
    "From": (21212, "The 'From' number {} is not a valid phone number, short code or alphanumeric sender."),
    "MessagingServiceSid": 21701,
    "Body": 21617,
    "MediaUrl": 21620,
    "ContentSid": 21655,
    "ContentVariables": 21656,
    "StatusCallback": 21609,
    "ValidityPeriod": 21624,
    "SendAt": 35114,
    "FallbackFrom": 21664,
}
_FROM = {
    "+15005550001": (21212, "The 'From' number {} is not a valid phone number."),
    "+15005550007": (21606, "The 'From' number {} is not a number of your account that can send SMS."),
    "+15005550008": (21611, "The 'From' number {} has exceeded its queue."),
}
_TO = {
    "+15005550001": (21211, "The 'To' number {} is not a valid phone number."),
    "+15005550002": (21612, "The 'To' number {} is not reachable from this 'From' number."),
    "+15005550003": (21408, "SMS to the region of the 'To' number {} have not been enabled."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "To number: {}, is not a mobile number"),
}
_CHANNELS = {"whatsapp": "WHATSAPP", "rcs": "RCS"}


class Creation(Options, total=False):
    """The form of a message."""

    to: Address
    schedule_type: Literal["fixed"]


class Order(NamedTuple):
    """A message that passed validation."""

    to: str
    from_: str
    service_sid: str | None
    body: str
    media_urls: list[str]
    start: float
    outcome: Outcome
    provide_feedback: bool
    validity: float
    content_sid: str | None = None
    status_callback: str | None = None


def order(twilio: State, request: Request) -> Order:
    """Validate a request. Raises a 400 for the first error.

    Twilio's magic numbers (https://www.twilio.com/docs/iam/test-credentials) work with any credentials. With
    test credentials one sender is valid, and nothing is sent or kept.

        From +15005550001 invalid (21212), 0007 cannot send (21606), 0008 queue full (21611), 0006 valid
        To   +15005550001 invalid (21211), 0002 no route (21612), 0003 country not enabled (21408),
             0004 opted out (21610), 0009 cannot receive SMS (21614)
    """
    pairs = form(request)
    if sum(name == "MediaUrl" for name, _ in pairs) > 10:
        raise Problem(400, 21623, "Number of media files exceeds allowed limit")
    values = made(pairs, Creation, _CODES, request.strict)
    _complete(values)
    start = _start(twilio, values)
    body = twilio.part(Contents).body(values) if values.get("content_sid") else values.get("body", "")
    to = values["to"]
    from_ = values.get("from_", "")
    sid = values.get("messaging_service_sid") or (from_ if from_.startswith("MG") else None)
    sender = _pooled(twilio, sid, to, from_, values) if sid else _own(twilio, request, from_)
    if to in _TO:
        raise _about(to, *_TO[to])
    _alike(to, sender)
    address = to.rpartition(":")[2]
    if twilio.part(OptOuts).holds(to, sender, sid):
        outcome = Outcome("FAILED", 21610)
    else:
        outcome = Outcomes(twilio.options.outcomes).of(address, _CHANNELS.get(to.partition(":")[0], "SMS"))
    if sid is None and outcome.code in (
        21408,
        21610,
    ):  # a service takes the message first, and fails it later
        raise Problem(400, outcome.code, message_of(outcome.code))
    if sid is None and twilio.part(Queues).wait(sender) > LENGTH:
        raise Problem(400, *_FROM["+15005550008"])
    return Order(
        to,
        sender,
        sid,
        body,
        values.get("media_url", []),
        start,
        outcome,
        values.get("provide_feedback", False),
        float(values.get("validity_period") or _validity(twilio, sid)),
        values.get("content_sid"),
        values.get("status_callback") or _callback_of(twilio, sid),
    )


def _validity(twilio: State, service_sid: str | None) -> float:
    """Return the seconds for which a message may wait in a queue, where it does not say so itself."""
    if service_sid is None:
        return LENGTH
    return float(twilio.part(Services).by_sid[service_sid].setting("validity_period"))


def _callback_of(twilio: State, service_sid: str | None) -> str | None:
    """Find the address of a service's status callbacks, which a message's own replaces."""
    return twilio.part(Services).by_sid[service_sid].settings.get("status_callback") if service_sid else None


def _complete(values: dict[str, Any]) -> None:
    if not values.get("to"):
        raise Problem(400, 21604, "A 'To' phone number is required")
    if not (values.get("from_") or values.get("messaging_service_sid")):
        raise Problem(400, 21603, "A 'From' phone number is required")
    if not (values.get("body") or values.get("media_url") or values.get("content_sid")):
        empty = "body" in values
        raise Problem(400, 21602 if empty else 21619, "A text message body or media urls must be specified")
    if values.get("content_variables") and not values.get("content_sid"):
        raise Problem(400, 21654, "ContentVariables needs ContentSid")
    if values.get("fallback_from") and not values.get("messaging_service_sid"):
        raise Problem(400, 21666, "FallbackFrom needs a messaging service")
    if values.get("shorten_urls") and not values.get("messaging_service_sid"):
        raise Problem(400, 20001, "ShortenUrls needs a messaging service")


def _start(twilio: State, values: dict[str, Any]) -> float:
    """Read the time when sending begins: now, or as scheduled."""
    now = twilio.clock.now()
    at = values.get("send_at")
    if at is None:
        if values.get("schedule_type"):
            raise Problem(400, 35111, "SendAt is required with ScheduleType")
        return now
    if not values.get("schedule_type"):
        raise Problem(400, 20001, "ScheduleType is required with SendAt")
    if not values.get("messaging_service_sid"):
        raise Problem(400, 35118, "Scheduling needs MessagingServiceSid")
    moment = float(at.timestamp())
    if moment - now <= SOONEST.total_seconds():
        raise Problem(400, 35117, "SendAt is less than 300 seconds ahead")
    if moment - now > LATEST.total_seconds():
        raise Problem(400, 35115, "SendAt is more than 35 days ahead")
    return moment


def _own(twilio: State, request: Request, sender: str) -> str:
    """Check that the account owns a sender; anyone may use an alphanumeric one."""
    if sender in _FROM:
        raise _about(sender, *_FROM[sender])
    if request.caller and request.caller.kind == "test":
        if sender != "+15005550006":
            raise _about(sender, *_FROM["+15005550007"])
        return sender
    channel, _, _ = sender.rpartition(":")
    named = not channel and sender[0] != "+" and any(char.isalpha() for char in sender)
    number = twilio.part(Inventory).at(sender)
    if number and not number.capabilities["sms"]:
        raise _about(sender, 21601, "Phone number {} cannot send SMS, since it is for voice only.")
    if twilio.options.check_senders and not named and not twilio.part(Inventory).owns(sender):
        unknown = (63007, "The channel could not find the 'From' address {}")
        raise _about(sender, *(unknown if channel else _FROM["+15005550007"]))
    return sender


def _about(address: str, code: int, text: str) -> Problem:
    """Build an error whose text names the address, as Twilio's do: a client must not show it."""
    return Problem(400, code, text.format(address))


def _pooled(twilio: State, sid: str, to: str, wanted: str, values: dict[str, Any]) -> str:
    """Find the service's sender: the one that was asked for, or the one that it chooses."""
    service = twilio.part(Services).by_sid.get(sid)
    if service is None:
        raise Problem(400, 21701, "The messaging service does not exist")
    addresses = service.addresses
    if not addresses:
        raise Problem(400, 21703, "The messaging service has no sender")
    fallback = values.get("fallback_from")
    if fallback and not any(address.startswith("rcs:") for address in addresses):
        raise Problem(400, 21667, "FallbackFrom needs an RCS sender in the messaging service")
    if wanted not in ("", sid, *addresses):
        raise _about(wanted, 21705, "The 'From' number {} is not in the messaging service.")
    if wanted in addresses:
        return wanted
    return twilio.part(SenderChoice).choose(service, to)


def _alike(to: str, sender: str) -> None:
    if to.rpartition(":")[0] != sender.rpartition(":")[0]:
        raise Problem(400, 21910, "'From' and 'To' must be of the same channel")
    if to == sender:
        raise _about(to, 21266, "'To' and 'From' number cannot be the same: {}")
