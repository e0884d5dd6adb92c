"""Paging of lists, in the styles of both generations of the API.

comms: ``{"pagination": {"next": token, "self": token}}``, asked for with ``pageToken`` and ``pageSize``.
Classic: ``page``, ``next_page_uri`` (2010-04-01) or ``meta.next_page_url`` (the rest), asked for with
``PageSize``, ``Page`` and ``PageToken``; a page above 0 without a token is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.http import Problem, Request, address, json_reply

__all__ = ["comms_page", "meta_page", "page_size", "position", "token_of", "uri_page"]

T = TypeVar("T")


def token_of(*position: int | str) -> str:
    """Make an opaque token for a position in a list."""
    return "T_" + base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def position(token: str | None, context: str = "$.pageToken") -> list[Any] | None:
    """Read the position from a token. Raises a 400 for one that this emulator never issued."""
    if token is None:
        return None
    try:
        padded = token[2:] + "=" * (-len(token[2:]) % 4)
        place = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=list[Any])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        place = []
    if not token.startswith("T_") or not place:
        raise Problem(400, 21481, "The page token is not valid", context)
    return place


def page_size(value: str | int | None, context: str = "pageSize") -> int:
    """Read the page size: 1 to 1000, by default 50."""
    text = "50" if value is None else str(value)
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise Problem(400, 20001, f"{context} is not a number from 1 to 1000", context)
    return int(text)


def comms_page(
    name: str, rows: Iterable[Mapping[str, Any]], size: int, token: str | None
) -> tuple[list[Any], dict[str, Any]]:
    """Take a page of ``rows``, as (items, pagination), after a token's row: new ones shift nothing."""
    place = position(token)
    if place and [name, *map(type, place[1:])] != [place[0], str, int]:
        raise Problem(400, 21481, "The page token is not valid", "$.pageToken")
    last, start = place[1:] if place else ("", 0)
    following, passed = iter(rows), list[Mapping[str, Any]]()
    if place:
        for row in following:
            passed.append(row)
            if row["id"] == last:
                passed.clear()
                break
    if passed:  # the row is gone
        following, passed = iter(passed[start:]), []
    items = list(islice(following, size + 1))
    more = len(items) > size
    pagination = {
        "next": token_of(name, items[size - 1]["id"], start + size) if more else None,
        "self": token or token_of(name, "", 0),
    }
    return items[:size], pagination


class _Classic(NamedTuple):
    page: int
    size: int
    start: int
    items: list[Any]
    total: int
    query: dict[str, str]
    tokens: dict[int, str]

    def path(self, request: Request, page: int) -> str:
        token = {"PageToken": self.tokens[page]} if page else {}
        query = {**self.query, "PageSize": str(self.size), "Page": str(page), **token}
        return f"{request.path}?{urlencode(query)}"


def _classic(request: Request, items: Iterable[Any]) -> _Classic:
    query = dict(request.values)
    size_text, page_text, token = (
        query.pop("PageSize", "50"),
        query.pop("Page", "0"),
        query.pop("PageToken", None),
    )
    if not size_text.isdecimal() or int(size_text) < 1 or not page_text.isdecimal():
        raise Problem(400, 20001, "Invalid paging parameter")
    size, page = int(size_text), int(page_text)
    if size > 1000:
        raise Problem(400, 20007, "Page size too large")
    if page and not token:
        raise Problem(400, 20001, "PageToken is required")
    listed = list(items)
    start = _start(token, listed, page * size) if token else 0
    tokens = {
        number: _after(listed[end - 1], end)
        for number, end in ((page - 1, start - size), (page, start), (page + 1, start + size))
        if 0 < end <= len(listed)
    }
    return _Classic(page, size, start, listed[start : start + size], len(listed), query, tokens)


def _sid_of(row: Any) -> str | None:
    sid = row.get("sid") if isinstance(row, Mapping) else getattr(row, "sid", None)
    return sid if isinstance(sid, str) else None


def _after(row: Any, number: int) -> str:
    """Make the token of the page after a row: PA and its SID, or its number in a list of what has none."""
    return f"PA{_sid_of(row) or number}"


def _start(token: str, listed: Sequence[Any], otherwise: int) -> int:
    """Find the place after a token's row, so that new rows shift nothing; by number if the row is gone."""
    if token == f"PA{otherwise}":
        return otherwise
    if not re.fullmatch(r"PA[A-Z]{2}[0-9a-f]{32}", token):
        raise Problem(400, 21481, "Invalid PageToken")
    places = (place for place, row in enumerate(listed, 1) if _sid_of(row) == token[2:])
    return next(places, otherwise)


def uri_page(
    request: Request, key: str, items: Iterable[T], view: Callable[[T], Mapping[str, Any]] | None = None
) -> Reply:
    """Build a page of 2010-04-01, with relative addresses. ``view`` builds only the rows of that page."""
    part = _classic(request, items)
    more = part.total > part.start + part.size
    return json_reply(
        {
            key: [view(item) for item in part.items] if view else part.items,
            "page": part.page,
            "page_size": part.size,
            "start": part.start,
            "end": max(part.start, part.start + len(part.items) - 1),
            "uri": part.path(request, part.page),
            "first_page_uri": part.path(request, 0),
            "next_page_uri": part.path(request, part.page + 1) if more else None,
            "previous_page_uri": part.path(request, part.page - 1) if part.page else None,
        }
    )


def meta_page(request: Request, key: str, items: Iterable[Mapping[str, Any]]) -> Reply:
    """Build a page of messaging, pricing or content, with absolute addresses."""
    part = _classic(request, items)
    more = part.total > part.start + part.size

    def full(page: int) -> str:
        return address(request.product, part.path(request, page))

    meta = {
        "key": key,
        "page": part.page,
        "page_size": part.size,
        "url": full(part.page),
        "first_page_url": full(0),
        "next_page_url": full(part.page + 1) if more else None,
        "previous_page_url": full(part.page - 1) if part.page else None,
    }
    return json_reply({key: part.items, "meta": meta})
