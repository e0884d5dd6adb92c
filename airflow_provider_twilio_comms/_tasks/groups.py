"""Groups and stored people as recipients of a task that sends: looked at first, and refused unseen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_twilio_comms._core.planning.groups import (
    SeenGroup,
    check_count,
    check_guards,
    groups_in,
    inspect,
)
from airflow_provider_twilio_comms._core.recipients.number_sets import compile_patterns
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.exceptions import InvalidInput, NoRecipients

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.planning.limits import Limits
    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.planning.screening import Screening
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


class GroupTask(Protocol):
    """The guards of a task that sends, as far as groups are concerned."""

    limits: Limits
    unseen: Literal["refuse", "allow"]
    on_empty: Any

    @property
    def log(self) -> Any: ...

    @property
    def hook(self) -> TwilioHook: ...


def look_at_groups(
    task: GroupTask, recipients: Any, allowed: Sequence[str] | None, config: Config
) -> list[SeenGroup]:
    """Look at the groups that are sent to, if any: what can be known of them before anything is sent.

    ``allowed`` are the task's own patterns of numbers. Raises :class:`InvalidInput`, :class:`NoRecipients`.
    """
    groups = groups_in(recipients)
    if not groups:
        return []
    if config.comms_version != "preview":
        raise InvalidInput.at(
            "recipients",
            "are groups, which version v1 of the API does not take: nothing was sent",
            "Set comms_version to preview in the connection",
        )
    allows: list[Callable[[str], object]] = [config.allows] if config.allowed_recipients else []
    if allowed is not None:
        allows.append(compile_patterns(allowed))
    seen = task.hook.run(inspect(groups, allows))
    check_count(seen, task.limits.recipients, task.unseen == "allow")
    if any(group.count is None or group.count for group in seen):
        return seen
    problem = f"{', '.join(group.id for group in seen)} hold nobody"
    if task.on_empty == "skip":
        raise AirflowSkipException(problem)
    raise NoRecipients.at("recipients", problem, "Look at the cohort's criteria and the store")


def count_profiles(plan: Plan, seen: Sequence[SeenGroup]) -> None:
    """Count a group's profiles where Twilio tells them, not its one entry."""
    if seen:
        plan.chunks = [
            replace(chunk, count=group.count or 1, exact=False)
            for chunk, group in zip(plan.chunks, seen, strict=False)
        ]


def check_unseen(
    task: GroupTask, screening: Screening, suppresses: bool, others: Collection[str] = ()
) -> None:
    """Refuse recipients that a guard of this task cannot see, or warn of them where the author allows it.

    ``others`` are guards of numbers that are on besides.
    """
    guards = {
        **dict.fromkeys(others, True),
        "suppress": suppresses,
        "max_segments": task.limits.segments is not None,
        "max_cost": task.limits.cost is not None,
        **dict.fromkeys(screening.by_zone, True),
    }
    blind = [name for name, on in guards.items() if on]
    check_guards(screening.unseen, blind, task.unseen == "allow")
    if screening.unseen and blind:
        task.log.warning(
            "%s by stored profile or group, whose numbers Twilio holds: %s cannot see them",
            pluralize(screening.unseen, "recipient"),
            ", ".join(blind),
        )
