"""Single messages: https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, TypedDict
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from typing_extensions import Unpack

from airflow_provider_twilio_comms.api._forms import (
    Address,
    ApplicationSid,
    Callback,
    ContentSid,
    Day,
    FileUrl,
    MessageSid,
    Named,
    Paged,
    Sender,
    ServiceSid,
    ValidityPeriod,
    one_of,
    pairs,
    quoted,
    valid,
)
from airflow_provider_twilio_comms.api._resources import Resource, nothing, one, paged
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = [
    "FINAL",
    "LATEST",
    "SOONEST",
    "Filter",
    "Message",
    "Options",
    "Sent",
    "cancel",
    "delete",
    "fetch",
    "list",
    "redact",
    "schedulable",
    "send",
    "series",
]

MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
MESSAGE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"

# Statuses that no longer change. "sent" is the last one where a carrier reports no delivery.
FINAL = frozenset(
    {"delivered", "undelivered", "failed", "canceled", "read", "partially_delivered", "received"}
)

# https://www.twilio.com/docs/messaging/features/message-scheduling
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=35)


class Message(Resource, frozen=True):
    """A message. ``from_`` is None until a messaging service has chosen, ``price`` until it is billed."""

    sid: str
    status: str | None = None
    account_sid: str | None = None
    messaging_service_sid: str | None = None
    to: str | None = None
    from_: str | None = None
    body: str | None = None
    direction: str | None = None  # inbound, outbound-api, outbound-call, outbound-reply
    num_segments: int | None = None
    num_media: int | None = None
    price: Decimal | None = None  # negative: it is taken from the balance
    price_unit: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    date_created: datetime | None = None
    date_sent: datetime | None = None
    date_updated: datetime | None = None

    @property
    def final(self) -> bool:
        """True once its status can no longer change."""
        return self.status in FINAL


class Options(TypedDict, total=False):
    """Optional arguments of a message."""

    from_: Sender
    messaging_service_sid: ServiceSid
    body: Annotated[str, Meta(max_length=1600, description="up to 1,600 characters")]
    media_url: Annotated[
        Sequence[FileUrl],
        Meta(min_length=1, max_length=10, description="a list of 1 to 10 http(s) addresses"),
    ]
    content_sid: ContentSid
    content_variables: Annotated[Mapping[str, str], Meta(description='texts by name, such as {"1": "Ada"}')]
    send_at: datetime  # between five minutes and 35 days from now, see schedulable()
    status_callback: Callback
    application_sid: ApplicationSid
    validity_period: ValidityPeriod  # above 5 recommended
    provide_feedback: bool
    shorten_urls: bool  # needs a messaging service
    smart_encoded: bool
    send_as_mms: bool
    force_delivery: bool  # reserved by Twilio: said to try landlines too, no effect is promised
    content_retention: Literal["retain", "discard"]
    address_retention: Literal["retain", "obfuscate"]
    risk_check: Literal["enable", "disable"]
    message_intent: Literal[
        "otp",
        "notifications",
        "marketing",
        "fraud",
        "security",
        "customercare",
        "delivery",
        "education",
        "polling",
        "announcements",
        "events",
    ]
    fallback_from: Sender  # RCS only, needs a messaging service with an RCS sender
    persistent_action: Annotated[Sequence[str], Meta(min_length=1, description="a list of actions")]
    traffic_type: Literal["free"]
    attempt: Annotated[int, Meta(ge=1)]
    max_price: Decimal  # taken, and without effect since 3 June 2024
    tags: Annotated[Mapping[str, str], Meta(max_length=10, description="up to 10 texts by name")]  # pilot


class Filter(Paged, total=False):
    """Filters of the list of messages. A day is a UTC day, ``sent_on`` always; both bounds are inclusive."""

    to: Address
    from_: Sender
    sent_on: Annotated[date | datetime, Named("DateSent"), Day()]
    sent_on_or_before: Annotated[date | datetime, Named("DateSent<")]
    sent_on_or_after: Annotated[date | datetime, Named("DateSent>")]


def send(to: Address, **options: Unpack[Options]) -> Call[Message]:
    """Send one message: ``POST /2010-04-01/Accounts/{AccountSid}/Messages.json``.

    It needs ``from_`` or ``messaging_service_sid``, and ``body``, ``media_url`` or ``content_sid``.
    ``send_at`` schedules it, which takes a messaging service.
    """
    one_of(options, "from_", "messaging_service_sid")
    one_of(options, "body", "media_url", "content_sid")
    if options.get("content_variables") and not options.get("content_sid"):
        raise InvalidInput.at("content_variables", "there is no content template", "Give content_sid too")
    form = [("To", valid("to", to, Address)), *_form(options)]
    return Call("POST", MESSAGES, one(Message), "api", form=form, effect="sends", recipients=(to,))


class Sent(msgspec.Struct, frozen=True):
    """The part of a new message's reply that says what became of it."""

    sid: str
    status: str | None = None


