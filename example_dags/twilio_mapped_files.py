"""Mapped sends, one for each file of a folder, and a message to the recipients that a function returns."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task

from airflow_provider_twilio_comms.operators.send_each import send_each
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio import ObjectStorageToTwilioOperator

with DAG(
    "twilio_mapped_files",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "bulk", "mapped", "files"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/exports
) as dag:

    @task
    def export(params: dict) -> list[str]:
        """Write the partitions, in place of your own task, and return their paths."""
        folder = ObjectStoragePath(params["folder"]) / "partitions"
        folder.mkdir(parents=True, exist_ok=True)
        for part, (city, code) in enumerate({"New York": "212", "Chicago": "312", "Boston": "617"}.items()):
            rows = "".join(f"+1{code}300{n:04d},{city}\n" for n in range(50))
            (folder / f"part-{part}.csv").write_text(f"phone,city\n{rows}")
        return sorted(str(file) for file in folder.iterdir())

    total = send_each(
        "campaign",
        ObjectStorageToTwilioOperator,
        over={"path": export()},
        number_column="phone",
        content="The weather in {{ city }} is fine today.",
        sender="+15005550006",
        wait_for="delivered",
        poll_interval=5,
        deferrable=True,
    )

    @task.twilio_message(sender="+15005550006", wait_for="processed", poll_interval=5, deferrable=True)
    def tell_the_owner(total: dict) -> tuple[str, list[str]]:
        """Return recipients, or the content and the recipients."""
        return f"{total['recipients']} people know how the weather is.", ["+12025550143"]

    tell_the_owner(total)
