"""From a table to stored people: reverse ETL into a memory store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms._tasks.profiles import Batches, TwilioProfilesOperator
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_provider_twilio_comms._tasks.sql import Query

__all__ = ["SqlToTwilioProfilesOperator"]


class SqlToTwilioProfilesOperator(TwilioProfilesOperator):
    """Load the rows of a statement into a memory store as profiles, which Twilio merges by identifier.

    Rows stream through a server-side cursor and go out in bulks of 1,000, several at a time, so that a
    million rows take little memory. Identifiers are checked as recipients are; values are checked by the type
    of their trait. With ``hashes_path`` or ``hashes_table`` only rows that changed since the last run are
    sent. A bulk says nothing of its rows, so what is counted as sent is what Twilio accepted.

    Give each person one row: bulks go out together, so that of two rows either may come last. A retry sends
    no row again that is done. With ``resume_column`` it does not even read them.

    .. code-block:: python

        SqlToTwilioProfilesOperator(
            task_id="customers",
            sql_conn_id="warehouse",
            sql="SELECT id, phone, city, lapsed FROM customers",
            resume_column="id",
            store_id="mem_store_01h9krwprkeee8fzqspvwy6nq8",
            traits={"phone": "Contact.phone", "city": "Contact.city", "lapsed": "Orders.lapsed"},
            hashes_conn_id="warehouse",
            hashes_table="twilio_profile_hashes",
        )

    https://www.twilio.com/docs/api/memory/v1/profiles

    :param sql: one SELECT, or the name of a ``.sql`` file (a template)
    :param sql_conn_id: the connection of the database (a template)
    :param parameters: values for the statement's placeholders (a template). Never shown
    :param hook_params: keyword arguments for the hook of ``sql_conn_id``
    :param resume_column: a column of unique whole numbers, by which the statement is ordered, and after which
        a retry goes on; it is noted in the task's state, so let it name nobody
    """

    template_fields: Sequence[str] = (*TwilioProfilesOperator.template_fields, "sql", "sql_conn_id")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        parameters: Sequence[Any] | Mapping[str, Any] | XComArg | None = None,
        hook_params: Mapping[str, Any] | None = None,
        resume_column: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if resume_column is not None and not re.fullmatch(r"[A-Za-z_]\w*", resume_column):
            raise InvalidInput.at("resume_column", "is not a plain name of a column", "Rename it with AS")
        self.parameters: Hidden[Sequence[Any] | Mapping[str, Any] | None] = self.hide(parameters)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.hook_params = hook_params
        self.resume_column = resume_column

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.sql import tables

        return tables(self._query(self.sql))

    def batches(self, position: Mapping[str, Any]) -> Batches:
        from airflow_provider_twilio_comms._tasks.sql import streamed

        column = self.resume_column
        for batch in streamed(self._query(self._statement(position.get("after")))).batches():
            yield batch, {"after": _last(batch, column)} if column else {}

    def _statement(self, after: int | None) -> str:
        """Order the statement by ``resume_column``, and leave out what an earlier try has done."""
        if self.resume_column is None:
            return self.sql
        inner, column = self.sql.strip().rstrip(";"), self.resume_column
        where = "" if after is None else f" WHERE {column} > {int(after)}"
        return f"SELECT * FROM (\n{inner}\n) AS twilio_rows{where} ORDER BY {column}"

    def _query(self, sql: str) -> Query:
        from airflow_provider_twilio_comms._tasks.sql import Query

        return Query(sql, self.sql_conn_id, self.parameters.value, None, self.hook_params)


def _last(batch: Any, column: str) -> int:
    value = batch[-1][batch.names.index(column)]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput.at("resume_column", f"{column} holds no whole numbers", "Name one that does")
    return value
