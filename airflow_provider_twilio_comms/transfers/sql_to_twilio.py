"""From a table to people's phones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._tasks.campaigns.sql_source import TwilioSqlSource
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

__all__ = ["SqlToTwilioOperator"]


class SqlToTwilioOperator(TwilioSqlSource, TwilioBulkMessageOperator):
    """Text everyone that a statement finds, each of them once: one column is the number, the others are
    variables of the text.

    Any connection will do whose hook is a ``DbApiHook``. Rows stream through a server-side cursor where the
    driver has one, and a thread reads them ahead while others are checked and encoded, so a million rows take
    the memory of a few thousand. Nothing is sent before the last row was looked at. Numbers become texts
    without an exponent, dates and times ISO 8601, booleans ``true`` and ``false``, arrays and JSON columns
    JSON; NULL is a variable that is not there.

    A retry has to find the same rows in the same order: the statement needs an ORDER BY that leaves no ties,
    and the ledger's fingerprints stop a retry for which the table has changed. With ``snapshot_path`` neither
    matters: the first try's plan is kept, and every later try sends exactly that.

    .. code-block:: python

        SqlToTwilioOperator(
            task_id="remind",
            sql_conn_id="bookings",
            sql="SELECT phone, name, starts_at FROM bookings WHERE day = %(day)s ORDER BY id",
            parameters={"day": "{{ data_interval_end | ds }}"},
            number_column="phone",
            content="Hi {{ name | default: 'there' }}, your table is booked for {{ starts_at }}.",
        )

    Everything else is as with
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`, save that
    ``on_empty`` is ``skip`` if left out: a day without rows is no error.
    """

    template_fields: Sequence[str] = (*TwilioBulkMessageOperator.template_fields, "sql", "sql_conn_id")

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        content: str | Mapping[str, Any] | XComArg | None = None,
        **kwargs: Any,
    ) -> None:
        values = {"recipients": (), "on_empty": "skip", **kwargs}
        super().__init__(sql=sql, sql_conn_id=sql_conn_id, content=content, **values)
