"""Every receipt back: what became of each recipient of a bulk send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.xcom_keys import OUTCOME
from airflow_provider_twilio_comms._tasks.arguments import count_of, ids_of
from airflow_provider_twilio_comms._tasks.openlineage import (
    announced,
    dataset_of_file,
    dataset_of_table,
    lineage,
)
from airflow_provider_twilio_comms._tasks.operator import TwilioRedacted, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.reporting.receipts import Receipt

__all__ = ["TwilioReceiptsOperator", "named"]

THREADS = 32  # connections that the HTTP session keeps


class TwilioReceiptsOperator(TwilioRedacted):
    """Write the outcome of every recipient of bulk sends to a file or a table, a page at a time.

    A row is a recipient: operation, message, recipient (as ``redact`` says), channel used, status, Twilio's
    code and what to do about it (``verdict``), times. Of messages that failed the reason is asked for one by
    one, a few at a time; ``code``, ``reason``, ``attempts``, ``sid`` and ``attempted_at`` are known of those.
    Rows of a table replace those with the same ``message_id``, a file is written anew: running it again, once
    the last receipts are in, leaves one row for each message.

    Returns ``{"operation_ids", "rows", "statuses", "codes", "verdicts", "unexplained", "missing"}`` and
    ``output_path`` or ``table``; assets in ``outlets`` get the same as the ``extra`` of their event.
    ``unexplained`` counts failures beyond ``max_reasons``, ``missing`` messages that Twilio counts but does
    not list. Twilio keeps results for seven days: after that the task fails and says so.

    .. code-block:: python

        TwilioReceiptsOperator(
            task_id="receipts",
            operation_ids=send.output,
            sql_conn_id="warehouse",
            table="sms_receipts",
            outlets=[Asset("campaign_delivered")],
        )

    https://www.twilio.com/docs/bulk-messaging/api/message-resource

    :param operation_ids: operations, or what the bulk operator returned, one or several (a template)
    :param output_path: the file, through ``ObjectStoragePath``: JSON lines where its name ends in ``.jsonl``
        or ``.ndjson``, Parquet where it ends in ``.parquet`` (a template)
    :param sql_conn_id: instead of a file, a connection whose hook is a ``DbApiHook``
    :param table: the table there, with a column for each field of a receipt and ``message_id`` its key, or at
        least indexed (a template)
    :param create_table: make the table where there is none, as PostgreSQL and SQLite take it
    :param max_reasons: ask for the reason of so many failures at most
    :param concurrency: make so many requests at a time, 1 to 32
    :param redact: what of a person may be written: ``none``, ``numbers`` (hashes), ``text`` or ``all``;
        receipts hold no texts
    :param hash_secret: keys the hashes (a template); the connection's, if left out. Never shown
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioRedacted.template_fields,
        "operation_ids",
        "output_path",
        "sql_conn_id",
        "table",
    )

    def __init__(
        self,
        *,
        operation_ids: Any,
        output_path: str | None = None,
        sql_conn_id: str | None = None,
        table: str | None = None,
        create_table: bool = False,
        max_reasons: int = 10_000,
        concurrency: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if bool(output_path) == bool(table) or bool(table) != bool(sql_conn_id):
            fix = "Give output_path, or sql_conn_id and table"
            raise InvalidInput.at("output_path", "there has to be one place for the rows", fix)
        self.operation_ids = operation_ids
        self.output_path = output_path
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table
        self.max_reasons = max_reasons
        self.concurrency: int = count_of("concurrency", concurrency, THREADS)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.reporting.receipts import Tally
        from airflow_provider_twilio_comms._tasks.reading import Receipts, reading

        tally = Tally()
        with failing_fast():
            ids, redaction = named(self.operation_ids), self.redaction
            with reading(self.hook, self.concurrency) as read, self._place() as write:
                receipts = Receipts(read, redaction, self.max_reasons)
                for rows in receipts.of(ids):
                    write(rows)
                    tally.add(rows)
        return self._told(context, ids, tally.to_dict(), receipts.missing)

    @contextmanager
    def _place(self) -> Iterator[Callable[[Sequence[Receipt]], None]]:
        from airflow_provider_twilio_comms._core.reporting.receipts import Receipt

        if self.output_path:
            from airflow_provider_twilio_comms._tasks.table_files import Table, writing

            with writing(self.output_path) as write:
                write(Table.of((), kind=Receipt))  # so that a file without rows has columns too
                yield lambda rows: write(Table.of(rows))
            return
        from airflow_provider_twilio_comms._tasks.sql_loading import loading

        assert self.sql_conn_id
        assert self.table
        with loading(self.sql_conn_id, self.table, Receipt, "message_id", create=self.create_table) as load:
            yield load

    def _told(self, context: Context, ids: list[str], counts: dict[str, Any], missing: int) -> dict[str, Any]:
        self.log.info(
            "Wrote %s receipts: %s",
            f"{counts['rows']:,}",
            ", ".join(f"{name} {count:,}" for name, count in counts["statuses"].items()) or "there are none",
        )
        if counts["unexplained"]:
            self.log.warning(
                "The reason of %s failures was not asked for (max_reasons=%s)",
                f"{counts['unexplained']:,}",
                f"{self.max_reasons:,}",
            )
        if missing:
            self.log.warning("Twilio counts %s messages more than it lists", f"{missing:,}")
        for verdict, count in counts["verdicts"].items():
            _metrics.count("twilio.receipts.failed", count, conn_id=self.twilio_conn_id, verdict=verdict)
        place = {"output_path": self.output_path} if self.output_path else {"table": self.table}
        result = {"operation_ids": ids, **counts, "missing": missing, **place}
        context["ti"].xcom_push(OUTCOME, {"operation_ids": ids, "codes": counts["codes"], "complete": True})
        announced(context, self.outlets, result)
        self._rows = counts["rows"]
        return result

    _rows: int | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """From the operations at Twilio to the file or table."""
        try:
            operations = named(self.operation_ids)
        except InvalidInput:
            operations = []
        output = (
            dataset_of_file(self.output_path)
            if self.output_path
            else dataset_of_table(self.sql_conn_id or "", self.table or "")
        )
        inputs = [(f"twilio://{self.hook.config.account_sid}", f"operations/{each}") for each in operations]
        return lineage(inputs, [output], self._rows)


def named(given: Any) -> list[str]:
    """Operation ids: as such, or in the results of bulk sends. A send that made none (a dry run) has none."""
    results = [given] if isinstance(given, dict) else list(given) if not isinstance(given, str) else [given]
    if any(isinstance(each, dict) for each in results):
        given = [
            name
            for each in results
            for name in (each.get("operation_ids") or () if isinstance(each, dict) else [each])
        ]
        if not given:
            return []
    return ids_of("operation_ids", given, r"comms_operation_\w+", "ids such as comms_operation_01h9k...")
