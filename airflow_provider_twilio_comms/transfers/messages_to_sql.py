"""The message log to a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_table
from airflow_provider_twilio_comms._tasks.operator import failing_fast
from airflow_provider_twilio_comms.transfers._message_log import TwilioLogOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.reporting.message_log import Source

__all__ = ["TwilioMessagesToSqlOperator"]


class TwilioMessagesToSqlOperator(TwilioLogOperator):
    """Copy the message log to a table: the messages sent in an interval, and before it within the look-back.

    A row replaces the one with the same ``sid``, a page at a time in a transaction of its own: intervals may
    be copied again, and in any order, and leave one row for each message. A try that dies continues with the
    next page. ``lookback`` reads the messages sent so long before the interval again, since Twilio's list
    lags, and statuses and prices change after the send. Messages without a date of sending are in no
    interval.

    Returns ``{"interval_start", "interval_end", "rows", "counts", "table"}`` with the counts by status, those
    of the look-back included; assets in ``outlets`` get the same as the ``extra`` of their event. Twilio
    keeps messages for 400 days, and an interval that begins before that is refused.

    .. code-block:: python

        TwilioMessagesToSqlOperator(
            task_id="messages",
            sql_conn_id="warehouse",
            table="twilio_messages",
            create_table=True,
            lookback=timedelta(days=3),
        )

    https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources

    :param sql_conn_id: a connection whose hook is a ``DbApiHook`` (a template)
    :param table: the table there, with a column for each field of a message and ``sid`` its key, or at least
        indexed (a template)
    :param create_table: make the table where there is none, as PostgreSQL and SQLite take it
    :param interval_start: from when, included: a datetime, a date or ISO 8601; the run's data interval, if
        left out (a template)
    :param interval_end: until when, not included (a template)
    :param lookback: seconds, or a timedelta: messages sent that long before are read again; 15 minutes, for
        the lag of Twilio's list, if left out
    :param redact: what of a person may be written: ``none``, ``numbers`` (hashes), ``text`` or ``all``
    :param hash_secret: keys the hashes (a template); the connection's, if left out. Never shown
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (*TwilioLogOperator.template_fields, "sql_conn_id", "table")

    def __init__(self, *, sql_conn_id: str, table: str, create_table: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table

    def source(self) -> Source[Any]:
        from airflow_provider_twilio_comms._core.reporting.message_log import message_log

        return message_log(self.redaction)

    def lineage_output(self) -> tuple[str, str]:
        return dataset_of_table(self.sql_conn_id, self.table)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._tasks.sql_loading import loading

        with failing_fast():
            source = self.source()
            interval = self._interval(source)
            window = self._window(interval)
            with (
                loading(self.sql_conn_id, self.table, source.kind, "sid", create=self.create_table) as load,
                self._reading(source, context) as log,
            ):
                step = log.copied(window, interval.name, lambda rows, page: load(rows))
                log.progress.forget(interval.name)
        return self._told(context, interval, step, table=self.table)
