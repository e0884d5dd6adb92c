"""Copy a month of the message log and the usage records to files: one for each day, mapped over the days.

To do this every day, schedule the same operators with a data interval (``CronDataIntervalTimetable``) and no
``interval_start``; a look-back then rewrites the files of the last days, whose statuses and prices change.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.transfers.messages_to_object_storage import (
    TwilioMessagesToObjectStorageOperator,
)
from airflow_provider_twilio_comms.transfers.usage_records_to_object_storage import (
    TwilioUsageRecordsToObjectStorageOperator,
)

with DAG(
    "twilio_message_log",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "message log", "files"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio"), "days": 30},
):

    @task
    def intervals(params: dict, dag_run=None) -> list[dict[str, str]]:
        """List the days before the run's."""
        today = pendulum.instance(dag_run.run_after).in_timezone("UTC").start_of("day")
        starts = [today.subtract(days=before) for before in range(1, params["days"] + 1)]
        return [
            {"interval_start": start.isoformat(), "interval_end": start.add(days=1).isoformat()}
            for start in starts
        ]

    messages = TwilioMessagesToObjectStorageOperator.partial(
        task_id="messages",
        output_path="{{ params.folder }}/messages",
        redact="all",  # numbers as hashes that can be joined on, no texts
        max_active_tis_per_dagrun=4,
        retries=2,
    ).expand_kwargs(intervals())
    usage = TwilioUsageRecordsToObjectStorageOperator(
        task_id="usage",
        output_path="{{ params.folder }}/usage",
        interval_start="{{ (dag_run.run_after - macros.timedelta(days=30)).date() }}",
        interval_end="{{ dag_run.run_after.date() }}",
    )

    messages >> usage
