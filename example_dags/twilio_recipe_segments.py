"""Recipe: a text of its own for each segment of customers, as mapped tasks that are retried alone.

Map over segments, never over people: each mapped task is a process of its own. The segments are files, so
that no number is in Airflow's database.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

TEXTS = {
    "new": "Welcome, {{ name }}! Your first coffee is on us.",
    "regular": "Hi {{ name }}, your usual table is free tonight.",
    "lapsed": "We miss you, {{ name }}. Come back for a free dessert.",
}

with DAG(
    "twilio_recipe_segments",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "recipe", "bulk", "mapped"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/segments
):

    @task
    def segments(params: dict) -> list[dict[str, str]]:
        """Write a file for each segment, in place of your own query; return the arguments of the sends."""
        folder = ObjectStoragePath(params["folder"]) / "segments"
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for area, (segment, text) in zip(("212", "312", "617"), TEXTS.items(), strict=True):
            path = folder / f"{segment}.csv"
            path.write_text("phone,name\n" + "".join(f"+1{area}300{n:04d},Guest {n}\n" for n in range(20)))
            found.append({"recipients": str(path), "content": text})
        return found

    send = TwilioBulkMessageOperator.partial(
        task_id="send",
        number_column="phone",
        sender="+15005550006",
        wait_for="delivered",
        min_delivered=0.95,
        deferrable=True,
        retries=2,
    ).expand_kwargs(segments())
