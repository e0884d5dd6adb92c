"""What the sensors share: their connection, and how a bad end ends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms.exceptions import WaitTimedOut
from airflow_provider_twilio_comms.operators.base import TwilioTask, ending_plainly

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.sending.waiting import Waiting

__all__ = ["TwilioSensor"]


class TwilioSensor(TwilioTask, BaseSensorOperator):
    """Base of the sensors."""

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Judge an outcome here: with ``soft_fail`` or ``never_fail``, a bad one is a skip in every mode."""
        try:
            with ending_plainly():
                yield
        except WaitTimedOut as error:
            raise self._or_skipped(AirflowSensorTimeout(str(error))) from error
        except AirflowFailException as error:
            raise self._or_skipped(error) from error

    def resumed(self, wait: Waiting[Any, Any], context: Context) -> None:
        """Tell a wait of its earlier pokes: rescheduled, each is a process that remembers nothing."""
        from airflow_provider_twilio_comms.sending.waiting import HOPELESS

        if self.reschedule:
            first = context["ti"].get_first_reschedule_date(context)
            wait.since = first.timestamp() if first else wait.since
            wait.failures = HOPELESS - 1

    def _or_skipped(self, error: Exception) -> Exception:
        for name in ("soft_fail", "never_fail"):
            if getattr(self, name):
                return AirflowSkipException(f"{name} is set: {error}")
        return error
