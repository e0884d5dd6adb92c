"""Keep a table of who has opted out of messages, and of who came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_twilio_comms._core.campaigns.consent import Words
from airflow_provider_twilio_comms._tasks.arguments import one_of, seconds
from airflow_provider_twilio_comms._tasks.operator import Hidden, TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._tasks.campaigns.opt_outs import People
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioOptOutsOperator"]


class TwilioOptOutsOperator(TwilioOperator):
    """Keep a table of who has opted out of messages (STOP), when and through what, and who came back (START).

    A row is an event: ``event_id``, ``kind`` (``stop`` or ``start``), ``person`` (a keyed hash of the number,
    or the number), ``happened_at``, ``source`` and ``code``. A person's newest event counts, in whatever
    order they were read, and an event that is read twice is one row, so the task may run again at any time.
    With the connection's ``consent`` every send leaves out who has opted out.

    It reads Twilio's list of messages from where the last run ended: keywords that came in, and messages that
    Twilio refused for an opt-out (21610 and the like); then what the webhooks of the run's asset events call
    an opt-out (``OptOutType``), and what the arguments name. A try that dies goes on with the day that it was
    reading. Returns ``{"table", "interval_start", "interval_end", "counts"}``, the counts by source and kind.

    .. code-block:: python

        TwilioOptOutsOperator(
            task_id="opt_outs",
            create_table=True,
            words={"stop": ["BASTA"]},
            receipts="s3://aws@lists/receipts/{{ ds }}.parquet",
        )

    https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out

    :param sql_conn_id: a connection whose hook is a ``DbApiHook``; that of the connection's ``consent``, if
        left out (a template)
    :param table: the table there; that of the connection's ``consent``, if left out (a template)
    :param create_table: make the table where there is none, as PostgreSQL and SQLite take it
    :param words: more keywords, ``{"stop": ["BASTA"], "start": [...]}``, than Twilio's English and French
        ones; a text that is one of them and nothing else counts, whatever its capitals and accents
    :param receivers: numbers and messaging services of yours; only what came to them, or went out from them,
        counts. All, if left out
    :param receipts: refusals by code in receipts, as ``TwilioReceiptsOperator`` and the copies of the message
        log write them: paths, or ``{"sql", "conn_id"}``, with ``recipient``, ``code`` or ``error_code`` and a
        time (a template)
    :param deactivated: ``{"path", "day"}``: a day's list as ``TwilioDeactivatedNumbersOperator`` writes it (a
        template)
    :param query: ``{"sql", "conn_id", "parameters"}``: the number (or its hash) in the first column, then
        ``happened_at``, and ``opted_out`` where some rows are of people who came back (a template)
    :param interval_start: from when messages are read; left out, from where the last run ended (a template)
    :param interval_end: until when; now, if left out (a template)
    :param first_run: seconds, or a timedelta: how far back the first run reads; 30 days, if left out
    :param lookback: seconds, or a timedelta: what lies so long before the last run's end is read again, since
        Twilio's list lags
    :param default_region: the country (``US``) of numbers in ``query`` written without a country code
    :param redact: ``numbers`` writes hashes, with the connection's ``hash_secret``; ``none`` writes numbers
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "sql_conn_id",
        "table",
        "receipts",
        "deactivated",
        "query",
        "interval_start",
        "interval_end",
    )

    def __init__(
        self,
        *,
        sql_conn_id: str | None = None,
        table: str | None = None,
        create_table: bool = False,
        words: Mapping[str, Iterable[str]] | None = None,
        receivers: Sequence[str] | None = None,
        receipts: str | Sequence[Any] | Mapping[str, Any] | None = None,
        deactivated: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        interval_start: datetime | str | None = None,
        interval_end: datetime | str | None = None,
        first_run: timedelta | float = timedelta(days=30),
        lookback: timedelta | float = timedelta(minutes=15),
        default_region: str | None = None,
        redact: Literal["numbers", "none"] = "numbers",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table
        Words(words)
        self.words = words
        self.receivers: Hidden[Sequence[str] | None] = self.hide(receivers)
        self.receipts = receipts
        self.deactivated = deactivated
        self.query = query
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.first_run: timedelta = timedelta(seconds=seconds(first_run))
        self.lookback: timedelta = timedelta(seconds=seconds(lookback))
        self.default_region = default_region
        self.redact: Literal["numbers", "none"] = one_of("redact", redact, "numbers", "none")

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._tasks.campaigns import opt_outs
        from airflow_provider_twilio_comms._tasks.reading import reading

        with failing_fast():
            config = self.hook.config
            people, receivers = self._people(config), frozenset(self.receivers.value or ())
            conn_id, table = self._place(config)
            scope = opt_outs.scope_of(config.account_sid, receivers)
            with (
                reading(self.hook, 8) as read,
                opt_outs.consent_writer(conn_id, table, scope, self.create_table) as writer,
            ):
                writer.check_key(people.hashed)
                triggering = context.get("triggering_asset_events")
                writer.add(opt_outs.webhook_events(read, triggering, people, receivers))
                interval = opt_outs.interval_of(
                    self.interval_start, self.interval_end, writer, self.first_run, self.lookback
                )
                moves = self.interval_start is None
                opt_outs.read_messages(read, interval, Words(self.words), people, receivers, writer, moves)
                if self.receipts is not None:
                    writer.add(opt_outs.receipt_events(self.receipts, people))
                if self.deactivated is not None:
                    writer.add(opt_outs.deactivation_events(self.deactivated, people))
                if self.query is not None:
                    writer.add(opt_outs.query_events(self.query, people))
        counts = {source: dict(found) for source, found in writer.counts.items()}
        self.log.info("Read into %s: %s", table, counts or "nothing new")
        return {
            "table": table,
            "interval_start": interval.start.isoformat(),
            "interval_end": interval.end.isoformat(),
            "counts": counts,
        }

    def _people(self, config: Config) -> People:
        from airflow_provider_twilio_comms._tasks.campaigns.opt_outs import People
        from airflow_provider_twilio_comms._tasks.campaigns.people import hasher

        return People(hasher(config) if self.redact == "numbers" else None, self.default_region)

    def _place(self, config: Config) -> tuple[str, str]:
        """The connection and the table. Raises :class:`InvalidInput` where nobody names them."""
        usual = config.consent
        conn_id = self.sql_conn_id or (usual and usual.conn_id)
        table = self.table or (usual and usual.table)
        if not conn_id or not table:
            name = "table" if conn_id else "sql_conn_id"
            raise InvalidInput.at(name, "is missing", "Give it, or set consent in the Twilio connection")
        return conn_id, table
