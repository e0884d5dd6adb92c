"""Check and count a send, without sending it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._tasks.campaigns.sql_source import TwilioSqlSource
from airflow_provider_twilio_comms._tasks.operator import failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TwilioPreflightOperator"]


class TwilioPreflightOperator(TwilioSqlSource, TwilioBulkMessageOperator):
    """Read, check and count everyone who would be texted, and fail where the send would be refused.

    It takes the arguments of the operators that send to a list; give it the same, and let the send follow it.
    Returns ``{"rows", "recipients", "requests", "rejected", "lacking", "segments", "countries", "cost"}``:
    counts only; and ``mms_elsewhere``, recipients of an MMS outside the United States and Canada, if there
    are any. Segments are counted in each recipient's own text; where a template takes more than variables
    and defaults, of more than 20,000 texts one in 20 is rendered (``segments.exact`` says which). The cost is
    ``low`` to ``high``, since the price list goes by carrier.

    .. code-block:: python

        TwilioPreflightOperator(
            task_id="preflight",
            sql_conn_id="bookings",
            sql="SELECT phone, name FROM bookings WHERE day = '{{ ds }}' ORDER BY id",
            number_column="phone",
            content="Hi {{ name }}, see you tonight.",
            suppress="s3://aws_default@lists/deactivated-{{ ds }}.txt",
            max_recipients=50_000,
            max_cost=500,
        )

    :param recipients: as of the bulk operator; or give ``sql`` and ``sql_conn_id``
    """

    template_fields: Sequence[str] = (*TwilioBulkMessageOperator.template_fields, "sql", "sql_conn_id")
    counts_all = True
    _needs_order = False  # nothing is sent that a retry would have to find again

    def __init__(
        self,
        *,
        content: str | Mapping[str, Any] | XComArg | None = None,
        recipients: Iterable[Any] | str | XComArg | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (recipients is None) == (sql is None):
            raise InvalidInput.at("recipients", "give them or sql", "One of the two, and not both")
        super().__init__(
            recipients=() if recipients is None else recipients,
            content=content,
            sql=sql,
            sql_conn_id=sql_conn_id,
            **{"on_backfill": "dry_run", **kwargs},
        )

    def execute(self, context: Context) -> dict[str, Any]:
        with failing_fast():
            ledger = self.ledger(context)
            self.check_schedule(context, ledger)
            with self.planned(self.request(self.hook.config), context, ledger, real=False) as plan:
                assert plan.report is not None
                return plan.report

    def rows(self) -> Iterable[Any]:
        return super().rows() if self.sql else TwilioBulkMessageOperator.rows(self)

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        return super().lineage_inputs() if self.sql else TwilioBulkMessageOperator.lineage_inputs(self)
