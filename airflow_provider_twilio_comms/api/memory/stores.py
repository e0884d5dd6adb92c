"""Memory stores, which hold profiles: https://www.twilio.com/docs/api/memory/v1/stores"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.memory._shared import (
    STORE,
    STORES,
    Accepted,
    PageSize,
    accepted,
    at,
    given,
    if_match,
    with_etag,
)
from airflow_provider_twilio_comms.api.wire import Call, Page

__all__ = ["Accepted", "Store", "create", "delete", "fetch", "list", "update"]

DisplayName = Annotated[
    str, Meta(pattern=r"^[a-zA-Z0-9-]{1,64}\Z", description="1 to 64 letters, digits and hyphens")
]
Description = Annotated[str, Meta(min_length=1, max_length=128, description="1 to 128 characters")]


class Store(msgspec.Struct, frozen=True, rename="camel"):
    """A memory store. ``status`` is QUEUED, PROVISIONING, ACTIVE, FAILED, or one that is newer."""

    id: str
    display_name: str | None = None
    description: str | None = None
    status: str | None = None
    version: int | None = None
    etag: str | None = None


def create(display_name: str, description: str | None = None) -> Call[Accepted]:
    """Create a store: ``POST /v1/ControlPlane/Stores``. The operation's ``resource_id`` is its id."""
    return Call("POST", STORES, accepted, "memory", json=_body(display_name, description))


def list(*, page_size: int | None = None, order_by: Literal["ASC", "DESC"] | None = None) -> Call[Page[str]]:
    """List the ids of stores: ``GET /v1/ControlPlane/Stores``."""
    query = filters(page_size=page_size and valid("page_size", page_size, PageSize), order_by=order_by)
    return listing(STORES, "stores", str, query, product="memory")


def fetch(store_id: str) -> Call[Store]:
    """Read a store: ``GET /v1/ControlPlane/Stores/{storeId}``."""
    return Call("GET", STORE, with_etag(Store), "memory", at(store_id))


def update(
    store_id: str,
    display_name: str | None = None,
    description: str | None = None,
    *,
    etag: str | None = None,
) -> Call[Accepted]:
    """Change a store: ``PATCH /v1/ControlPlane/Stores/{storeId}``. 412 if it no longer has this ``etag``."""
    return Call(
        "PATCH",
        STORE,
        accepted,
        "memory",
        at(store_id),
        json=_body(display_name, description),
        headers=if_match(etag),
    )


def delete(store_id: str) -> Call[Accepted]:
    """Delete a store with its profiles: ``DELETE /v1/ControlPlane/Stores/{storeId}``."""
    return Call("DELETE", STORE, accepted, "memory", at(store_id))


def _body(display_name: str | None, description: str | None) -> dict[str, str]:
    return given(
        displayName=None if display_name is None else valid("display_name", display_name, DisplayName),
        description=None if description is None else valid("description", description, Description),
    )
