"""From a task to its messages in Twilio's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from airflow_provider_twilio_comms._core.xcom_keys import MARK

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["TwilioConsoleLink"]

KEY = MARK


class TwilioConsoleLink(BaseOperatorLink):
    """The task's first message, or those of its first operation; there as soon as Twilio has it."""

    name = "Twilio messages"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(ti_key=ti_key, key=KEY) or ""