def series(
    **shared: Unpack[Options],
) -> Callable[[str, str | None, Mapping[str, str] | None], Call[Sent]]:
    """Prepare many messages that differ in recipient and text only; returns what makes the call of each.

    ``POST /2010-04-01/Accounts/{AccountSid}/Messages.json``, as :func:`send` makes it, of a recipient, a text
    and a content template's variables. What all share is checked here and once; a recipient's number is not
    checked again.
    """
    one_of(shared, "from_", "messaging_service_sid")
    form = urlencode(_form(shared)).encode()

    def call(to: str, body: str | None, variables: Mapping[str, str] | None) -> Call[Sent]:
        own = b"%b&To=%b" % (form, quoted(to.encode()))
        if body is not None:
            own += b"&Body=" + quoted(body.encode())
        if variables:
            own += b"&ContentVariables=" + quoted(msgspec.json.encode(variables))
        return Call("POST", MESSAGES, _sent, "api", form=own, effect="sends", recipients=(to,))

    return call


def _sent(reply: Reply) -> Sent:
    return decoded(reply, Sent)


def _form(options: Options) -> builtins.list[tuple[str, str]]:
    """The fields of a message but the recipient's."""
    for field in ("send_at", "shorten_urls", "fallback_from"):
        if options.get(field) and not options.get("messaging_service_sid"):
            raise InvalidInput.at(field, "needs a messaging service", "Give messaging_service_sid too")
    form = pairs(Options, options)
    if options.get("send_at"):
        form.append(("ScheduleType", "fixed"))
    return form


def schedulable(send_at: datetime, now: datetime) -> None:
    """Check that Twilio can schedule a time, else raise :class:`InvalidInput`; :func:`send` has no clock."""
    if not SOONEST < valid("send_at", send_at, datetime) - now <= LATEST:
        raise InvalidInput.at(
            "send_at", "cannot be scheduled", "Expected over 5 minutes and up to 35 days ahead"
        )


def list(**only: Unpack[Filter]) -> Call[Page[Message]]:
    """List messages, newest first: ``GET /2010-04-01/Accounts/{AccountSid}/Messages.json``.

    Twilio has no filter by status. A message that is not sent yet has no date, so no date filter finds it.
    """
    return paged(Call("GET", MESSAGES, nothing, "api", query=pairs(Filter, only)), "messages", Message)


def fetch(sid: MessageSid) -> Call[Message]:
    """Read a message: ``GET /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json``."""
    return Call("GET", MESSAGE, one(Message), "api", _at(sid))


def redact(sid: MessageSid) -> Call[Message]:
    """Remove a message's text: ``POST /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json``."""
    return Call("POST", MESSAGE, one(Message), "api", _at(sid), form=[("Body", "")])


def cancel(sid: MessageSid) -> Call[Message]:
    """Cancel a scheduled message: ``POST /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json``.

    Code 30409 means that it is too late.
    """
    return Call("POST", MESSAGE, one(Message), "api", _at(sid), form=[("Status", "canceled")])


def delete(sid: MessageSid) -> Call[None]:
    """Delete a message and its media: ``DELETE /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json``.

    Code 20009 means that it is still in flight.
    """
    return Call("DELETE", MESSAGE, nothing, "api", _at(sid))


def _at(sid: str) -> dict[str, str]:
    return {"Sid": valid("sid", sid, MessageSid)}
