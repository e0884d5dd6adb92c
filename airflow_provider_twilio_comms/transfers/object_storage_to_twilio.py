"""From files to people's phones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from airflow.sdk import XComArg

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

__all__ = ["ObjectStorageToTwilioOperator"]


class ObjectStorageToTwilioOperator(TwilioBulkMessageOperator):
    """Text everyone in a file, or in all files below a path, each of them once.

    CSV, JSON lines or Parquet, told by the name (``.csv``, ``.jsonl``, ``.ndjson``, ``.parquet``), plain or
    compressed (``.gz``, ``.bz2``, ``.xz``; ``.zst`` with pyarrow), wherever ``ObjectStoragePath`` reaches. Of
    a folder or prefix every file is read, in the order of the names; those that begin with ``_`` or ``.``
    belong to the tools that write such folders. One column is the number, the others are variables of the
    text.

    .. code-block:: python

        ObjectStorageToTwilioOperator(
            task_id="remind",
            path="s3://aws_default@exports/bookings/{{ ds }}/",
            number_column="phone",
            content="Hi {{ name | default: 'there' }}, your table is booked for {{ starts_at }}.",
        )

    Everything else is as with
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`.

    :param path: a file, a folder or the beginning of files' paths, with its connection as
        ``ObjectStoragePath`` has it (a template)
    """

    template_fields: Sequence[str] = (*TwilioBulkMessageOperator.template_fields, "path")

    def __init__(
        self, *, path: str, content: str | Mapping[str, Any] | XComArg | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"recipients": (), **kwargs}, content=content)
        self.path = path

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        return [dataset_of_file(self.path)]

    def rows(self) -> Iterable[Any]:
        from airflow_provider_twilio_comms._core.recipients.prefetch import prefetch
        from airflow_provider_twilio_comms._core.recipients.reader import Batched, batches
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import files_at

        files = files_at(self.path)
        self.log.info("Reading %d files below %s", len(files), self.path)
        rows = chain.from_iterable(rows_of(file, self.number_column) for file in files)
        return Batched(prefetch(lambda: batches(rows)))
