"""The message log to files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms.transfers._message_log import TwilioLogToObjectStorageOperator

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._core.reporting.message_log import Source

__all__ = ["TwilioMessagesToObjectStorageOperator"]


class TwilioMessagesToObjectStorageOperator(TwilioLogToObjectStorageOperator):
    """Copy the message log to object storage: one file for each interval, with the messages sent in it.

    The file's name tells the interval: ``messages_20260301T000000Z_20260302T000000Z.parquet``. It is there
    whole or not at all, and the same however often and in whatever order intervals are copied: Twilio
    filters by whole days, and rows outside the interval are left out. A try that dies continues with the
    next page. ``lookback`` makes the files that lie so long before the interval anew as well, since Twilio's
    list lags, and statuses and prices change after the send. Messages without a date of sending are in no
    interval.

    Returns ``{"interval_start", "interval_end", "rows", "counts", "output_path", "refreshed"}`` with the
    counts by status; assets in ``outlets`` get the same as the ``extra`` of their event. Twilio keeps
    messages for 400 days, and an interval that begins before that is refused.

    .. code-block:: python

        TwilioMessagesToObjectStorageOperator(
            task_id="messages",
            output_path="s3://aws@lake/twilio/messages",
            lookback=timedelta(days=3),
        )

    https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources

    :param output_path: the folder, through ``ObjectStoragePath``; pages lie in ``_staging`` there, redacted,
        until all are read (a template)
    :param file_format: ``parquet`` or ``jsonl``
    :param interval_start: from when, included: a datetime, a date or ISO 8601; the run's data interval, if
        left out (a template)
    :param interval_end: until when, not included (a template)
    :param lookback: seconds, or a timedelta: files of earlier intervals that far back are made anew; 15
        minutes, for the lag of Twilio's list, if left out
    :param redact: what of a person may be written: ``none``, ``numbers`` (hashes), ``text`` or ``all``
    :param hash_secret: keys the hashes (a template); the connection's, if left out. Never shown
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    def source(self) -> Source[Any]:
        from airflow_provider_twilio_comms._core.reporting.message_log import message_log

        return message_log(self.redaction)
