"""Cohorts as declared: created or updated by name and labels; snapshots of them, taken once, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from airflow_provider_twilio_comms.api.audiences import cohort_snapshots, cohorts
from airflow_provider_twilio_comms.api.audiences.cohort_snapshots import CohortSnapshot
from airflow_provider_twilio_comms.api.audiences.criteria import check, references
from airflow_provider_twilio_comms.api.flows import Flow, Group, every_item, made, now, waited
from airflow_provider_twilio_comms.api.memory import trait_groups
from airflow_provider_twilio_comms.api.wire import Call, Page
from airflow_provider_twilio_comms.exceptions import InvalidInput, ServerFailed, TransportFailed, WaitTimedOut

LABEL = "airflow_snapshot"  # of a snapshot, so that a later try finds it
LOOKS, PAUSE = 3, 2.0  # looks at the list for a snapshot whose reply was lost, and seconds between them


class Declared(NamedTuple):
    """A cohort, and what was done to it: ``created``, ``updated`` or ``unchanged``."""

    cohort_id: str | None
    change: str
    operation_id: str | None = None


def check_criteria(store_id: str, criteria: str) -> Flow[None]:
    """Check criteria against the store's traits. Raises :class:`InvalidInput` before anything is sent."""
    found = references(criteria)
    groups: dict[str, Mapping[str, str]] = {}
    listed = yield from every_item(trait_groups.list(store_id))
    for name in sorted(group.display_name for group in listed):
        groups[name] = {}
        if name in {group for group, _ in found.traits}:
            group = yield from made(trait_groups.fetch(store_id, name))
            groups[name] = {trait: definition.data_type for trait, definition in group.traits.items()}
    check(criteria, groups)


def declare(
    store_id: str,
    name: str,
    criteria: str,
    labels: Mapping[str, str],
    description: str | None,
    key: Callable[[str], str],
) -> Flow[Declared]:
    """Create the cohort of this store, name and labels, or update the one that is there.

    ``key`` makes the idempotency key of a creation. Raises :class:`InvalidInput` if several fit.
    """
    yield from check_criteria(store_id, criteria)
    listed = yield from every_item(cohorts.list(labels=labels or None, store_id=store_id))
    fitting = [cohort for cohort in listed if cohort.display_name == name]
    if len(fitting) > 1:
        ids = ", ".join(cohort.id for cohort in fitting)
        raise InvalidInput.at(
            "display_name", f"is that of {len(fitting)} cohorts ({ids})", "Tell them apart with labels"
        )
    if not fitting:
        created = yield from made(
            cohorts.create(
                name,
                store_id,
                criteria,
                description=description,
                labels=labels or None,
                idempotency_key=key("|".join((store_id, name, criteria, str(sorted(labels.items()))))),
            )
        )
        if created.cohort is not None:
            return Declared(created.cohort.id, "created")
        operation = created.operation
        return Declared(None, "created", operation.operation_id if operation else None)
    cohort = fitting[0]
    changes: dict[str, Any] = {}
    if cohort.criteria != criteria:
        changes["criteria"] = criteria
    if description is not None and cohort.description != description:
        changes["description"] = description
    if not changes:
        return Declared(cohort.id, "unchanged")
    etag = (yield from made(cohorts.fetch(cohort.id))).etag
    operation = yield from made(cohorts.update(cohort.id, **changes, etag=etag))
    return Declared(cohort.id, "updated", operation.operation_id)


class Taken(NamedTuple):
    """A snapshot under way (``operation_id``), or one that is found again (``snapshot``)."""

    operation_id: str | None = None
    snapshot: CohortSnapshot | None = None


def find_snapshot(mark: str) -> Flow[CohortSnapshot | None]:
    """Find the snapshot with this mark, the newest if there are several."""
    page = yield from made(cohort_snapshots.list(labels={LABEL: mark}))
    return page.items[0] if page.items else None


