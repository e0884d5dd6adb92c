"""Paging of the APIs that speak JSON: the same query on every page, and an opaque token for the next one.

The token is ``pagination.next`` in the Communications API, ``meta.nextToken`` in the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from airflow_provider_twilio_comms.api._times import timestamp
from airflow_provider_twilio_comms.api.wire import Call, Page, Product, Reply, decoded, next_query, unreadable
from airflow_provider_twilio_comms.exceptions import InvalidInput

R = TypeVar("R")
Query = Sequence[tuple[str, str]]


def filters(**values: str | int | datetime | None) -> Query:
    """Encode filters as query pairs: names in camelCase, datetimes in UTC, None left out."""
    size = values.get("page_size")
    if isinstance(size, int) and not 1 <= size <= 1000:
        raise InvalidInput.at("page_size", f"{size} is out of range", "Twilio accepts 1 to 1000")
    return [
        (_camel(name), timestamp(name, value) if isinstance(value, datetime) else str(value))
        for name, value in values.items()
        if value is not None
    ]


def listing(
    path: str,
    key: str,
    row: type[R],
    query: Query,
    *,
    path_values: Mapping[str, str] | None = None,
    check: Callable[[Sequence[R]], None] = lambda rows: None,
    body: Mapping[str, Any] | None = None,
    product: Product = "comms",
) -> Call[Page[R]]:
    """Describe a list's first page; each page knows the next. With a ``body`` it is a POST that reads."""
    return _List(path, key, row, query, path_values or {}, check, body, product).page(None, frozenset())


@dataclass(frozen=True)
class _List(Generic[R]):
    path: str
    key: str
    row: type[R]
    query: Query
    path_values: Mapping[str, str]
    check: Callable[[Sequence[R]], None]
    body: Mapping[str, Any] | None
    product: Product

    def page(self, token: str | None, seen: frozenset[str]) -> Call[Page[R]]:
        given = [("pageToken", token)] if token else []
        return Call(
            "GET" if self.body is None else "POST",
            self.path,
            lambda reply: self.read(reply, seen),
            self.product,
            path_values=self.path_values,
            query=[*self.query, *given] if self.body is None else (),
            json={**self.body, **dict(given)} if self.body is not None else None,
            effect="reads",
        )

    def read(self, reply: Reply, seen: frozenset[str]) -> Page[R]:
        row: Any = self.row
        parts: Any = decoded(reply, _shape(self.key, row))
        if parts.rows is None:
            raise unreadable(reply, f"there is no list named {self.key}")
        rows: Sequence[R] = parts.rows
        self.check(rows)
        token = _token(parts.pagination or parts.meta)
        if not token or token in seen:  # a token that was seen before would loop for ever
            return Page(rows)
        return Page(rows, self.page(token, seen | {token}))


@cache
def _shape(key: str, row: Any) -> type[msgspec.Struct]:
    """The shape of a page, which is decoded in one go: it is read for a third less."""
    rows: Any = list[row] | None
    fields: list[Any] = [("rows", rows, None), ("pagination", Any, None), ("meta", Any, None)]
    return msgspec.defstruct("Listed", fields, rename={"rows": key})


def _token(given: Any) -> str | None:
    """Read the next page's token; from an address only its ``pageToken`` is taken."""
    token = given.get("next") or given.get("nextToken") if isinstance(given, dict) else None
    if not isinstance(token, str) or not token:
        return None
    if "://" in token or token.startswith("/"):
        return dict(next_query(token)).get("pageToken")
    return token


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
