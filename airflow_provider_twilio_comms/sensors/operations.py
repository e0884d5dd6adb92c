"""The sensor that waits for bulk operations that were made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._tasks.arguments import ids_of, one_of, wait_for_of
from airflow_provider_twilio_comms.links.console import TwilioConsoleLink
from airflow_provider_twilio_comms.sensors._base import TwilioSensor

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_twilio_comms._core.waiting.operations import Outcome, Wait
    from airflow_provider_twilio_comms._tasks.waiting import OperationsTaskWait
    from airflow_provider_twilio_comms.api.flows import Flow

__all__ = ["TwilioOperationSensor"]


class TwilioOperationSensor(TwilioSensor):
    """Wait until operations are processed, or their messages delivered, and judge the result.

    Returns ``{"operation_ids", "status", "stats", "codes", "unexplained"}``: the stats added up, failures by
    Twilio's code, and how many have none. Fails at once where what arrived is less than asked for, since
    waiting longer does not help; and where Twilio will have forgotten a scheduled operation, seven days after
    its request, before it is sent.

    .. code-block:: python

        TwilioOperationSensor(
            task_id="delivered",
            operation_ids="{{ ti.xcom_pull('remind')['operation_ids'] }}",
            wait_for="delivered",
            min_delivered=0.95,
        )

    https://www.twilio.com/docs/bulk-messaging/api/operation-resource

    :param operation_ids: one id, several, or a template or XComArg that gives them
    :param wait_for: ``processed`` or ``delivered``
    :param min_delivered: with ``delivered``, the share (0.98) or count (100) that has to arrive; else all
    :param max_failed: the share (0.02) or count (20) that may fail; if left out, 0.05 with
        ``wait_for="processed"``
    :param until: the old name of ``wait_for``
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "operation_ids")
    operator_extra_links: Collection[BaseOperatorLink] = (TwilioConsoleLink(),)

    def __init__(
        self,
        *,
        operation_ids: str | Sequence[str],
        wait_for: Literal["processed", "delivered"] = "processed",
        min_delivered: float | int | None = None,
        max_failed: float | int | None = None,
        until: Literal["processed", "delivered"] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", 30.0)
        super().__init__(**kwargs)
        self.operation_ids = operation_ids
        wait_for = wait_for_of(wait_for, until, "processed")
        self.criteria: Criteria = Criteria(
            one_of("wait_for", wait_for, "processed", "delivered"), min_delivered, max_failed
        )

    def linked(self, context: Context) -> None:
        self.leave_link(context, self.task_wait.operation_ids[0])

    def look(self, wait: Wait) -> Flow[Outcome | None]:
        from airflow_provider_twilio_comms._core.waiting.operations import polled_ahead

        return polled_ahead(wait)

    def judged(self, outcome: Outcome | dict[str, Any]) -> dict[str, Any]:
        result = self.task_wait.verdict(outcome, self.hook)
        ids = self.task_wait.operation_ids
        return {"operation_ids": ids, "status": "COMPLETED", **result._asdict()}

    @cached_property
    def task_wait(self) -> OperationsTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import OperationsTaskWait

        ids = ids_of(
            "operation_ids", self.operation_ids, "comms_operation_.+", "comms_operation_ and its name"
        )
        now = time.time()
        return OperationsTaskWait(
            ids, self.criteria, now + self.timeout, now, self.poke_interval, self.initial_delay
        )
