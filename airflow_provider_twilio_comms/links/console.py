"""Extra link from a task to its messages in Twilio's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["TwilioConsoleLink"]


class TwilioConsoleLink(BaseOperatorLink):
    """Link to the task's first message, or to those of its first operation, once Twilio has accepted it."""

    name = "Twilio messages"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Airflow's way in at the end of a task's process, to store the link for its UI."""
        return getattr(operator, "messages_url", "")
