"""Outbox: the messages of both generations as one list, newest first.

A generation contributes groups of messages that were created together; only the rows of the page that is
shown are ever built, so that 25,000 messages cost no more than fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_twilio_comms.emulator.classic import browse as classic
from airflow_provider_twilio_comms.emulator.comms import browse

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["SOURCES", "Group", "Source", "shown"]


class Group(NamedTuple):
    """``size`` messages created at one moment; ``row(n)`` is the n-th of them, as::

    {"id", "kind", "from", "to", "channel", "status", "code", "text", "tags", "operation", "created"}
    """

    created: float
    size: int
    row: Callable[[int], dict[str, Any]]


# The groups that match a search text and a status ("" is any), in any order.
Source: TypeAlias = Callable[
    ["State", str, str], Iterable[tuple[float, int, Callable[[int], dict[str, Any]]]]
]
SOURCES: tuple[Source, ...] = (browse.groups, classic.groups)


def shown(twilio: State, words: str, status: str, page: int, size: int) -> dict[str, Any]:
    """Build a page of the outbox, with the latest operations and the totals."""
    groups = [Group(*group) for source in SOURCES for group in source(twilio, words, status.upper())]
    groups.sort(key=lambda group: -group.created)
    return {
        "now": twilio.clock.now(),
        "total": sum(group.size for group in groups),
        "rows": list(_rows(groups, page * size, size)),
        "operations": browse.latest_operations(twilio, 12),
        "ledger": twilio.ledger.to_dict(recipients=False),
    }


def _rows(groups: Sequence[Group], skip: int, size: int) -> Iterable[dict[str, Any]]:
    for group in groups:
        taken = range(group.size)[skip : skip + size]
        yield from (group.row(number) for number in taken)
        skip, size = max(0, skip - group.size), size - len(taken)
