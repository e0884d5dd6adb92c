"""What a task that sends leaves behind when it is killed, or when Airflow itself ends its wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.operator import TwilioOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.sending.send_once import Steps

__all__ = ["SENT", "TwilioKillableOperator"]

SHOWN = 20  # ids that the log names


class TwilioKillableOperator(TwilioOperator):
    """Base of the operators that send. Whatever ends a try, a later one knows what was sent."""

    _sending: Steps[Any, Any] | None = None
    _resumed: Any = None

    def on_kill(self) -> None:
        """Post nothing more, and say what goes on at Twilio. Also where ``execution_timeout`` is over."""
        if self._sending:
            self._sending.stop()
            self._leave("Killed", self._sending.ids, self._sending.sent)
        else:
            self._leave("Killed", *self.under_way(self._resumed))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way in after a deferral, also where its own time-out has ended that."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout):
            self._leave("Airflow has ended the wait", *self.under_way(self.sent_before(context)))
            raise

    def sent_before(self, context: Context) -> Any:
        """What was sent before the deferral, as the task has kept it."""
        ti = context["ti"]
        self._resumed = ti.xcom_pull(task_ids=self.task_id, key=SENT, map_indexes=ti.map_index)
        return self._resumed

    def under_way(self, sent: Any) -> tuple[Sequence[str], int]:
        """Twilio's ids and the number of recipients, of what the task has kept; ``sent`` may be None."""
        raise NotImplementedError

    def call_off(self, ids: Sequence[str]) -> None:
        """Cancel what can be canceled, where the author wants that."""

    def _leave(self, why: str, ids: Sequence[str], people: int) -> None:
        named = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
        if ids:
            text = f"what was sent to {people:,} recipients goes on at Twilio: {named}"
        else:
            text = "nothing that is known of is under way at Twilio"
        self.log.warning("%s; %s. A later try knows what was sent, and sends the rest only", why, text)
        if ids:
            self.call_off(ids)
