"""Recipients from a database: what the operators share that read them with a statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._tasks.campaigns.operator import TwilioCampaignOperator
from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.sql import Query


class TwilioSqlSource(TwilioCampaignOperator):
    """Base of the operators whose recipients are rows.

    :param sql: one SELECT, or the name of a ``.sql`` file (a template)
    :param sql_conn_id: the connection of the database (a template)
    :param parameters: values for the statement's placeholders, as the driver has them (a template). Never
        shown
    :param hook_params: keyword arguments for the hook of ``sql_conn_id``
    """

    template_fields: Sequence[str] = (*TwilioCampaignOperator.template_fields, "sql", "sql_conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    number_column: str | None
    _needs_order = True

    def __init__(
        self,
        *,
        sql: str | None,
        sql_conn_id: str | None,
        parameters: Sequence[Any] | Mapping[str, Any] | XComArg | None = None,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parameters: Hidden[Sequence[Any] | Mapping[str, Any] | None] = self.hide(parameters)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.hook_params = hook_params

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.sql import tables

        return tables(self._query(self.sql or ""))

    def lineage_sql(self) -> str | None:
        return self.sql

    def _query(self, sql: str) -> Query:
        from airflow_provider_twilio_comms._tasks.sql import Query

        conn_id, parameters = self.sql_conn_id or "", self.parameters.value
        return Query(sql, conn_id, parameters, self.number_column, self.hook_params)

    def rows(self) -> Iterable[Any]:
        from airflow_provider_twilio_comms._tasks.sql import ordered, streamed

        sql = self.sql or ""
        if self._needs_order and not self.snapshots() and not ordered(sql):
            raise InvalidInput.at(
                "sql",
                "has no ORDER BY at its outermost level, so a retry could find the rows in another order",
                "Order by something unique, or set snapshot_path",
            )
        return streamed(self._query(sql))
