"""Cohorts, saved filters over the profiles of a store: https://www.twilio.com/docs/cohorts

Private beta, by request. What the pages leave open is in ``_assumed.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.audiences._assumed import COHORT, COHORTS, STORE_TYPE
from airflow_provider_twilio_comms.api.audiences._operations import Operation, operation
from airflow_provider_twilio_comms.api.audiences._shared import (
    CohortId,
    LabelChanges,
    Labels,
    label_filter,
    unwrapped,
)
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.memory._shared import StoreId, given, if_match
from airflow_provider_twilio_comms.api.wire import Call, Page, Reply, decoded, error_of

__all__ = ["Cohort", "Created", "create", "delete", "fetch", "fetch_if_changed", "list", "update"]

ALL, ONE = "/preview/Cohorts", "/preview/Cohorts/{cohortId}"
Text = Annotated[str, Meta(min_length=1, description="a text that is not empty")]
_Key = Annotated[
    str, Meta(pattern=r"^[\x21-\x7e]{1,255}\Z", description="1 to 255 characters of ASCII without spaces")
]


class Cohort(msgspec.Struct, frozen=True, rename="camel"):
    """A cohort. ``criteria`` is a CEL expression that is true of each member."""

    id: str
    display_name: str | None = None
    description: str | None = None
    store_type: str | None = None
    store_id: str | None = None
    criteria: str | None = None
    labels: dict[str, str] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    etag: str | None = None

    def __repr__(self) -> str:
        return f"Cohort(id={self.id!r})"


class Created(msgspec.Struct, frozen=True):
    """A cohort that was accepted: it is there (``cohort``), or will be (``operation``)."""

    cohort: Cohort | None = None
    operation: Operation | None = None


def create(
    display_name: str,
    store_id: str,
    criteria: str,
    *,
    store_type: str = STORE_TYPE,
    description: str | None = None,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Created]:
    """Create a cohort: ``POST /preview/Cohorts``. With an ``idempotency_key`` it may be repeated.

    ``criteria`` is CEL over ``profile.trait.<group>.<trait>`` and ``profile.address.<type>``:
    https://www.twilio.com/docs/cohorts/cel/overview
    """
    body = given(
        displayName=valid("display_name", display_name, Text),
        storeType=valid("store_type", store_type, Text),
        storeId=valid("store_id", store_id, StoreId),
        criteria=valid("criteria", criteria, Text),
        description=description,
        labels=None if labels is None else valid("labels", labels, Labels),
    )
    key = idempotency_key and valid("idempotency_key", idempotency_key, _Key)
    return Call(
        "POST",
        ALL,
        _created,
        "audiences",
        json=body,
        headers=(("Idempotency-Key", key),) if key else (),
        idempotent=bool(key),
    )


def list(
    *,
    labels: Mapping[str, str] | None = None,
    store_id: str | None = None,
    store_type: str | None = None,
    page_size: int | None = None,
) -> Call[Page[Cohort]]:
    """List cohorts: ``GET /preview/Cohorts``. Filters combine; all labels must match."""
    store = store_id and valid("store_id", store_id, StoreId)
    query = filters(
        labels=label_filter(labels),
        store_type=store_type or (STORE_TYPE if store else None),
        store_id=store,
        page_size=page_size,
    )
    return listing(ALL, COHORTS, Cohort, query, product="audiences")


def fetch(cohort_id: str) -> Call[Cohort]:
    """Read a cohort: ``GET /preview/Cohorts/{cohortId}``."""
    return Call("GET", ONE, _cohort, "audiences", _at(cohort_id))


def fetch_if_changed(cohort_id: str, etag: str) -> Call[Cohort | None]:
    """Read a cohort, or None if it still has this ``etag``: ``GET /preview/Cohorts/{cohortId}``."""
    headers = (("If-None-Match", valid("etag", etag, Annotated[str, Meta(min_length=1, max_length=100)])),)
    return Call("GET", ONE, _unless_same, "audiences", _at(cohort_id), headers=headers, redirects=True)


def update(
    cohort_id: str,
    *,
    display_name: str | None = None,
    description: str | None = None,
    criteria: str | None = None,
    labels: Mapping[str, str | None] | None = None,
    etag: str | None = None,
) -> Call[Operation]:
    """Change a cohort: ``PATCH /preview/Cohorts/{cohortId}``. Fields that are None stay as they are.

    ``labels`` are merged: the value None removes one. With ``etag``, 412 if it was changed since.
    """
    body = given(
        displayName=None if display_name is None else valid("display_name", display_name, Text),
        description=description,
        criteria=None if criteria is None else valid("criteria", criteria, Text),
        labels=None if labels is None else valid("labels", labels, LabelChanges),
    )
    return Call(
        "PATCH",
        ONE,
        operation,
        "audiences",
        _at(cohort_id),
        json=body,
        headers=if_match(etag),
        idempotent=True,
    )


def delete(cohort_id: str) -> Call[Operation]:
    """Delete a cohort: ``DELETE /preview/Cohorts/{cohortId}``."""
    return Call("DELETE", ONE, operation, "audiences", _at(cohort_id))


def _at(cohort_id: str) -> Mapping[str, str]:
    return {"cohortId": valid("cohort_id", cohort_id, CohortId)}


def _cohort(reply: Reply) -> Cohort:
    cohort = unwrapped(reply, COHORT, Cohort)
    return msgspec.structs.replace(cohort, etag=reply.headers.get("etag"))


def _unless_same(reply: Reply) -> Cohort | None:
    if reply.status == 304:
        return None
    if reply.status >= 300:
        raise error_of(reply, "audiences")
    return _cohort(reply)


def _created(reply: Reply) -> Created:
    """Read what creating answers: the cohort or its operation, as Twilio's pages differ (assumed)."""
    body = decoded(reply, dict[str, Any]) if reply.body.strip() else {}
    if isinstance(body.get(COHORT), dict) or "id" in body:
        return Created(cohort=_cohort(reply))
    return Created(operation=operation(reply))
