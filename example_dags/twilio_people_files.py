"""Load people from a file into a memory store, change a cohort of them, and wait for the change."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_twilio_comms.operators.api_request import TwilioApiRequestOperator
from airflow_provider_twilio_comms.operators.cohorts import TwilioCohortOperator
from airflow_provider_twilio_comms.sensors.cohort_operations import TwilioCohortOperationSensor
from airflow_provider_twilio_comms.transfers.object_storage_to_twilio_profiles import (
    ObjectStorageToTwilioProfilesOperator,
)

STORE = "{{ ti.xcom_pull('store') }}"

with DAG(
    "twilio_people_files",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    description=__doc__.partition("\n")[0],
    doc_md=__doc__,
    tags=["twilio", "people", "files"],
    params={"folder": str(Path(tempfile.gettempdir()) / "twilio")},  # or s3://aws_default@bucket/twilio
):

    @task
    def store(folder: str) -> str:
        """Write a file of people, and create a memory store for them."""
        from airflow.sdk import ObjectStoragePath

        from airflow_provider_twilio_comms.api.memory import operations, stores
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        people = ObjectStoragePath(folder) / "people"
        people.mkdir(parents=True, exist_ok=True)
        rows = [f"+1202{5_600_000 + number:07d},{('Lisbon', 'Porto')[number % 2]}" for number in range(40)]
        (people / "people.csv").write_text("\n".join(["phone,city", *rows]) + "\n")
        hook = TwilioHook()
        operation = hook.run(stores.create("files")).operation_id
        while not (done := hook.run(operations.fetch(operation))).done:
            time.sleep(1)
        return done.resource_id

    people = ObjectStorageToTwilioProfilesOperator(
        task_id="people",
        path="{{ params.folder }}/people",
        store_id=STORE,
        traits={"phone": "Contact.phone", "city": "Contact.city"},
        hashes_path="{{ params.folder }}/people.hashes",
        rejects_path="{{ params.folder }}/rejects.jsonl",
        method="import",
    )
    lisbon = TwilioCohortOperator(
        task_id="lisbon",
        store_id=STORE,
        display_name="Lisbon",
        criteria='profile.trait.Contact.city == "Lisbon"',
    )
    describe = TwilioApiRequestOperator(
        task_id="describe",
        call="audiences.cohorts.update",
        arguments={
            "cohort_id": "{{ ti.xcom_pull('lisbon')['cohort_id'] }}",
            "description": "Everybody in Lisbon",
        },
        fields=["operationId"],
    )
    described = TwilioCohortOperationSensor(
        task_id="described",
        operation_ids="{{ ti.xcom_pull('describe')['operationId'] }}",
        poke_interval=5,
        timeout=600,
    )

    store("{{ params.folder }}") >> people >> lisbon >> describe >> described
