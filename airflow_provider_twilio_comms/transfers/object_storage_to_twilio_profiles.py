"""From files to stored people: reverse ETL into a memory store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from airflow_provider_twilio_comms._tasks.profiles import Batches, TwilioProfilesOperator

__all__ = ["ObjectStorageToTwilioProfilesOperator"]


class ObjectStorageToTwilioProfilesOperator(TwilioProfilesOperator):
    """Load the rows of a file, or of all files below a path, into a memory store as profiles.

    CSV, JSON lines or Parquet, plain or compressed, wherever ``ObjectStoragePath`` reaches. A retry does not
    open a file again that is done, and skips the rows of the next one that are. An empty cell is no value.
    Everything else is as with
    :class:`~airflow_provider_twilio_comms.transfers.sql_to_twilio_profiles.SqlToTwilioProfilesOperator`.

    .. code-block:: python

        ObjectStorageToTwilioProfilesOperator(
            task_id="customers",
            path="s3://aws_default@exports/customers/{{ ds }}/",
            store_id="mem_store_01h9krwprkeee8fzqspvwy6nq8",
            traits={"phone": "Contact.phone", "city": "Contact.city"},
            hashes_path="s3://aws_default@state/customers.hashes",
        )

    https://www.twilio.com/docs/api/memory/v1/profiles

    :param path: a file, a folder or the beginning of files' paths, with its connection as
        ``ObjectStoragePath`` has it (a template)
    """

    template_fields: Sequence[str] = (*TwilioProfilesOperator.template_fields, "path")

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        return [dataset_of_file(self.path)]

    def batches(self, position: Mapping[str, Any]) -> Batches:
        from airflow_provider_twilio_comms._core.recipients.reader import batches
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import files_at

        files = files_at(self.path)
        done, skipped = int(position.get("files", 0)), int(position.get("rows", 0))
        self.log.info("Reading %d of %d files below %s", len(files) - done, len(files), self.path)
        for number, file in enumerate(files[done:], done):
            read = skipped if number == done else 0
            for batch in batches(islice(rows_of(file), read, None)):
                read += len(batch)
                yield batch, {"files": number, "rows": read}
