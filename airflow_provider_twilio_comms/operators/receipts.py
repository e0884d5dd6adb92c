"""Receipts of bulk sends: the outcome of every recipient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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

    from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
    from airflow_provider_twilio_comms._tasks.receipts_output import Copied, ReceiptsOutput

__all__ = ["TwilioReceiptsOperator", "named"]

THREADS = 32  # connections that the HTTP session keeps


class TwilioReceiptsOperator(TwilioRedacted):
    """Write the outcome of every recipient of bulk sends to a file or a table, a page at a time.

    A row is a recipient: operation, message, recipient (as ``redact`` says), channel used, status, Twilio's
    code and what to do about it (``verdict``), times. Four operations are read at a time. Of messages that
    failed the reason is asked for one by one, a few at a time, unless an event has told it; ``code``,
    ``reason``, ``attempts``, ``sid`` and ``attempted_at`` are known of those.
    A row replaces the one with the same ``message_id``, an operation's in one transaction; a file is replaced
    as a whole, once all receipts are in. Running it again, once the last receipts are in, leaves one row for
    each message of these operations.

    Of a bulk send of the classic API (``generation="classic"``) give the whole result: a row's
    ``operation_id`` is the send's key then, and code, segments and price come with the list, so no message is
    asked for by itself. Its rows are written 10,000 in one transaction. Whom Twilio refused at once has no
    message, and no row. Which messages are of the send is read from the file that ``snapshot_path`` keeps;
    without it the task fails if others used the same sender meanwhile.

    Twilio keeps results for seven days. Receipts that it does not list any more, and that an earlier run has
    written to the same file or table, stay as they were; the log says so, and from when they are. The task
    fails, and changes nothing, only if there are none of such an operation.

    Returns ``{"operation_ids", "rows", "statuses", "codes", "verdicts", "unexplained", "missing", "kept",
    "kept_from"}`` and ``output_path`` or ``table``; assets in ``outlets`` get the same as the ``extra`` of
    their event. ``unexplained`` counts failures beyond ``max_reasons``, ``missing`` messages that Twilio
    counts but does not list, ``kept`` receipts of an earlier run that stay (``rows`` holds them too), and
    ``kept_from`` is when Twilio last changed one of those, in ISO 8601, or None. With sends of the classic
    API ``sends`` are their keys, and ``refused`` how many were refused at once, by code.

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
        from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
        from airflow_provider_twilio_comms._tasks.reading import reading
        from airflow_provider_twilio_comms._tasks.receipts import ClassicReceipts, Receipts
        from airflow_provider_twilio_comms._tasks.receipts_output import copy_receipts

        with failing_fast():
            ids, output = named(self.operation_ids), self._output()
            sends = SentMessages.all_in(self.operation_ids)
            with reading(self.hook, self.concurrency) as read:
                receipts = Receipts(self.hook, self.redaction, self.max_reasons, self.concurrency)
                classic = ClassicReceipts(self.hook, read, self.redaction)
                copied = copy_receipts(receipts, ids, output, classic, sends)
        self._tell_kept(copied, [*ids, *(sent.key for sent in sends)], output)
        return self._told(context, ids, copied, sends)

    def _output(self) -> ReceiptsOutput:
        from airflow_provider_twilio_comms._tasks.receipts_output import ReceiptsFile, ReceiptsTable

        if self.output_path:
            return ReceiptsFile(self.output_path)
        assert self.sql_conn_id
        assert self.table
        return ReceiptsTable(self.sql_conn_id, self.table, self.create_table)

    def _tell_kept(self, copied: Copied, ids: list[str], output: ReceiptsOutput) -> None:
        if copied.kept:
            self.log.warning(
                "Twilio does not list %s receipts of %s any more, or not yet (it keeps them for seven days): "
                "in %s they stay as they were. The newest of them is from %s",
                f"{copied.kept:,}",
                ", ".join(sorted(copied.kept_of)),
                output,
                copied.kept_from,
            )
        if not ids and copied.untouched:
            self.log.warning("There are no operations, so %s is left as it is", output)

    def _told(
        self, context: Context, ids: list[str], copied: Copied, sends: Sequence[SentMessages]
    ) -> dict[str, Any]:
        counts, missing = copied.tally.to_dict(), copied.missing
        self.log.info(
            "There are %s receipts, %s of them from before: %s",
            f"{counts['rows']:,}",
            f"{copied.kept:,}",
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
        kept = {
            "kept": copied.kept,
            "kept_from": copied.kept_from.isoformat() if copied.kept_from else None,
        }
        result = {"operation_ids": ids, **counts, "missing": missing, **kept, **place}
        if sends:
            refused = sum((Counter(sent.refused) for sent in sends), Counter[str]())
            result |= {"sends": [sent.key for sent in sends], "refused": dict(refused)}
        context["ti"].xcom_push(OUTCOME, {"operation_ids": ids, "codes": counts["codes"], "complete": True})
        announced(context, self.outlets, result)
        self._rows = counts["rows"]
        return result

    _rows: int | None = None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """From the operations at Twilio to the file or table."""
        from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages

        try:
            names = [f"operations/{each}" for each in named(self.operation_ids)]
            names += [f"sends/{each.key}" for each in SentMessages.all_in(self.operation_ids)]
        except InvalidInput:
            names = []
        output = (
            dataset_of_file(self.output_path)
            if self.output_path
            else dataset_of_table(self.sql_conn_id or "", self.table or "")
        )
        inputs = [(f"twilio://{self.hook.config.account_sid}", each) for each in names]
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
