"""Cohorts, snapshots and their operations: https://www.twilio.com/docs/cohorts

What the pages leave open is answered as ``api/audiences/_assumed.py`` assumes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT,
    COHORT_PREFIX,
    COHORT_SNAPSHOT,
    COHORT_SNAPSHOTS,
    COHORTS,
    OPERATION_PREFIX,
    SNAPSHOT_PREFIX,
    STORE_TYPE,
)
from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.audiences.criteria import compiled
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.comms.modules import Strict
from airflow_provider_twilio_comms.emulator.http import Problem, Request, body_as, json_reply
from airflow_provider_twilio_comms.emulator.memory.store import Memory, Operation, Store, page, ulid
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["Audiences", "Cohort", "Snapshot", "routes"]

routes: Routes = Routes("audiences", "/preview")
FEWEST, USUAL, MOST = 50, 1000, 10_000  # profiles of a snapshot on a page (assumed)
MINUTE, DAY = 60.0, 24 * 3600.0
# Requests of an account, by kind: number, in so many seconds (https://www.twilio.com/docs/cohorts/api/rate-limits)
LIMITS = {
    "cohort writes": ((50, MINUTE),),
    "cohort reads": ((200, MINUTE),),
    "snapshots taken": ((5, MINUTE), (100, DAY)),
    "snapshots deleted": ((50, MINUTE),),
    "snapshot reads": ((200, MINUTE),),
    "snapshot profiles": ((5000, MINUTE),),
}
Text = Annotated[str, Meta(min_length=1)]
Labels = Annotated[
    dict[
        Annotated[str, Meta(pattern=r"\A(?!twilio__)[a-zA-Z0-9._~-]{1,128}\Z")],
        Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9._~-]{1,256}\Z")] | None,
    ],
    Meta(max_length=10),
]


class NewCohort(Strict):
    display_name: Text
    store_type: Text
    store_id: Text
    criteria: Text
    description: str | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET


class CohortChange(Strict):
    display_name: Text | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    criteria: Text | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET


class SnapshotSource(Strict, omit_defaults=True):
    cohort_id: Text | UnsetType = UNSET
    store_type: Text | UnsetType = UNSET
    store_id: Text | UnsetType = UNSET
    criteria: Text | UnsetType = UNSET


class NewSnapshot(Strict):
    source: SnapshotSource
    labels: Labels | UnsetType = UNSET
    variables: Any = None
    profile_limit: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


_NEW, _CHANGE = msgspec.json.Decoder(NewCohort), msgspec.json.Decoder(CohortChange)
_SNAPSHOT = msgspec.json.Decoder(NewSnapshot)


@dataclass(slots=True)
class Cohort:
    """A saved filter over one store."""

    id: str
    name: str
    store: Store
    criteria: str
    description: str | None
    labels: dict[str, str]
    created: float
    updated: float
    version: int = 1

    @property
    def etag(self) -> str:
        return f'"{self.id}-{self.version}"'

    def view(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "displayName": self.name,
            "description": self.description,
            "storeType": STORE_TYPE,
            "storeId": self.store.id,
            "criteria": self.criteria,
            "labels": self.labels or None,
            "createdAt": iso(self.created),
            "updatedAt": iso(self.updated),
        }


@dataclass(slots=True)
class Snapshot:
    """The fixed list of profiles that a filter gave at one moment."""

    id: str
    source: dict[str, Any]
    store: Store
    members: list[str]
    labels: dict[str, str]
    created: float
    completed: float
    partition: int

    @property
    def partitions(self) -> int:
        return max(1, -(-len(self.members) // self.partition))

    def view(self, now: float) -> dict[str, Any]:
        done = now >= self.completed
        return {
            "id": self.id,
            "source": self.source,
            "status": "COMPLETED" if done else "RUNNING",
            "labels": self.labels or None,
            "createdAt": iso(self.created),
            **(
                {
                    "completedAt": iso(self.completed),
                    "profileCount": len(self.members),
                    "partitionCount": self.partitions,
                }
                if done
                else {}
            ),
        }


@dataclass(slots=True)
class Audiences:
    """The cohorts, snapshots and operations of the account, by id."""

    twilio: State
    cohorts: dict[str, Cohort] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    keys: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    _times: dict[str, deque[float]] = field(default_factory=dict)

    def limit(self, kind: str) -> None:
        """Count a request. Raises a 429 beyond Twilio's limits, if the option ``cohort_limits`` is on."""
        if not self.twilio.options.cohort_limits:
            return
        now, times = self.twilio.clock.now(), self._times.setdefault(kind, deque(maxlen=5000))
        for most, seconds in LIMITS[kind]:
            recent = [time for time in times if time > now - seconds]
            if len(recent) >= most:
                problem = Problem(429, 20429, "Rate limit exceeded", f"{most} {kind} in {seconds:g} s")
                problem.headers["retry-after"] = f"{max(1, round(recent[-most] + seconds - now))}"
                raise problem
        times.append(now)

    def cohort(self, cohort_id: str) -> Cohort:
        cohort = self.cohorts.get(cohort_id)
        if cohort is None:
            raise Problem(404, 20404, "The cohort was not found")
        return cohort

    def snapshot(self, snapshot_id: str, complete: bool = False) -> Snapshot:
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None or (complete and self.twilio.clock.now() < snapshot.completed):
            raise Problem(404, 20404, "The snapshot was not found")
        return snapshot

    def members(self, store: Store, criteria: str) -> list[str]:
        """Evaluate criteria now; ids in the order in which profiles were created."""
        self.twilio.part(Memory).settle()
        matches = compiled(criteria, store.people, self.twilio.options.whole_cel)
        return [profile.id for profile in store.people.profiles.values() if matches(profile)]

    def operate(self, pace: float, result: dict[str, Any] | None = None) -> Reply:
        now = self.twilio.clock.now()
        operation = Operation(ulid(OPERATION_PREFIX.rstrip("_"), self.twilio), now, now + pace, result)
        self.operations[operation.id] = operation
        return json_reply(operation.view(now, _STATUS_URL), 202)


