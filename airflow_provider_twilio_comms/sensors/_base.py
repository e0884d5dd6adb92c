"""Base of the sensors: their connection, how they poke or defer, and how a bad end ends them."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_twilio_comms._tasks.arguments import or_default
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, TwilioTask, failing_fast
from airflow_provider_twilio_comms.exceptions import WaitTimedOut

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.waiting.base import Budget, Waiting
    from airflow_provider_twilio_comms._tasks.waiting import TaskWait
    from airflow_provider_twilio_comms.api.flows import Flow

AGAIN = 20.0  # seconds, at most, between the looks of one poke


class TwilioSensor(TwilioTask, BaseSensorOperator):
    """Base of the sensors: one look first, then poke by poke, or in the triggerer.

    :param twilio_conn_id: the connection, of type ``twilio``
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    """

    budget: Budget | None = None

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
            outcome = self._poke_once()
            if outcome is None:
                self.defer(
                    trigger=self.task_wait.trigger(self.twilio_conn_id),
                    method_name="execute_complete",
                    timeout=self.task_wait.backstop,
                )
        return self.execute_complete(context, outcome)

    def poke(self, context: Context) -> PokeReturnValue:
        with failing_fast():
            outcome = self._poke_again(context) if self.reschedule else self._poke_once()
            if outcome is None or outcome.status == "timeout":  # its time is Airflow's to tell
                self.task_wait.tell(self._wait, self._pause())
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self.judged(outcome))

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with self.ending():
            return self.judged(event)

    def _get_next_poke_interval(self, started_at: Any, run_duration: Any, poke_count: int) -> float:
        """Airflow's way to ask for the pause between two pokes."""
        if self.reschedule or self.exponential_backoff:  # there each poke is a process; or it is Airflow's
            return float(super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return self._pause()

    def _pause(self) -> float:
        """Seconds to the next poke: soon at first, then up to ``poke_interval``."""
        from airflow_provider_twilio_comms._core.waiting.base import pause_of

        if self.reschedule:
            return float(self.poke_interval)
        return pause_of(self.poke_interval, time.time() - self._wait.since)

    def linked(self, context: Context) -> None:
        """Leave what the extra link needs, where there is one."""

    def look(self, wait: Any) -> Flow[Any]:
        """Look once; gives the outcome, if this is the end."""
        from airflow_provider_twilio_comms._core.waiting.base import polled

        return polled(wait)

    @cached_property
    def _wait(self) -> Waiting[Any, Any]:
        wait = self.task_wait.wait()  # kept, since it counts the polls that fail
        wait.budget = self.budget or wait.budget
        return wait

    def _poke_once(self) -> Any:
        """Look once. The connection is read again after a look that failed, since it may be the reason."""
        from airflow_provider_twilio_comms._tasks.waiting import reread

        outcome = self.hook.run(self.look(self._wait))
        if self._wait.is_failing:
            self.hook = reread(self.hook)
        return outcome

    def _poke_again(self, context: Context) -> Any:
        """Look once, and again where no single look is believed: rescheduled, each poke is a process that
        remembers nothing.
        """
        from airflow_provider_twilio_comms._core.waiting.base import LEAST
        from airflow_provider_twilio_comms.api.flows import waited

        first = context["ti"].get_first_reschedule_date(context)
        wait = self._wait
        wait.since = first.timestamp() if first else wait.since
        wait.budget = replace(wait.budget, hopeless=0.0)
        for look in range(LEAST):
            if look:
                self.hook.run(waited(min(self.poke_interval, AGAIN)))
            outcome = self._poke_once()
            if outcome is not None or not wait.is_in_doubt:
                break
        return outcome

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Judge an outcome here: with ``soft_fail`` or ``never_fail``, a bad one is a skip in every mode."""
        try:
            with failing_fast():
                yield
        except WaitTimedOut as error:
            raise self._or_skipped(AirflowSensorTimeout(str(error))) from None
        except AirflowFailException as error:
            raise self._or_skipped(error) from None

    def _or_skipped(self, error: Exception) -> Exception:
        for name in ("soft_fail", "never_fail"):
            if getattr(self, name):
                return AirflowSkipException(f"{name} is set: {error}")
        return error