def take_snapshot(
    mark: str, source: Mapping[str, str], labels: Mapping[str, str], *, begun: bool
) -> Flow[Taken]:
    """Take a snapshot with this mark, unless an earlier try, or a lost reply, has taken it already.

    ``begun`` says that an earlier try may have: the list is searched for a while before another is taken,
    since an account may take 100 a day only.
    """
    for look in range(LOOKS if begun else 0):
        if look:
            yield from waited(PAUSE)
        found = yield from find_snapshot(mark)
        if found is not None:
            return Taken(snapshot=found)
    call = cohort_snapshots.create(**source, labels={**labels, LABEL: mark})  # type: ignore[arg-type]
    try:
        operation = yield from made(call)
    except (TransportFailed, ServerFailed) as error:
        if getattr(error, "sent", True):
            for _ in range(LOOKS):
                yield from waited(PAUSE)
                found = yield from find_snapshot(mark)
                if found is not None:
                    return Taken(snapshot=found)
        raise
    return Taken(operation.operation_id)


def completed(snapshot: CohortSnapshot, timeout: float) -> Flow[CohortSnapshot]:
    """Wait until a snapshot is there. Raises :class:`WaitTimedOut`."""
    deadline = (yield from now()) + timeout
    while snapshot.status in ("PENDING", "RUNNING"):
        if (yield from now()) >= deadline:
            raise WaitTimedOut(f"time is up; the snapshot {snapshot.id} goes on at Twilio", operation_ids=[])
        yield from waited(PAUSE)
        snapshot = yield from made(cohort_snapshots.fetch(snapshot.id))
    return snapshot


def check_size(count: int | None, least: int | None, most: int | None) -> None:
    """Raise :class:`InvalidInput` for a group that is suspiciously small or large."""
    fix = "Look at the cohort's criteria and at the last load of profiles; the snapshot is kept"
    if (least is not None or most is not None) and count is None:
        raise InvalidInput.at("profile_count", "is not known: Twilio did not tell it", fix)
    if least is not None and count is not None and count < least:
        raise InvalidInput.at("min_profiles", f"the snapshot has {count:,} profiles, below {least:,}", fix)
    if most is not None and count is not None and count > most:
        raise InvalidInput.at("max_profiles", f"the snapshot has {count:,} profiles, above {most:,}", fix)


class Member(msgspec.Struct):
    """A profile in a snapshot."""

    profile_id: str
    cohort_snapshot_id: str


def read_members(snapshot_id: str, take: Callable[[list[str]], None], at_once: int = 4) -> Flow[int]:
    """Hand the ids of a snapshot's profiles to ``take``, some at a time, several partitions together.

    Returns their number. Raises :class:`TwilioError` of the first partition that cannot be read.
    """
    snapshot = yield from made(cohort_snapshots.fetch(snapshot_id))
    count = 0
    group = Group(_partitions(snapshot), at_once)
    while found := (yield group):
        for ended in found:
            if ended.error is not None:
                group.stop()
                raise ended.error
            take(ended.value)
            count += len(ended.value)
    if snapshot.profile_count is not None and count != snapshot.profile_count:
        raise ServerFailed(
            f"{snapshot_id} has {snapshot.profile_count:,} profiles, and {count:,} were listed",
            status=200,
            verdict="retry",
            errors=[],
        )
    return count


def _partitions(snapshot: CohortSnapshot) -> Iterator[tuple[int, Flow[list[str]]]]:
    if snapshot.partition_count is None:  # nobody says how many: all of them, one after the other
        yield 0, _ids(cohort_snapshots.list_profiles(snapshot.id))
        return
    for number in range(snapshot.partition_count):
        yield number, _ids(cohort_snapshots.list_profiles(snapshot.id, partition=number))


def _ids(first: Call[Page[Any]]) -> Flow[list[str]]:
    ids: list[str] = []
    call: Call[Page[Any]] | None = first
    while call is not None:
        page = yield from made(call)
        ids += [member.profile_id for member in page.items]
        call = page.next
    return ids
