"""Extra link from a task to its messages in Twilio's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from airflow_provider_twilio_comms._core.xcom_keys import MARK

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["TwilioConsoleLink"]


class TwilioConsoleLink(BaseOperatorLink):
    """Link to the task's first message, or to those of its first operation, once Twilio has accepted it."""

    name = "Twilio messages"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        if not getattr(operator, "has_link", True):  # Airflow logs an error about an XCom that is not there
            return ""
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(ti_key=ti_key, key=MARK) or ""
