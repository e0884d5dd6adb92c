"""From a table to people's phones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import XComArg

from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.messages import TwilioBulkMessageOperator

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.operators.queries import Query

__all__ = ["SqlToTwilioOperator"]


class SqlToTwilioOperator(TwilioBulkMessageOperator):
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
    :class:`~airflow_provider_twilio_comms.operators.messages.TwilioBulkMessageOperator`, save that
    ``on_empty`` is ``skip`` if left out: a day without rows is no error.

    :param sql: one SELECT, or the name of a ``.sql`` file (a template)
    :param sql_conn_id: the connection of the database (a template)
    :param parameters: values for the statement's placeholders, as the driver has them (a template). Never
        shown
    :param hook_params: keyword arguments for the hook of ``sql_conn_id``
    """

    hidden_fields: ClassVar[Sequence[str]] = ("parameters",)
    template_fields: Sequence[str] = (*TwilioBulkMessageOperator.template_fields, "sql", "sql_conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        content: str | Mapping[str, Any] | XComArg,
        parameters: Sequence[Any] | Mapping[str, Any] | XComArg | None = None,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"recipients": (), "on_empty": "skip", **kwargs}, content=content)
        self.hide(parameters=parameters)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.hook_params = hook_params

    def rendered_fields(self) -> Sequence[str]:
        return (*super().rendered_fields(), "parameters")

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms.operators.queries import tables

        return tables(self._query())

    def lineage_sql(self) -> str | None:
        return self.sql

    def _query(self) -> Query:
        from airflow_provider_twilio_comms.operators.queries import Query

        return Query(
            self.sql, self.sql_conn_id, self.shown("parameters"), self.number_column, self.hook_params
        )

    def _rows(self) -> Iterable[Any]:
        from airflow_provider_twilio_comms.operators.queries import ordered, streamed

        if not self.snapshot_path and not ordered(self.sql):
            raise InvalidInput.at(
                "sql",
                "has no ORDER BY at its outermost level, so a retry could find the rows in another order",
                "Order by something unique, or set snapshot_path",
            )
        return streamed(self._query())
