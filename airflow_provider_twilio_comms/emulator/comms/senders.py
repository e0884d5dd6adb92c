"""Senders, with search and resolve: https://www.twilio.com/docs/bulk-messaging/api/sender-resource"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.comms.inventory import Inventory, Sender
from airflow_provider_twilio_comms.emulator.comms.modules import Strict, Text
from airflow_provider_twilio_comms.emulator.comms.queries import VERSION, choice, date_range
from airflow_provider_twilio_comms.emulator.comms.reading import Body
from airflow_provider_twilio_comms.emulator.comms.routing import pooled, reaches
from airflow_provider_twilio_comms.emulator.comms.schema import (
    Channel,
    Controls,
    PoolId,
    problem_with_controls,
)
from airflow_provider_twilio_comms.emulator.http import Problem, Request, json_reply
from airflow_provider_twilio_comms.emulator.paging import comms_page, page_size
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["listed", "routes"]

routes: Routes = Routes("comms", VERSION)
_CHANNELS = ("SMS", "RCS", "EMAIL", "WHATSAPP", "PUSH")
_STATUSES = ("ACTIVATED", "DEACTIVATED")
MOST_ROUTES = 10


class Search(Strict):
    address: Text
    channel: Channel
    status: str | UnsetType = UNSET
    page_token: str | UnsetType = UNSET
    page_size: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET


class Addressee(Strict):
    """The address of a recipient."""

    address: Text
    channel: Literal["EMAIL", "PHONE", "WHATSAPP", "PUSH"]


class SenderAddress(Strict):
    """The address of a sender."""

    address: Text
    channel: Literal["SMS", "RCS", "WHATSAPP"]


class Resolve(Strict):
    """The body of resolve, with a sender of messaging only: email and push are other products."""

    recipient_addresses: Annotated[list[Addressee], Meta(min_length=1, max_length=100)]
    sender_pool_id: PoolId | UnsetType = UNSET
    sender_addresses: SenderAddress | UnsetType = UNSET  # one, in spite of its name
    channels: Controls | UnsetType = UNSET


_SEARCH, _RESOLVE = Body[Search](Search), Body[Resolve](Resolve)


def listed(request: Request, senders: Iterable[Sender]) -> Reply:
    """Build a page of senders, with the filters of both lists."""
    channel, status = choice(request, "channel", _CHANNELS), choice(request, "status", _STATUSES)
    since, until = date_range(request)
    found = (
        sender.view()
        for sender in senders
        if channel in (None, sender.channel)
        and status in (None, sender.status)
        and since <= sender.created <= until
    )
    return _page(found, request.values.get("pageToken"), page_size(request.values.get("pageSize")))


def _page(found: Iterable[dict[str, Any]], token: str | None, size: int) -> Reply:
    items, pagination = comms_page("senders", found, size, token)
    return json_reply({"senders": items, "pagination": pagination})


@routes("GET", "/Senders")
def list_senders(twilio: State, request: Request, version: str) -> Reply:
    return listed(request, twilio.part(Inventory).senders.values())


@routes("GET", "/Senders/{senderId}")
def fetch(twilio: State, request: Request, version: str, sender_id: str) -> Reply:
    sender = twilio.part(Inventory).senders.get(sender_id)
    if sender is None:
        raise Problem(404, 20404, "The sender was not found")
    return json_reply(sender.view())


@routes("POST", "/Senders/Search")
def search(twilio: State, request: Request, version: str) -> Reply:
    """Search senders; paging is part of the body."""
    asked = _SEARCH.read(request)
    if isinstance(asked.status, str) and asked.status not in _STATUSES:
        raise Problem(400, 20001, "status is one of ACTIVATED, DEACTIVATED", "$.status")
    found = (
        sender.view()
        for sender in twilio.part(Inventory).senders.values()
        if (sender.address, sender.channel) == (asked.address, asked.channel)
        and asked.status in (UNSET, sender.status)
    )
    token = asked.page_token if isinstance(asked.page_token, str) else None
    return _page(found, token, asked.page_size if isinstance(asked.page_size, int) else 50)


@routes("POST", "/Senders/Resolve")
def resolve(twilio: State, request: Request, version: str) -> Reply:
    """Resolve senders for a person's addresses, the preferred first, at most ten: a dry run of routing."""
    asked, inventory = _RESOLVE.read(request), twilio.part(Inventory)
    strict = request.strict
    if isinstance(asked.channels, Controls):
        problem = problem_with_controls(asked.channels, _CHANNELS, strict)
        if problem:
            raise Problem(400, 20001, problem, "$.channels")
    if strict and asked.sender_pool_id is not UNSET and asked.sender_addresses is not UNSET:
        raise Problem(400, 20001, "senderPoolId and senderAddresses exclude each other", "$")
    sources = pooled(_candidates(inventory, asked), asked.channels)
    routes_found = [
        (source, each)
        for source in sources
        for each in asked.recipient_addresses
        if reaches(source.channel, each.channel)
    ]
    results = [
        {
            "from": {
                "senderId": source.sender_id,
                "displayName": inventory.senders[str(source.sender_id)].name,
                "address": source.address,
                "channel": source.channel,
            },
            "to": {"address": each.address, "channel": each.channel},
            "priority": priority,
        }
        for priority, (source, each) in enumerate(routes_found[:MOST_ROUTES])
    ]
    return json_reply({"results": results})


def _candidates(inventory: Inventory, asked: Resolve) -> list[Sender]:
    if isinstance(asked.sender_pool_id, str):
        pool = inventory.pool(asked.sender_pool_id)
        if pool is None:
            raise Problem(404, 20404, "The sender pool was not found")
        return inventory.members(pool)
    if isinstance(asked.sender_addresses, SenderAddress):
        found = inventory.sender_at(asked.sender_addresses.address, asked.sender_addresses.channel)
        return [found] if found else []
    return [sender for sender in inventory.senders.values() if sender.status == "ACTIVATED"]
