"""Compare the variants of a campaign by what became of their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_twilio_comms._tasks.arguments import seconds
from airflow_provider_twilio_comms._tasks.openlineage import announced
from airflow_provider_twilio_comms._tasks.operator import Hidden, TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.campaigns.comparison import Outcomes, VariantOutcome
    from airflow_provider_twilio_comms._core.reporting.receipts import Receipt

__all__ = ["TwilioCampaignReportOperator"]

AT_ONCE = 16  # requests for receipts that are made together


class TwilioCampaignReportOperator(TwilioOperator):
    """Compare the variants of a campaign: how many people each reached, and how many answered or opted out.

    A person counts once for each of ``delivered``, ``failed``, ``replied`` and ``opted_out`` (a text that is
    STOP or the like and nothing else). Shares have Wilson's confidence interval, their differences to
    ``baseline`` Newcombe's, wider where several variants are compared with it. The log says which
    differences are distinguishable and which are not. Needs ``airflow-provider-twilio-comms[statistics]``.

    Who got which variant is in the receipts; answers are read from Twilio's list of inbound messages. Nobody
    is named: the result holds ids and counts only. Returns ``{"campaign", "baseline", "confidence", "rows",
    "pending", "unassigned"}``, and ``output_path`` or ``table``. ``rows`` has a mapping for each variant and
    outcome: ``people``, ``count``, ``share`` with ``low`` and ``high``, and ``difference`` with
    ``difference_low``, ``difference_high`` and ``distinguishable``, which are None for the baseline.
    ``pending`` are messages that may still arrive, ``unassigned`` receipts without a variant.

    .. code-block:: python

        TwilioCampaignReportOperator(task_id="compare", campaign="spring", operation_ids=send.output)

    https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources

    :param campaign: the campaign's name, for the rows (a template)
    :param operation_ids: what the bulk operator returned, one result or several, whose receipts are read from
        Twilio, which keeps them for seven days (a template)
    :param receipts: instead, a file that ``TwilioReceiptsOperator`` wrote, or a folder of such: JSON lines or
        Parquet (a template)
    :param baseline: the variant that the others are held against; the first by name if left out
    :param confidence: how certain the intervals are to hold, 0.95 or another share
    :param replies_within: seconds, or a timedelta, after the first message in which an answer counts; any
        answer if left out
    :param receivers: the numbers, channel addresses or messaging services to which answers come; all of the
        account's if left out
    :param output_path: write the rows to a file, through ``ObjectStoragePath``: JSON lines or Parquet, by
        the end of its name (a template)
    :param sql_conn_id: instead of a file, a connection whose hook is a ``DbApiHook`` (a template)
    :param table: the table there, whose key is ``row_id``: a later report of the campaign replaces the rows
        (a template)
    :param create_table: make the table where there is none, as PostgreSQL and SQLite take it
    :param hash_secret: what keyed the hashes in a file of receipts (a template); the connection's, if left
        out. Never shown
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "hash_secret",
        "campaign",
        "operation_ids",
        "receipts",
        "output_path",
        "sql_conn_id",
        "table",
    )

    def __init__(
        self,
        *,
        campaign: str,
        operation_ids: Any = None,
        receipts: str | None = None,
        baseline: str | None = None,
        confidence: float = 0.95,
        replies_within: timedelta | float | None = None,
        receivers: Sequence[str] | None = None,
        output_path: str | None = None,
        sql_conn_id: str | None = None,
        table: str | None = None,
        create_table: bool = False,
        hash_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (receipts is None) == (operation_ids is None):
            raise InvalidInput.at("receipts", "give them or operation_ids", "One of the two, and not both")
        if bool(table) != bool(sql_conn_id) or (output_path and table):
            fix = "Give output_path, or sql_conn_id and table, or none of them"
            raise InvalidInput.at("output_path", "there is not one place for the rows", fix)
        if isinstance(confidence, bool) or not 0 < confidence < 1:
            raise InvalidInput.at("confidence", f"{confidence!r} is not a share", "Give one such as 0.95")
        self.hash_secret: Hidden[str | None] = self.hide(hash_secret)
        self.campaign = campaign
        self.operation_ids = operation_ids
        self.receipts = receipts
        self.baseline = baseline
        self.confidence = confidence
        self.replies_within: float | None = None if replies_within is None else seconds(replies_within)
        self.receivers = receivers
        self.output_path = output_path
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.campaigns.comparison import Outcomes, describe, wilson

        with failing_fast():
            wilson(0, 1, self.confidence)  # says what is to be installed before anything is read
            outcomes = Outcomes()
            first, hashed = self._add_receipts(outcomes)
            if first is not None:
                self._add_answers(outcomes, first, hashed)
            rows = outcomes.rows(self.campaign, self.baseline, self.confidence)
            if not rows:
                fix = "Give those of a send with variants"
                raise InvalidInput.at("receipts", "none of them has a variant", fix)
            self._write(rows)
        for line in describe(rows):
            self.log.info("%s", line)
        if outcomes.pending:
            self.log.warning("%s messages may still arrive: a later report may say more", outcomes.pending)
        return self._told(context, rows, outcomes)

    def _add_receipts(self, outcomes: Outcomes) -> tuple[datetime | None, bool]:
        """Add the receipts; returns when the first message was created, and whether people are hashes."""
        from airflow_provider_twilio_comms._core.reporting.resend import are_hashed

        first: datetime | None = None
        hashes = False

        def take(rows: Iterable[_Row]) -> None:
            nonlocal first, hashes
            for row in rows:
                outcomes.add(row.variant, row.person, row.status)
                hashes = hashes or are_hashed([row.person or ""])
                if row.created_at is not None and (first is None or row.created_at < first):
                    first = row.created_at

        if self.receipts is None:
            self._read_receipts(take)
        else:
            take(self._rows_of_files(self.receipts))
        return first, hashes

    def _rows_of_files(self, receipts: Any) -> Iterator[_Row]:
        from airflow_provider_twilio_comms._core.campaigns.consent import moment_of
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import files_at

        for file in files_at(receipts):
            for row in rows_of(file):
                person = row.get("recipient") or row.get("profile_id")
                at = row.get("created_at")
                yield _Row(row.get("variant"), person, str(row.get("status")), moment_of(at) if at else None)

    def _read_receipts(self, take: Callable[[Iterable[_Row]], None]) -> None:
        """Read them from Twilio, of either generation, with the numbers as they are."""
        from airflow_provider_twilio_comms._core.privacy import Redaction
        from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
        from airflow_provider_twilio_comms._tasks.reading import reading
        from airflow_provider_twilio_comms._tasks.receipts import ClassicReceipts, Receipts
        from airflow_provider_twilio_comms.operators.receipts import named

        def take_page(page: Iterable[Receipt]) -> None:
            take(
                _Row(row.variant, row.recipient or row.profile_id, row.status, row.created_at) for row in page
            )

        plain = Redaction("none")
        Receipts(self.hook, plain, 0, AT_ONCE).read_all(named(self.operation_ids), take_page)
        with reading(self.hook, AT_ONCE) as read:
            classic = ClassicReceipts(self.hook, read, plain)
            for sent in SentMessages.all_in(self.operation_ids):
                for page in classic.pages(sent):
                    take_page(page)

    def _add_answers(self, outcomes: Outcomes, first: datetime, hashed: bool) -> None:
        from airflow_provider_twilio_comms._core.inbound import Inbox
        from airflow_provider_twilio_comms._core.privacy import Redaction, derived

        config = self.hook.config
        key = self.hash_secret.value or config.hash_secret or derived(config.secret)
        since = first.timestamp()
        end = float("inf") if self.replies_within is None else since + self.replies_within
        found = self.hook.run(Inbox().refresh(since, self.receivers or [""]))
        redaction = Redaction("numbers" if hashed else "none", key)
        outcomes.add_answers((each for each in found if each.date <= end), redaction)

    def _write(self, rows: Sequence[VariantOutcome]) -> None:
        from airflow_provider_twilio_comms._core.campaigns.comparison import VariantOutcome
        from airflow_provider_twilio_comms._tasks.table_files import open_rows

        if self.output_path or self.table:
            place = (self.output_path, self.sql_conn_id, self.table, self.create_table)
            with open_rows(VariantOutcome, "row_id", *place) as write:
                write(rows)

    def _told(self, context: Context, rows: Sequence[VariantOutcome], outcomes: Outcomes) -> dict[str, Any]:
        import msgspec

        place = {"output_path": self.output_path} if self.output_path else {}
        place |= {"table": self.table} if self.table else {}
        result = {
            "campaign": self.campaign,
            "baseline": rows[0].baseline,
            "confidence": self.confidence,
            "rows": [msgspec.to_builtins(row) for row in rows],
            "pending": outcomes.pending,
            "unassigned": outcomes.unassigned,
            **place,
        }
        announced(
            context, self.outlets, {name: result[name] for name in ("campaign", "pending", "unassigned")}
        )
        return result


class _Row(NamedTuple):
    """A receipt, as far as it matters here."""

    variant: str | None
    person: str | None
    status: str
    created_at: datetime | None
