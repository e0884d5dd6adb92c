"""Messages and message feedback: https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from airflow_provider_twilio_comms.api.classic.feedback import Outcome
from airflow_provider_twilio_comms.api.classic.messages import Filter
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.classic.fields import asked, given, required
from airflow_provider_twilio_comms.emulator.classic.outbox import SENT, Media, Message, Messages
from airflow_provider_twilio_comms.emulator.classic.sending import Order, order
from airflow_provider_twilio_comms.emulator.classic.status_callbacks import StatusCallbacks
from airflow_provider_twilio_comms.emulator.clock import rfc2822
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import uri_page
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes", "within"]

routes: Routes = Routes("api", "/2010-04-01/Accounts/{AccountSid}/Messages")


class _Update(TypedDict, total=False):
    body: str
    status: Literal["canceled"]


class _Feedback(TypedDict, total=False):
    outcome: Outcome


@routes("POST", ".json", test=True)
def create(twilio: State, request: Request, account_sid: str) -> Reply:
    """Create a message. The ledger counts it when accepted, except with test credentials."""
    ordered = order(twilio, request)
    message = _message(twilio, account_sid, ordered)
    if not (request.caller and request.caller.kind == "test"):
        if twilio.options.null_sink:
            twilio.ledger.accept_uncounted(1)
        else:
            twilio.part(Messages).by_sid[message.sid] = message
            twilio.ledger.accept([ordered.to.rpartition(":")[2]])
            twilio.part(StatusCallbacks).expect(message)
    view = message.view(message.created, message.initial)
    del view["subresource_uris"]["feedback"]  # only later replies name it
    return json_reply(view, 201)


def _message(twilio: State, account_sid: str, ordered: Order) -> Message:
    now, bits = twilio.clock.now(), twilio.random.getrandbits
    sid = f"{'MM' if ordered.media_urls or ordered.content_sid else 'SM'}{bits(128):032x}"
    files = [
        Media(f"ME{bits(128):032x}", sid, account_sid, url, _type_of(url), now) for url in ordered.media_urls
    ]
    return Message(
        sid=sid,
        account_sid=account_sid,
        to=ordered.to,
        from_=ordered.from_,
        service_sid=ordered.service_sid,
        body=ordered.body,
        outcome=ordered.outcome,
        created=now,
        start=ordered.start,
        pace=twilio.options.pace,
        lag=twilio.options.receipts_lag,
        provide_feedback=ordered.provide_feedback,
        status_callback=ordered.status_callback,
        media={file.sid: file for file in files},
        media_count=len(files),
    )


def _type_of(url: str) -> str:
    return mimetypes.guess_type(url.partition("?")[0])[0] or "image/jpeg"


@routes("GET", ".json")
def list_messages(twilio: State, request: Request, account_sid: str) -> Reply:
    """List messages, newest first. Messages without a date are in no list by date."""
    only, now = asked(request, Filter), twilio.clock.now()
    sent = within(only, "sent_on")
    found = (
        message
        for message in twilio.part(Messages).listed(account_sid)
        if only.get("to") in (None, message.to)
        and only.get("from_") in (None, message.sender(message.status(now)))
        and (sent is None or (message.status(now) in (*SENT, "received") and sent(message.sent_at)))
    )
    return uri_page(request, "messages", found, lambda message: message.view(now))


def within(only: dict[str, Any], name: str) -> Callable[[float], bool] | None:
    """Tell if a moment is within the bounds of a filter, both included; None means no bound."""
    on, since, until = (only.get(f"{name}{suffix}") for suffix in ("", "_or_after", "_or_before"))
    if not (on or since or until):
        return None
    first = max((_span(bound)[0] for bound in (on, since) if bound), default=float("-inf"))
    last = min((_span(bound)[1] for bound in (on, until) if bound), default=float("inf"))
    return lambda moment: first <= moment <= last


def _span(bound: date) -> tuple[float, float]:
    """Return the span of a bound: the second of a moment, or a whole UTC day."""
    if isinstance(bound, datetime):
        return bound.timestamp(), bound.timestamp() + 0.999
    start = datetime(bound.year, bound.month, bound.day, tzinfo=timezone.utc)
    return start.timestamp(), (start + timedelta(days=1)).timestamp() - 0.001


@routes("GET", "/{Sid}.json")
def fetch(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    return json_reply(twilio.part(Messages).get(account_sid, sid).view(twilio.clock.now()))


@routes("POST", "/{Sid}.json")
def update(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    """Change a message: an empty ``Body`` redacts it, ``Status=canceled`` cancels it; never both."""
    message, now = twilio.part(Messages).get(account_sid, sid), twilio.clock.now()
    change = given(request, _Update, {"Status": 30400})
    if len(change) != 1 or change.get("body"):
        raise Problem(400, 30400, "Exactly one of an empty Body and Status=canceled is needed")
    if "body" in change:
        message.body = ""
    elif message.status(now) != "scheduled":
        raise Problem(409, 30409, "The message cannot be canceled")
    else:
        message.canceled_at = now
        twilio.part(StatusCallbacks).cancel(message)
    message.updated = now
    return json_reply(message.view(now))


@routes("DELETE", "/{Sid}.json")
def delete(twilio: State, request: Request, account_sid: str, sid: str) -> Reply:
    """Delete a message and its media."""
    messages = twilio.part(Messages)
    if messages.get(account_sid, sid).status(twilio.clock.now()) in (
        *("accepted", "scheduled", "queued", "sending"),
    ):
        raise Problem(409, 20009, "Cannot delete a message that is not finished")
    del messages.by_sid[sid]
    return Reply(204)


@routes("POST", "/{MessageSid}/Feedback.json")
def give_feedback(twilio: State, request: Request, account_sid: str, message_sid: str) -> Reply:
    """Record feedback. Answers 200, as the document says, although something is created."""
    message = twilio.part(Messages).get(account_sid, message_sid)
    outcome = required(given(request, _Feedback), "outcome", "Outcome")
    if not message.provide_feedback:
        raise Problem(400, 20001, "The message was not sent with ProvideFeedback")
    now = rfc2822(twilio.clock.now())
    return json_reply(
        {
            "account_sid": account_sid,
            "message_sid": message_sid,
            "outcome": outcome,
            "date_created": now,
            "date_updated": now,
            "uri": f"/2010-04-01/Accounts/{account_sid}/Messages/{message_sid}/Feedback.json",
        }
    )
