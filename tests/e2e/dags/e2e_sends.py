"""Sends in many mapped tasks: one a file, and one a person.

``e2e_files``  sends to every file of ``folder``.
``e2e_waits``  sends to ``people`` of the area ``area``, a task each. A second task, ``later`` times,
               schedules a single message of ``service`` for ``send_at``, and cancels it when it is failed.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Context, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_each import send_each
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator

COMMON: dict[str, Any] = {
    "wait_for": "delivered",
    "deferrable": True,
    "poll_interval": 2.0,
    "timeout": timedelta(hours=6),
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
}


def number(context: Context, place: int) -> str:
    conf = context["dag_run"].conf or {}
    return f"+1{conf['area']}2{place:06d}"


class Bulk(TwilioBulkMessageOperator):
    """Texts the person of a place."""

    def __init__(self, *, place: int, **kwargs: Any) -> None:
        super().__init__(recipients=(), content="It is time.", sender="+15005550006", **kwargs)
        self.place = place

    def execute(self, context: Context) -> Any:
        self.recipients = self.hide([number(context, self.place)])
        return super().execute(context)


class Scheduled(TwilioSendMessageOperator):
    """Texts the person of a place later, unless it is failed before."""

    def __init__(self, *, place: int, **kwargs: Any) -> None:
        super().__init__(to="", body="It will be time.", cancel_on_kill=True, **kwargs)
        self.place = place

    def execute(self, context: Context) -> Any:
        self.to = self.hide(number(context, self.place))
        return super().execute(context)


with DAG("e2e_files", schedule=None):

    @task
    def files(dag_run: Any) -> list[str]:
        return sorted(map(str, Path(dag_run.conf["folder"]).glob("*.csv")))

    send_each(
        "campaign",
        ObjectStorageToTwilioOperator,
        over={"path": files()},
        number_column="phone",
        content="Hello {{ name | default: 'there' }}",
        sender="+15005550006",
        **COMMON,
    )

with DAG("e2e_waits", schedule=None, max_active_tasks=1000):

    @task
    def places(dag_run: Any) -> list[int]:
        return list(range(dag_run.conf["people"]))

    @task
    def places_of_later(dag_run: Any) -> list[int]:
        first = dag_run.conf["people"]
        return list(range(first, first + dag_run.conf["later"]))

    Bulk.partial(task_id="send", **COMMON).expand(place=places())
    Scheduled.partial(
        task_id="send_later",
        messaging_service_sid="{{ dag_run.conf['service'] }}",
        send_at="{{ dag_run.conf['send_at'] }}",
        **COMMON,
    ).expand(place=places_of_later())
