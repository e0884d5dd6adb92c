"""Waiting for operations that were made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms.exceptions import InvalidInput, WaitTimedOut
from airflow_provider_twilio_comms.links.operations import KEY, TwilioOperationLink
from airflow_provider_twilio_comms.operators.base import TwilioTask, ending_plainly
from airflow_provider_twilio_comms.operators.waits import FIRST_EVENT, Patience, trigger_for, verdict, waited
from airflow_provider_twilio_comms.sending.verdict import Criteria

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.sending.waiting import Outcome, Wait

__all__ = ["TwilioOperationSensor"]


class TwilioOperationSensor(TwilioTask, BaseSensorOperator):
    """Wait until operations are processed, or their messages delivered, and judge the result.

    Returns ``{"operation_ids", "status", "stats"}``, the stats added up. Fails at once where what arrived is
    less than asked for, since waiting longer does not help.

    .. code-block:: python

        TwilioOperationSensor(
            task_id="delivered",
            operation_ids="{{ ti.xcom_pull('remind')['operation_ids'] }}",
            until="delivered",
            min_delivered=0.95,
        )

    https://www.twilio.com/docs/bulk-messaging/api/operation-resource

    :param operation_ids: one id, several, or a template or XComArg that gives them
    :param until: ``processed`` or ``delivered``
    :param min_delivered: with ``delivered``, the share (0.98) or count (100) that has to arrive; else all
    :param max_failed: the share or count that may fail
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    ``poke_interval`` and ``timeout`` are Airflow's own, in seconds.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "operation_ids")
    operator_extra_links = (TwilioOperationLink(),)

    def __init__(
        self,
        *,
        operation_ids: str | Sequence[str],
        until: Literal["processed", "delivered"] = "processed",
        min_delivered: float | int | None = None,
        max_failed: float | int | None = None,
        twilio_conn_id: str = "twilio_default",
        deferrable: bool | None = None,
        initial_delay: float = FIRST_EVENT,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", 30.0)
        super().__init__(**kwargs)
        self.operation_ids = operation_ids
        self.criteria = Criteria(until, min_delivered, max_failed)
        if until not in ("processed", "delivered"):
            raise InvalidInput.at("until", f"{until!r} is unknown", "Use processed or delivered")
        self.twilio_conn_id = twilio_conn_id
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False)
            if deferrable is None
            else deferrable
        )
        self.initial_delay = initial_delay

    def execute(self, context: Context) -> Any:
        context["ti"].xcom_push(KEY, self.hook.config.messages_page(self._ids[0]))
        if not self.deferrable:
            return super().execute(context)
        with ending_plainly():
            outcome = waited(self.hook, self._wait, self._patience, to_the_end=False)
            if outcome is None:
                self.defer(
                    trigger=trigger_for(self._wait, self._patience, self.twilio_conn_id),
                    method_name="execute_complete",
                    timeout=self._patience.backstop,
                )
            return self._judged(outcome)

    def poke(self, context: Context) -> PokeReturnValue:
        with ending_plainly():
            outcome = waited(self.hook, self._wait, self._patience, to_the_end=False)
            if outcome is None or outcome.status == "timeout":  # its time is Airflow's to tell
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._judged(outcome))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        try:
            with ending_plainly():
                return self._judged(event)
        except WaitTimedOut as error:
            raise _or_skipped(self.soft_fail, AirflowSensorTimeout(str(error))) from error
        except AirflowFailException as error:
            raise _or_skipped(self.soft_fail, error) from error

    def _judged(self, outcome: Outcome | dict[str, Any]) -> dict[str, Any]:
        stats = verdict(self.hook, self.criteria, outcome, self._ids)
        return {"operation_ids": self._ids, "status": "COMPLETED", "stats": stats.to_dict()}

    @cached_property
    def _ids(self) -> list[str]:
        """The ids; a template that renders to a list gives its text."""
        given = self.operation_ids
        if isinstance(given, str):
            given = [part.strip("'\" ") for part in given.strip("[]() ").split(",")]
        ids = [operation_id for operation_id in given if operation_id]
        wrong = [operation_id for operation_id in ids if not operation_id.startswith("comms_operation_")]
        if wrong or not ids:
            problem = f"{wrong[0]!r} is no operation id" if wrong else "there are none"
            raise AirflowFailException(f"operation_ids: {problem}. They start with comms_operation_")
        return ids

    @cached_property
    def _patience(self) -> Patience:
        now = time.time()
        return Patience(self.criteria, now + self.timeout, now, self.poke_interval, self.initial_delay)

    @cached_property
    def _wait(self) -> Wait:
        return self._patience.wait(self._ids)


def _or_skipped(soft_fail: bool, error: Exception) -> Exception:
    return AirflowSkipException(f"soft_fail is set: {error}") if soft_fail else error
