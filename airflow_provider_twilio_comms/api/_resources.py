"""Readers of the classic API's replies: resources, pages of resources, and redirects to files.

Reading is lenient: unknown fields are ignored, unknown statuses stay text, numbers may arrive as strings and
dates in either of Twilio's styles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from airflow_provider_twilio_comms.api._times import when
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, next_query, unreadable, without_nulls

R = TypeVar("R", bound="Resource")
Query = Sequence[tuple[str, str]]

_SHOWN = ("sid", "status", "error_code", "iso_country", "country_code", "category")


class Resource(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A resource that Twilio stores. Its repr names it and hides the rest, which may be numbers and texts."""

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)}" for name in _SHOWN if getattr(self, name, None)]
        return f"<{' '.join([type(self).__name__, *shown])}>"


class Elsewhere(msgspec.Struct, frozen=True):
    """The signed address of a file, to be read soon and without credentials. Its repr hides the address."""

    url: str

    def __repr__(self) -> str:
        return "<Elsewhere>"


def one(shape: type[R]) -> Callable[[Reply], R]:
    """Make a reader of a reply that is one resource."""
    return lambda reply: _shaped(reply, reply.json(), shape)


def paged(call: Call[Any], key: str, shape: type[R]) -> Call[Page[R]]:
    """Read the reply of a call that lists as a page, with the call for the next page.

    Both styles are read: ``next_page_uri`` beside the rows, and ``meta.next_page_url``. Only the query of the
    address is used, on the call's own path and host; a page that was already seen ends the list.
    """
    return _page(call, key, shape, frozenset([tuple(call.query)]))


def _page(call: Call[Any], key: str, shape: type[R], seen: frozenset[Query]) -> Call[Page[R]]:
    def read(reply: Reply) -> Page[R]:
        body = reply.json()
        if not isinstance(body, dict) or not isinstance(body.get(key), list):
            raise unreadable(reply, f"there is no list named {key}")
        items = [_shaped(reply, row, shape) for row in body[key]]
        address = body.get("next_page_uri") or (body.get("meta") or {}).get("next_page_url")
        query = tuple(next_query(address)) if address else tuple(call.query)
        following = None if query in seen else _page(replace(call, query=query), key, shape, seen | {query})
        return Page(items, following)

    return replace(call, read=read)


def nothing(reply: Reply) -> None:
    """Read a reply without content, such as 204."""


def elsewhere(reply: Reply) -> Elsewhere:
    """Read the address that a redirect names: its ``Location``, else ``redirect_to`` in its body."""
    url = reply.headers.get("location")
    if not url:
        body = reply.json()
        url = body.get("redirect_to") if isinstance(body, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise unreadable(reply, "it has no address of a file")
    return Elsewhere(url)


def _shaped(reply: Reply, row: Any, shape: type[R]) -> R:
    if not isinstance(row, dict):
        raise unreadable(reply, f"there is no {shape.__name__} in it")
    tidied = {
        name: _tidiers(shape)[name](value) if name in _tidiers(shape) else value
        for name, value in row.items()
    }
    try:
        return msgspec.convert(tidied, shape, strict=False)
    except msgspec.ValidationError as error:
        try:
            return msgspec.convert(without_nulls(tidied, ""), shape, strict=False)
        except msgspec.ValidationError:
            raise unreadable(reply, str(error)) from None


@cache
def _tidiers(shape: type[Resource]) -> dict[str, Callable[[Any], Any]]:
    """Functions that prepare fields for msgspec, by the type that each field is to have."""
    tidiers: dict[str, Callable[[Any], Any]] = {}
    for field in msgspec.structs.fields(shape):
        kinds = set(get_args(field.type)) or {field.type}
        if datetime in kinds:
            tidiers[field.encode_name] = _moment
        elif kinds & {int, float, Decimal, date}:
            tidiers[field.encode_name] = _number
        elif dict[str, bool] in kinds:
            tidiers[field.encode_name] = _flags
    return tidiers


def _moment(value: Any) -> datetime | None:
    """Read a time in UTC as a plain datetime: msgspec rejects pendulum's."""
    moment = when(value) if isinstance(value, str) else None
    return moment and datetime.fromtimestamp(moment.timestamp(), timezone.utc)


def _number(value: Any) -> Any:
    return None if value == "" else value


def _flags(value: Any) -> Any:
    """Read capabilities: ``{"sms": true}``, and ``{"SMS": true}`` in older replies."""
    return {name.lower(): flag for name, flag in value.items()} if isinstance(value, dict) else None
