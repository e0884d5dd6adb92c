"""The plan of a task's send, with what an author wants to see of it on the way. No number is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_twilio_comms._core.planning.plan import Plan, planned, spooled
from airflow_provider_twilio_comms._core.recipients.reader import Reader
from airflow_provider_twilio_comms._tasks.object_storage import opened_rejects

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_twilio_comms._core.planning.screening import Screen

__all__ = ["planning"]

STEP = 100_000  # rows between two lines of progress


@contextmanager
def planning(
    rows: Iterable[Any],
    reader: Reader,
    log: Logger,
    *,
    envelope: int,
    at_most: int,
    on_invalid: Literal["fail", "skip"],
    rejects_path: str | None,
    screen: Screen | None = None,
) -> Iterator[Plan]:
    """Check and encode all rows. The plan lasts as long as the block; the rejects are written by then.

    Raises what :func:`~airflow_provider_twilio_comms._core.planning.plan.planned` raises.
    """

    def progress(count: int) -> None:
        if count % STEP == 0:
            log.info("Read %s recipients", f"{count:,}")

    with spooled() as spool:
        with opened_rejects(rejects_path) as reject:
            plan = planned(
                rows,
                reader,
                spool,
                envelope=envelope,
                at_most=at_most,
                on_invalid=on_invalid,
                reject=reject,
                screen=screen,
                progress=progress,
            )
        log.info(
            "Planned %s recipients in %d requests; %s rejected",
            f"{plan.recipients:,}",
            len(plan.chunks),
            f"{plan.rejected:,}",
        )
        for name, lacking in reader.lacking.items():
            log.warning(
                "Template variable %r has no default, and %s recipients lack it", name, f"{lacking:,}"
            )
        yield plan
