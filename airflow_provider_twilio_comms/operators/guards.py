"""When a task that sends may send: what every one of them asks first."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_twilio_comms._tasks.operator import one_of, seconds
from airflow_provider_twilio_comms.operators.killing import TwilioKillableOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TwilioTimedOperator"]


class _Begun(Protocol):
    """A ledger, as far as it matters here."""

    @property
    def begun(self) -> bool: ...


class TwilioTimedOperator(TwilioKillableOperator):
    """Base of the operators that send.

    :param dry_run: check, count and plan everything, and send nothing
    :param on_backfill: what to do in a backfill: ``skip`` the task, since a backfill that texts last year's
        reminders is the classic accident; ``dry_run``; or ``send``
    :param max_age: seconds, or a timedelta, after the end of the data interval; later, the task is skipped
        (and fails where an earlier try has sent a part already)
    """

    def __init__(
        self,
        *,
        dry_run: bool = False,
        on_backfill: Literal["skip", "dry_run", "send"] = "skip",
        max_age: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sends_nothing = dry_run  # BaseOperator.dry_run is something else
        self.on_backfill: Literal["skip", "dry_run", "send"] = one_of(
            "on_backfill", on_backfill, "skip", "dry_run", "send"
        )
        self.max_age: float | None = None if max_age is None else seconds(max_age)

    def admitted(self, context: Context, ledger: _Begun) -> bool:
        """Whether this is the real thing, and not a dry run. Skips the task where it may do neither."""
        real = not self.sends_nothing
        if _run_type(context) == "backfill":
            self.log.info("This run is a backfill, and on_backfill=%r", self.on_backfill)
            if self.on_backfill == "skip":
                raise AirflowSkipException(
                    "Nothing is sent in a backfill; on_backfill='send' sends, 'dry_run' counts"
                )
            real = real and self.on_backfill == "send"
        if real and self.max_age is not None:
            self._fresh(context, self.max_age, ledger)
        return real

    def _fresh(self, context: Context, max_age: float, ledger: _Begun) -> None:
        end = context.get("data_interval_end") or getattr(context.get("dag_run"), "run_after", None)
        if end is None or time.time() - end.timestamp() <= max_age:
            return
        late = f"The data interval ended at {end.isoformat()}, more than max_age={max_age:,.0f} s ago"
        if ledger.begun:
            raise AirflowFailException(
                f"{late}, and an earlier try has sent a part. The rest is not sent: raise max_age to send it"
            )
        raise AirflowSkipException(f"{late}: nothing is sent")


def _run_type(context: Context) -> str:
    kind: Any = getattr(context.get("dag_run"), "run_type", None)
    return str(getattr(kind, "value", kind))