_STATUS_URL = "/preview/CohortOperations"


def _store(twilio: State, store_type: Any, store_id: Any) -> Store:
    if store_type != STORE_TYPE:
        raise Problem(400, 20001, f"storeType is {STORE_TYPE}")
    try:
        return twilio.part(Memory).store(str(store_id))
    except Problem:
        raise Problem(400, 20001, "storeId: the account has no such active store") from None


def _labels(given: Any) -> dict[str, str]:
    return (
        {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
    )


@routes("POST", "/Cohorts")
def create(twilio: State, request: Request) -> Reply:
    audiences, asked = twilio.part(Audiences), body_as(request, _NEW)
    audiences.limit("cohort writes")
    key = request.headers.get("idempotency-key")
    if key in audiences.keys:
        body, cohort_id = audiences.keys[key]
        if body != request.body:
            raise Problem(409, 20409, "The Idempotency-Key was used for another request")
        return json_reply({COHORT: audiences.cohort(cohort_id).view()}, 201)
    store = _store(twilio, asked.store_type, asked.store_id)
    compiled(asked.criteria, store.people, twilio.options.whole_cel)
    now = twilio.clock.now()
    description = None if isinstance(asked.description, UnsetType) else asked.description
    cohort = Cohort(
        ulid(COHORT_PREFIX.rstrip("_"), twilio),
        asked.display_name,
        store,
        asked.criteria,
        description,
        _labels(asked.labels),
        now,
        now,
    )
    audiences.cohorts[cohort.id] = cohort
    if key:
        audiences.keys[key] = (request.body, cohort.id)
    return json_reply({COHORT: cohort.view()}, 201, {"etag": cohort.etag})


@routes("GET", "/Cohorts")
def list_cohorts(twilio: State, request: Request) -> Reply:
    audiences, values = twilio.part(Audiences), request.values
    audiences.limit("cohort reads")
    if ("storeId" in values) != ("storeType" in values):
        raise Problem(400, 20001, "storeType and storeId go together")
    found = [
        cohort.view()
        for cohort in reversed(audiences.cohorts.values())
        if values.get("storeId") in (None, cohort.store.id) and _labelled(request, cohort.labels)
    ]
    items, meta = page(request, COHORTS, found, _size(request))
    return json_reply({COHORTS: items, "meta": meta})


def _labelled(request: Request, labels: dict[str, str]) -> bool:
    text = request.values.get("labels")
    if text is None:
        return True
    pairs = [pair.partition(":") for pair in text.split(",")]
    if any(not separator for _, separator, _ in pairs):
        raise Problem(400, 20001, "labels are written key:value,key2:value2")
    return all(labels.get(key) == value for key, _, value in pairs)


def _size(request: Request) -> int:
    text = request.values.get("pageSize", "50")
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise Problem(400, 20001, "pageSize is not a number from 1 to 1000")
    return int(text)


@routes("GET", "/Cohorts/{cohortId}")
def fetch(twilio: State, request: Request, cohort_id: str) -> Reply:
    twilio.part(Audiences).limit("cohort reads")
    cohort = twilio.part(Audiences).cohort(cohort_id)
    if request.headers.get("if-none-match") == cohort.etag:
        return Reply(304, {"etag": cohort.etag})
    return json_reply({COHORT: cohort.view()}, headers={"etag": cohort.etag})


@routes("PATCH", "/Cohorts/{cohortId}")
def update(twilio: State, request: Request, cohort_id: str) -> Reply:
    audiences, asked = twilio.part(Audiences), body_as(request, _CHANGE)
    audiences.limit("cohort writes")
    cohort = audiences.cohort(cohort_id)
    if request.headers.get("if-match") not in (None, cohort.etag):
        raise Problem(412, 20412, "Precondition failed")
    if isinstance(asked.criteria, str):
        compiled(asked.criteria, cohort.store.people, twilio.options.whole_cel)
        cohort.criteria = asked.criteria
    if isinstance(asked.display_name, str):
        cohort.name = asked.display_name
    if not isinstance(asked.description, UnsetType):
        cohort.description = asked.description
    if isinstance(asked.labels, dict):
        cohort.labels = _labels({**cohort.labels, **asked.labels})
    cohort.version, cohort.updated = cohort.version + 1, twilio.clock.now()
    return audiences.operate(0.0, {"cohortId": cohort.id})


@routes("DELETE", "/Cohorts/{cohortId}")
def delete(twilio: State, request: Request, cohort_id: str) -> Reply:
    audiences = twilio.part(Audiences)
    audiences.limit("cohort writes")
    del audiences.cohorts[audiences.cohort(cohort_id).id]
    return audiences.operate(0.0)


@routes("POST", "/CohortSnapshots")
def create_snapshot(twilio: State, request: Request) -> Reply:
    audiences, asked = twilio.part(Audiences), body_as(request, _SNAPSHOT)
    audiences.limit("snapshots taken")
    source, given = asked.source, msgspec.to_builtins(asked.source)
    if given.keys() == {"cohortId"}:
        cohort = audiences.cohort(str(source.cohort_id))
        store, criteria = cohort.store, cohort.criteria
    elif given.keys() == {"storeType", "storeId", "criteria"}:
        store, criteria = _store(twilio, source.store_type, source.store_id), str(source.criteria)
    else:
        raise Problem(400, 20001, "source is a cohortId, or storeType, storeId and criteria")
    members = audiences.members(store, criteria)
    if isinstance(asked.profile_limit, int):
        members = members[: asked.profile_limit]
    now = twilio.clock.now()
    snapshot = Snapshot(
        ulid(SNAPSHOT_PREFIX.rstrip("_"), twilio),
        given,
        store,
        members,
        _labels(asked.labels),
        now,
        now + twilio.options.pace,
        twilio.options.partition_size,
    )
    audiences.snapshots[snapshot.id] = snapshot
    result = {"cohortSnapshotId": snapshot.id, "profileCount": len(members)}
    return audiences.operate(twilio.options.pace, result)


@routes("GET", "/CohortSnapshots")
def list_snapshots(twilio: State, request: Request) -> Reply:
    audiences, values, now = twilio.part(Audiences), request.values, twilio.clock.now()
    audiences.limit("snapshot reads")
    order, direction = values.get("orderBy", "CREATED_AT"), values.get("orderDirection", "DESC")
    if order not in ("CREATED_AT", "COMPLETED_AT") or direction not in ("ASC", "DESC"):
        raise Problem(400, 20001, "orderBy is CREATED_AT or COMPLETED_AT, orderDirection ASC or DESC")
    found: Iterable[Snapshot] = sorted(
        audiences.snapshots.values(),
        key=lambda each: each.created if order == "CREATED_AT" else each.completed,
        reverse=direction == "DESC",
    )
    rows = [
        each.view(now)
        for each in found
        if values.get("cohortId") in (None, each.source.get("cohortId"))
        and values.get("storeId") in (None, each.source.get("storeId"))
        and _labelled(request, each.labels)
    ]
    items, meta = page(request, COHORT_SNAPSHOTS, rows, _size(request))
    return json_reply({COHORT_SNAPSHOTS: items, "meta": meta})


@routes("GET", "/CohortSnapshots/{cohortSnapshotId}")
def fetch_snapshot(twilio: State, request: Request, cohort_snapshot_id: str) -> Reply:
    twilio.part(Audiences).limit("snapshot reads")
    snapshot = twilio.part(Audiences).snapshot(cohort_snapshot_id)
    return json_reply({COHORT_SNAPSHOT: snapshot.view(twilio.clock.now())})


@routes("DELETE", "/CohortSnapshots/{cohortSnapshotId}")
def delete_snapshot(twilio: State, request: Request, cohort_snapshot_id: str) -> Reply:
    audiences = twilio.part(Audiences)
    audiences.limit("snapshots deleted")
    del audiences.snapshots[audiences.snapshot(cohort_snapshot_id).id]
    return audiences.operate(0.0)


@routes("GET", "/CohortSnapshots/{cohortSnapshotId}/Profiles")
def list_profiles(twilio: State, request: Request, cohort_snapshot_id: str) -> Reply:
    """List the members of one partition, or of all of them."""
    audiences, values = twilio.part(Audiences), request.values
    audiences.limit("snapshot profiles")
    snapshot = audiences.snapshot(cohort_snapshot_id, complete=True)
    size, partition, members = values.get("pageSize", str(USUAL)), values.get("partition"), snapshot.members
    if not size.isdecimal() or not FEWEST <= int(size) <= MOST:
        raise Problem(400, 20001, f"pageSize is not a number from {FEWEST} to {MOST}")
    if partition is not None:
        if not partition.isdecimal() or int(partition) >= snapshot.partitions:
            raise Problem(400, 20001, f"partition is not a number from 0 to {snapshot.partitions - 1}")
        start = int(partition) * snapshot.partition
        members = members[start : start + snapshot.partition]
    items, meta = page(request, "profiles", members, int(size))
    return json_reply({"profiles": [{"profileId": each} for each in items], "meta": meta})


@routes("GET", "/CohortOperations/{cohortOperationId}")
def fetch_operation(twilio: State, request: Request, cohort_operation_id: str) -> Reply:
    operation = twilio.part(Audiences).operations.get(cohort_operation_id)
    if operation is None:
        raise Problem(404, 20404, "The operation was not found")
    return json_reply(operation.view(twilio.clock.now(), _STATUS_URL))
