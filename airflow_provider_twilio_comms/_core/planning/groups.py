"""Groups as recipients: cohorts and their snapshots, and the guards that cannot see into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_twilio_comms._core.profiles.cohorts import read_members
from airflow_provider_twilio_comms._core.recipients.reader import GROUP_KEYS
from airflow_provider_twilio_comms.api.audiences import cohort_snapshots, cohorts
from airflow_provider_twilio_comms.api.audiences._assumed import COHORT_RECIPIENT, SNAPSHOT_RECIPIENT
from airflow_provider_twilio_comms.api.flows import Flow, Group, made
from airflow_provider_twilio_comms.api.memory import identifiers, profiles
from airflow_provider_twilio_comms.exceptions import InvalidInput

_PHONES = ("phone", "whatsapp")
LOOKED_AT = 10_000  # profiles of a group whose numbers are looked at, one request each
AT_ONCE = 8


@dataclass(frozen=True)
class SeenGroup:
    """A group: its id, and the number of its profiles, which a cohort does not tell before it is sent to."""

    id: str
    count: int | None


def groups_in(recipients: Any) -> list[Mapping[str, Any]]:
    """The groups among recipients, in Twilio's form; none where they are people.

    Raises :class:`InvalidInput` for a list of both.
    """
    given = [recipients] if isinstance(recipients, Mapping) else recipients
    if not isinstance(given, list | tuple):
        return []
    found = [_spelled(each) for each in given if isinstance(each, Mapping) and _is_group(each)]
    if found and len(found) != len(given):
        raise InvalidInput.at("recipients", "mix groups and people", "Send to them in tasks of their own")
    return [each for place, each in enumerate(found) if each not in found[:place]]


def _is_group(given: Mapping[str, Any]) -> bool:
    return any(name in given for pair in GROUP_KEYS.items() for name in pair)


def _spelled(given: Mapping[str, Any]) -> dict[str, Any]:
    return {GROUP_KEYS.get(name, name): value for name, value in given.items()}


def inspect(
    groups: Sequence[Mapping[str, Any]], allows: Sequence[Callable[[str], object]]
) -> Flow[list[SeenGroup]]:
    """Look at groups before they are sent to: they exist, and, with ``allows``, hold only who is allowed.

    Raises :class:`InvalidInput` for a cohort where somebody is not allowed everything, since its members are
    those of the moment of the send; for a snapshot with an address outside; for one that is not complete.
    """
    found = []
    for group in groups:
        if SNAPSHOT_RECIPIENT in group:
            snapshot = yield from made(cohort_snapshots.fetch(str(group[SNAPSHOT_RECIPIENT])))
            if snapshot.status not in (None, "COMPLETED"):
                raise InvalidInput.at(
                    "recipients", f"{snapshot.id} is {snapshot.status}", "Wait until it is COMPLETED"
                )
            if allows:
                yield from _check_members(snapshot, allows)
            found.append(SeenGroup(snapshot.id, snapshot.profile_count))
            continue
        name = str(group.get(COHORT_RECIPIENT) or next(iter(group.values())))
        if allows:
            raise InvalidInput.at(
                "recipients",
                f"{name} is a cohort, whose members Twilio chooses at the moment of the send, and "
                "allowed_recipients could not see them: nothing was sent",
                "Take a snapshot and send to that, or do without allowed_recipients",
            )
        if COHORT_RECIPIENT in group:
            yield from made(cohorts.fetch(name))
        found.append(SeenGroup(name, None))
    return found


def _check_members(
    snapshot: cohort_snapshots.CohortSnapshot, allows: Sequence[Callable[[str], object]]
) -> Flow[None]:
    source = snapshot.source or {}
    store = source.get("storeId")
    if store is None and source.get("cohortId"):
        store = (yield from made(cohorts.fetch(source["cohortId"]))).store_id
    if store is None or (snapshot.profile_count or 0) > LOOKED_AT:
        raise InvalidInput.at(
            "recipients",
            f"the profiles of {snapshot.id} cannot be looked at one by one, as allowed_recipients asks: "
            "nothing was sent",
            f"Send to a snapshot of a cohort with at most {LOOKED_AT:,} profiles",
        )
    members: list[str] = []
    yield from read_members(snapshot.id, members.extend)
    outside = 0
    group = Group(_looks(store, members), AT_ONCE)
    while ended := (yield group):
        for each in ended:
            if each.error is not None:
                group.stop()
                raise each.error
            outside += not all(allow(number) for number in each.value for allow in allows)
    if outside:
        raise InvalidInput.at(
            "recipients",
            f"{outside:,} of {len(members):,} profiles in {snapshot.id} have an address outside "
            "allowed_recipients: nothing was sent",
            "Take a snapshot without them",
        )


def _looks(store_id: str, members: Sequence[str]) -> Iterator[tuple[str, Flow[list[str]]]]:
    for member in members:
        yield member, _numbers(store_id, member)


def _numbers(store_id: str, profile_id: str) -> Flow[list[str]]:
    found = yield from profiles.followed(identifiers.list(store_id, profile_id))
    return [value for each in found if each.id_type in _PHONES for value in each.values]


def check_guards(unseen: int, guards: Sequence[str], allowed: bool) -> None:
    """Refuse recipients that a guard cannot see, unless the author allows that."""
    if unseen and guards and not allowed:
        raise InvalidInput.at(
            "recipients",
            f"{unseen:,} are stored people or groups, whose numbers Twilio holds: {', '.join(guards)} cannot "
            "see into them, and nothing was sent",
            "Leave the guard out, or set unseen='allow' to send without it",
        )


def check_count(seen: Sequence[SeenGroup], most: int | None, allowed: bool) -> None:
    """Hold ``max_recipients`` against the numbers of profiles. A cohort has none before it is sent to."""
    if most is None:
        return
    unknown = [group.id for group in seen if group.count is None]
    if unknown and not allowed:
        raise InvalidInput.at(
            "max_recipients",
            f"nobody knows how many {', '.join(unknown)} will hold: nothing was sent",
            "Send to a snapshot, or set unseen='allow'",
        )
    total = sum(group.count or 0 for group in seen)
    if total > most:
        raise InvalidInput.at(
            "max_recipients",
            f"the groups have {total:,} profiles, and {most:,} is the limit: nothing was sent",
            "Check the cohort's criteria, or raise the limit",
        )
