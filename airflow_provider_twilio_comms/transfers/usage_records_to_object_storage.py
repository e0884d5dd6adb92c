"""Usage records, day by day, to files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_twilio_comms.transfers._message_log import TwilioLogToObjectStorageOperator

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.reporting.message_log import Source

__all__ = ["TwilioUsageRecordsToObjectStorageOperator"]


class TwilioUsageRecordsToObjectStorageOperator(TwilioLogToObjectStorageOperator):
    """Copy the daily usage records to object storage: one file for each interval of whole UTC days.

    A row is a category on a day, with usage, count and price; nothing of it is personal. Files are named,
    made and made anew as with
    :class:`~airflow_provider_twilio_comms.transfers.messages_to_object_storage.TwilioMessagesToObjectStorageOperator`:
    Twilio corrects the records of past days, so ``lookback`` is for them too.

    Returns ``{"interval_start", "interval_end", "rows", "counts", "output_path", "refreshed"}`` with the
    counts by category.

    .. code-block:: python

        TwilioUsageRecordsToObjectStorageOperator(
            task_id="usage",
            output_path="s3://aws@lake/twilio/usage",
            lookback=timedelta(days=3),
        )

    https://www.twilio.com/docs/usage/api/usage-record

    :param category: one category alone, such as ``sms-outbound`` (a template); the sums among them, such as
        ``totalprice``, hold the others
    :param include_subaccounts: count what subaccounts used as well; Twilio does, if left out
    :param output_path: the folder, through ``ObjectStoragePath`` (a template)
    :param file_format: ``parquet`` or ``jsonl``
    :param interval_start: from when, included; the run's data interval, if left out (a template)
    :param interval_end: until when, not included (a template)
    :param lookback: seconds, or a timedelta: files of earlier intervals that far back are made anew; 15
        minutes, for the lag of Twilio's list, if left out
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    listed: ClassVar[str] = "usage_records"
    template_fields: Sequence[str] = (*TwilioLogToObjectStorageOperator.template_fields, "category")

    def __init__(
        self, *, category: str | None = None, include_subaccounts: bool | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.category = category
        self.include_subaccounts = include_subaccounts

    def source(self) -> Source[Any]:
        from airflow_provider_twilio_comms._core.reporting.message_log import usage_records

        return usage_records(self.category, self.include_subaccounts)
