"""Bulk messages: list, fetch and seek. https://www.twilio.com/docs/bulk-messaging/api/message-resource."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.content import rendered, template
from airflow_provider_twilio_comms.emulator.comms.ids import (
    downstream_sid,
    message_id,
    place_of_message,
    place_of_sid,
)
from airflow_provider_twilio_comms.emulator.comms.operation import Operation, Party
from airflow_provider_twilio_comms.emulator.comms.outbox import Outbox
from airflow_provider_twilio_comms.emulator.comms.outcomes import message_of
from airflow_provider_twilio_comms.emulator.comms.queries import (
    VERSION,
    choice,
    date_range,
    identifier,
    tag_filter,
)
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply
from airflow_provider_twilio_comms.emulator.paging import page_size, position, token_of
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.comms.timeline import Fronts
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes", "row"]

routes: Routes = Routes("comms", VERSION)
_CHANNELS = ("SMS", "RCS", "WHATSAPP")
_STATUSES = (
    *("QUEUED", "SENT", "SCHEDULED", "DELIVERED", "READ", "FAILED", "UNDELIVERED"),
    *("CANCELED", "GROUP", "INBOUND"),
)


def row(operation: Operation, index: int, now: float, fronts: Fronts, version: str = "v1") -> dict[str, Any]:
    """Build a message's row in a list, without content and attempts."""
    attempts = operation.recipients.plan(index).attempts
    parties = operation.recipients.parties(index)
    reached = parties[attempts[-1].address if attempts else 0]
    return {
        "id": message_id(operation.key, index),
        "from": _sender(operation, attempts[-1].sender if attempts else 0),
        "to": [_shown(operation, index, reached)],
        "status": operation.message_status(index, now, fronts),
        "related": [
            {
                "name": "OPERATION",
                "id": operation.id,
                "uri": f"/{version}/Messages/Operations/{operation.id}",
            }
        ],
        "tags": tags_of(operation, index),
        "scheduledFor": iso(operation.scheduled_for) if operation.scheduled_for else None,
        "createdAt": iso(operation.created),
        "updatedAt": iso(operation.message_updated(index, now, fronts)),
        "deletedAt": None,
    }


def _shown(operation: Operation, index: int, party: Party) -> dict[str, Any]:
    """Show a recipient: a stored person with the profile, and without an address if there is none."""
    profile = operation.recipients.profiles.get(index, {})
    address = {} if party.channel == "PROFILE" else {"address": party.address, "channel": party.channel}
    return {**address, **profile}


def _sender(operation: Operation, number: int) -> dict[str, Any]:
    if not operation.sources:
        return {"senderPoolId": operation.pool} if operation.pool else {}
    return operation.sources[number].view(operation.pool)


def tags_of(operation: Operation, index: int) -> dict[str, str]:
    """Render the tags for a recipient, since they may hold Liquid."""
    if not operation.liquid_tags:
        return operation.tags
    variables = operation.recipients.variables(index)
    return {
        key: rendered(template(value, key), variables) if "{" in value else value
        for key, value in operation.tags.items()
    }


@routes("GET", "/Messages")
def list_messages(twilio: State, request: Request, version: str) -> Reply:
    """List messages, newest operations first. A token names the last place, so new messages shift nothing."""
    now, size = twilio.clock.now(), page_size(request.values.get("pageSize"))
    token = request.values.get("pageToken")
    place = position(token)
    if place and (len(place) != 3 or place[0] != "messages" or {*map(type, place[1:])} != {int}):
        raise Problem(400, 21481, "The page token is not valid", "pageToken")
    number, index = place[1:] if place else (None, 0)
    found = list(islice(_matching(twilio, request, now, number, index), size + 1))
    following = found[size] if len(found) > size else None
    rows = [
        row(operation, at, now, operation.timeline.fronts(now), version) for operation, at in found[:size]
    ]
    pagination = {
        "next": token_of("messages", following[0].number, following[1]) if following else None,
        "self": token or token_of("messages", *((found[0][0].number, found[0][1]) if found else (0, 0))),
    }
    return json_reply({"messages": rows, "pagination": pagination})


