"""US numbers that carriers took out of service: https://www.twilio.com/docs/sms/deactivated-phone-numbers"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms._tasks.arguments import or_default
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, TwilioTask, failing_fast
from airflow_provider_twilio_comms.exceptions import TwilioError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms.api._resources import Elsewhere
    from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["TwilioDeactivatedNumbersOperator"]


class TwilioDeactivatedNumbersOperator(TwilioTask, BaseSensorOperator):
    """Copy a day's list of deactivated numbers to object storage, as soon as Twilio has it.

    The file has one number a line. Whoever held such a number before is not the one who reads your messages
    now. Returns ``{"day", "count", "bytes", "output_path"}``.

    .. code-block:: python

        TwilioDeactivatedNumbersOperator(
            task_id="deactivated",
            day="{{ ds }}",
            output_path="s3://aws@lists/deactivated/{{ ds }}.txt",
        )

    https://www.twilio.com/docs/sms/deactivated-phone-numbers

    :param day: a date, or a template that renders to one
    :param output_path: the file, anywhere that ``ObjectStoragePath`` reaches (a template)
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param twilio_conn_id: the connection, of type ``twilio``

    It waits as sensors do: ``mode`` (here ``reschedule``, which holds no worker), ``poke_interval`` (here 15
    minutes), ``timeout`` (here a day, in seconds) and ``soft_fail`` are Airflow's own.
    """

    template_fields: Sequence[str] = ("twilio_conn_id", "day", "output_path")

    def __init__(
        self,
        *,
        day: date | str,
        output_path: str,
        twilio_conn_id: str = "twilio_default",
        deferrable: bool | None = None,
        initial_delay: float = INITIAL_DELAY,
        **kwargs: Any,
    ) -> None:
        defaults = {"mode": "reschedule", "poke_interval": timedelta(minutes=15), "timeout": 86_400.0}
        super().__init__(**{**defaults, **kwargs})
        self.day = day
        self.output_path = output_path
        self.twilio_conn_id = twilio_conn_id
        self.deferrable: bool = or_default(deferrable)
        self.initial_delay = initial_delay

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        with failing_fast():
            result = self._copied()
        if result is None:
            self._deferred()
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        with failing_fast():
            result = self._copied()
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any] | None:
        """Resume with the trigger's event."""
        if event["status"] == "timeout":
            text = f"time is up; there is no report of {self._date} yet"
            raise AirflowSkipException(text) if self.soft_fail else AirflowSensorTimeout(text)
        with failing_fast():
            if event["status"] == "error":
                raise TwilioError.from_dict(event["error"])
            return self._copied()

    def _copied(self) -> dict[str, Any] | None:
        """The result, if the report is there."""
        from airflow.sdk import ObjectStoragePath

        from airflow_provider_twilio_comms._core.resources.media import there
        from airflow_provider_twilio_comms._tasks.object_storage import stored

        if not self.hook.run(there(self._place)):
            self.log.info("There is no report of %s yet", self._date)
            return None
        size, lines = stored(self.hook, self._place, ObjectStoragePath(self.output_path.strip()))
        self.log.info("Copied the report of %s: %s numbers", self._date, f"{lines:,}")
        return {"day": self._date, "count": lines, "bytes": size, "output_path": self.output_path}

    def _deferred(self) -> None:
        from airflow_provider_twilio_comms._tasks.operator import PADDING
        from airflow_provider_twilio_comms.triggers.deactivations import TwilioDeactivationsTrigger

        now = time.time()
        self.defer(
            trigger=TwilioDeactivationsTrigger(
                day=self._date,
                twilio_conn_id=self.twilio_conn_id,
                deadline=now + self.timeout,
                poll_interval=self.poke_interval,
                not_before=now + self.initial_delay,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + PADDING,
        )

    @property
    def _date(self) -> str:
        from airflow_provider_twilio_comms.api._forms import valid

        return valid("day", self.day, date).isoformat() if isinstance(self.day, date) else self.day.strip()

    @property
    def _place(self) -> Call[Elsewhere]:
        from airflow_provider_twilio_comms.api.messaging import deactivations

        return deactivations.fetch(self._date)  # type: ignore[arg-type]  # which is held to be a date there
