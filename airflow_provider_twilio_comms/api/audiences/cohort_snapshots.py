"""Cohort snapshots, the fixed lists of profiles that a filter gave at one moment.

https://www.twilio.com/docs/cohorts/concepts/snapshots. An account may take 5 a minute and 100 a day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT_SNAPSHOT,
    COHORT_SNAPSHOTS,
    STORE_TYPE,
)
from airflow_provider_twilio_comms.api.audiences._operations import Operation, operation
from airflow_provider_twilio_comms.api.audiences._shared import (
    CohortId,
    Labels,
    SnapshotId,
    label_filter,
    unwrapped,
)
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.memory._shared import StoreId, given
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["CohortSnapshot", "Member", "create", "delete", "fetch", "list", "list_profiles"]

ALL, ONE = "/preview/CohortSnapshots", "/preview/CohortSnapshots/{cohortSnapshotId}"


class CohortSnapshot(msgspec.Struct, frozen=True, rename="camel"):
    """A snapshot. All fields but ``id`` are assumed; a count that the reply leaves out is None."""

    id: str
    status: str | None = None
    source: dict[str, Any] | None = None
    profile_count: int | None = None
    partition_count: int | None = None
    labels: dict[str, str] | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None

    def __repr__(self) -> str:
        return f"CohortSnapshot(id={self.id!r}, profile_count={self.profile_count})"


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """A profile in a snapshot, with the variables that the snapshot projects. Its repr shows the id only."""

    profile_id: str
    variables: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Member(profile_id={self.profile_id!r})"


def create(
    cohort_id: str | None = None,
    *,
    store_id: str | None = None,
    criteria: str | None = None,
    store_type: str = STORE_TYPE,
    labels: Mapping[str, str] | None = None,
    variables: Any = None,
    profile_limit: int | None = None,
) -> Call[Operation]:
    """Take a snapshot of a cohort, or of a store by ``criteria``: ``POST /preview/CohortSnapshots``.

    ``variables`` are fields to project, passed on as they are; ``profile_limit`` is for previews. It is never
    repeated by itself unless Twilio certainly took none: an account may take 100 a day.
    """
    if (cohort_id is None) == (store_id is None or criteria is None):
        raise InvalidInput.at(
            "cohort_id", "is not the one source", "Give a cohort_id, or a store_id with its criteria"
        )
    source = (
        {"cohortId": valid("cohort_id", cohort_id, CohortId)}
        if cohort_id is not None
        else {
            "storeType": store_type,
            "storeId": valid("store_id", store_id, StoreId),
            "criteria": criteria,
        }
    )
    body = given(
        source=source,
        labels=None if labels is None else valid("labels", labels, Labels),
        variables=variables,
        profileLimit=profile_limit,
    )
    return Call("POST", ALL, operation, "audiences", json=body)


def list(
    *,
    labels: Mapping[str, str] | None = None,
    cohort_id: str | None = None,
    store_id: str | None = None,
    order_by: Literal["CREATED_AT", "COMPLETED_AT"] | None = None,
    order_direction: Literal["ASC", "DESC"] | None = None,
    page_size: int | None = None,
) -> Call[Page[CohortSnapshot]]:
    """List snapshots, the newest first: ``GET /preview/CohortSnapshots``. Filters combine."""
    query = filters(
        labels=label_filter(labels),
        cohort_id=cohort_id and valid("cohort_id", cohort_id, CohortId),
        store_id=store_id and valid("store_id", store_id, StoreId),
        order_by=order_by,
        order_direction=order_direction,
        page_size=page_size,
    )
    return listing(ALL, COHORT_SNAPSHOTS, CohortSnapshot, query, product="audiences")


def fetch(cohort_snapshot_id: str) -> Call[CohortSnapshot]:
    """Read a snapshot: ``GET /preview/CohortSnapshots/{cohortSnapshotId}``."""
    return Call(
        "GET",
        ONE,
        lambda reply: unwrapped(reply, COHORT_SNAPSHOT, CohortSnapshot),
        "audiences",
        _at(cohort_snapshot_id),
    )


def delete(cohort_snapshot_id: str) -> Call[Operation]:
    """Delete a snapshot with its profile data: ``DELETE /preview/CohortSnapshots/{cohortSnapshotId}``."""
    return Call("DELETE", ONE, operation, "audiences", _at(cohort_snapshot_id))


def list_profiles(
    cohort_snapshot_id: str, *, partition: int | None = None, page_size: int | None = None
) -> Call[Page[Member]]:
    """List the profiles: ``GET /preview/CohortSnapshots/{cohortSnapshotId}/Profiles``.

    Of one ``partition`` (from 0), or of all. The bounds of ``page_size`` are not published: leave it out.
    """
    if partition is not None and partition < 0:
        raise InvalidInput.at("partition", f"{partition} is out of range", "It counts from 0")
    # filters() knows the bounds of the other lists; those of this one are larger, and not published.
    query: Sequence[tuple[str, str]] = [
        *filters(partition=partition),
        *([("pageSize", str(page_size))] if page_size is not None else []),
    ]
    return listing(
        f"{ONE}/Profiles",
        "profiles",
        Member,
        query,
        path_values=_at(cohort_snapshot_id),
        product="audiences",
    )


def _at(cohort_snapshot_id: str) -> Mapping[str, str]:
    return {"cohortSnapshotId": valid("cohort_snapshot_id", cohort_snapshot_id, SnapshotId)}