def _matching(
    twilio: State, request: Request, now: float, number: int | None, index: int
) -> Iterator[tuple[Operation, int]]:
    """Find the messages that match the query, from a place on."""
    operation_id = identifier(request, "operationId", "comms_operation")
    session = identifier(request, "sessionId", "comms_session")  # there are none here
    profile = identifier(request, "profile", "mem_profile")
    channel, status = choice(request, "channel", _CHANNELS), choice(request, "status", _STATUSES)
    (since, until), tags = date_range(request), tag_filter(request)
    if twilio.options.ignore_tags:
        tags = {}
    rows = twilio.options.unaddressable_rows
    for operation in twilio.part(Outbox).newest_first(number, twilio.options.list_lag):
        if session or operation_id not in (None, operation.id) or not since <= operation.created <= until:
            continue
        if tags and not operation.liquid_tags and not tags.items() <= operation.tags.items():
            continue
        fronts = operation.timeline.fronts(now)
        for at in operation.indices(index if operation.number == number else 0, rows):
            if (
                (channel is None or _sender_channel(operation, at) == channel)
                and (profile is None or operation.recipients.profiles.get(at, {}).get("profileId") == profile)
                and (status is None or operation.message_status(at, now, fronts) == status)
                and (not operation.liquid_tags or tags.items() <= tags_of(operation, at).items())
            ):
                yield operation, at


def _sender_channel(operation: Operation, index: int) -> str | None:
    attempts = operation.recipients.plan(index).attempts
    return operation.sources[attempts[-1].sender].channel if attempts else None


@routes("GET", "/Messages/{messageId}")
def fetch(twilio: State, request: Request, version: str, message_id: str) -> Reply:
    place = place_of_message(message_id)
    operation = twilio.part(Outbox).at(place)
    if operation is None or place is None:
        raise Problem(404, 20404, "The message was not found")
    now, index = twilio.clock.now(), place.index
    fronts = operation.timeline.fronts(now)
    shown = row(operation, index, now, fronts, version)
    channel = _sender_channel(operation, index)
    shown["content"] = operation.content.as_sent(channel, operation.recipients.variables(index))
    shown["attempts"] = _attempts(operation, index, shown["status"]) if index < fronts.sent else []
    return json_reply(shown)


def _attempts(operation: Operation, index: int, status: str) -> list[dict[str, Any]]:
    """Build the attempts: all but the last have ended, and errors show once the message has.

    The sender of an attempt has no pool, that of the message has."""
    recipients = operation.recipients
    plan, parties, views = recipients.plan(index), recipients.parties(index), []
    for number, attempt in enumerate(plan.attempts):
        current = status if attempt is plan.attempts[-1] else attempt.status
        party = parties[attempt.address]
        sid = downstream_sid(operation.key, index, number, operation.content.multimedia)
        view: dict[str, Any] = {
            "from": operation.sources[attempt.sender].view(),
            "to": [_shown(operation, index, party)],
            "status": current,
            "attemptedAt": iso(operation.timeline.sent_at(index)),
            "infoUrl": f"https://console.twilio.com/us1/monitor/logs/sms/{operation.account_sid}/{sid}",
            "error": _error(attempt.code) if attempt.code and current == attempt.status else None,
        }
        views.append(view)
    return views


def _error(code: int) -> dict[str, Any]:
    return {
        "code": code,
        "message": message_of(code),
        "infoUrl": f"https://www.twilio.com/docs/errors/{code}",
    }


@routes("GET", "/Messages/Seek/{identifier}")
def seek(twilio: State, request: Request, version: str, identifier: str) -> Reply:
    """Redirect (301) from an attempt's SM or MM SID to its message."""
    if identifier[:2] not in ("SM", "MM") or len(identifier) != 34:
        raise Problem(400, 20001, "Not the SID of a message")
    place = place_of_sid(identifier)
    operation = twilio.part(Outbox).at(place)
    if operation is None or place is None:
        raise Problem(404, 20404, "The message was not found")
    location = address("comms", f"/{version}/Messages/{message_id(operation.key, place.index)}")
    return Reply(301, {"location": location})
