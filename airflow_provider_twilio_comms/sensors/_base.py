"""What the sensors share: their connection, and how a bad end ends them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms._tasks.arguments import or_default
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, TwilioTask, failing_fast
from airflow_provider_twilio_comms.exceptions import WaitTimedOut

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.waiting.base import Waiting
    from airflow_provider_twilio_comms._tasks.waiting import TaskWait

__all__ = ["TwilioSensor"]


class TwilioSensor(TwilioTask, BaseSensorOperator):
    """Base of the sensors: one look first, then poke by poke, or in the triggerer.

    :param twilio_conn_id: the connection, of type ``twilio``
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    """

    def __init__(
        self,
        *,
        twilio_conn_id: str = "twilio_default",
        deferrable: bool | None = None,
        initial_delay: float = INITIAL_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.twilio_conn_id = twilio_conn_id
        self.deferrable: bool = or_default(deferrable)
        self.initial_delay = initial_delay

    @property
    @abstractmethod
    def task_wait(self) -> TaskWait[Any]:
        """The wait of this task, the same for all its pokes."""

    @abstractmethod
    def judged(self, outcome: Any) -> dict[str, Any]:
        """The result, if the outcome is good enough."""

    def execute(self, context: Context) -> Any:
        with failing_fast():
            self.linked(context)
            if not self.deferrable:
                return super().execute(context)
            outcome = self.task_wait.run(self.hook, to_the_end=False)
            if outcome is None:
                self.defer(
                    trigger=self.task_wait.trigger(self.twilio_conn_id),
                    method_name="execute_complete",
                    timeout=self.task_wait.backstop,
                )
        return self.execute_complete(context, outcome)

    def poke(self, context: Context) -> PokeReturnValue:
        from airflow_provider_twilio_comms._core.waiting.base import polled

        with failing_fast():
            self.resumed(self._wait, context)
            outcome = self.hook.run(polled(self._wait, {}))
            if outcome is None or outcome.status == "timeout":  # its time is Airflow's to tell
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self.judged(outcome))

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with self.ending():
            return self.judged(event)

    def linked(self, context: Context) -> None:
        """Leave what the extra link needs, where there is one."""

    @cached_property
    def _wait(self) -> Waiting[Any, Any]:
        return self.task_wait.wait()  # kept, since it counts the polls that fail

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Judge an outcome here: with ``soft_fail`` or ``never_fail``, a bad one is a skip in every mode."""
        try:
            with failing_fast():
                yield
        except WaitTimedOut as error:
            raise self._or_skipped(AirflowSensorTimeout(str(error))) from error
        except AirflowFailException as error:
            raise self._or_skipped(error) from error

    def resumed(self, wait: Waiting[Any, Any], context: Context) -> None:
        """Tell a wait of its earlier pokes: rescheduled, each is a process that remembers nothing."""
        from airflow_provider_twilio_comms._core.waiting.base import HOPELESS

        if self.reschedule:
            first = context["ti"].get_first_reschedule_date(context)
            wait.since = first.timestamp() if first else wait.since
            wait.failures = HOPELESS - 1

    def _or_skipped(self, error: Exception) -> Exception:
        for name in ("soft_fail", "never_fail"):
            if getattr(self, name):
                return AirflowSkipException(f"{name} is set: {error}")
        return error
