"""Resend to those whom a send did not reach, where that may help: again, or over another channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._tasks.arguments import one_of
from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_twilio_comms._core.sending.bulk import BulkRequest
    from airflow_provider_twilio_comms._tasks.sql import Query
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioResendFailedOperator"]

Receipts = Iterable[Mapping[str, Any]]
AT_ONCE = 16
_TABLE = frozenset({"sql", "conn_id", "parameters"})
_VERDICTS = ("retry", "recipient", "configuration", "unknown")


class TwilioResendFailedOperator(TwilioBulkMessageOperator):
    """Text those again whose message failed in a way that may go away, each of them once.

    The recipients are read from receipts, by their ``verdicts``: ``retry``, if left out. Whoever has any
    other receipt among them is left alone, such as one who was reached, is still under way or has opted out.
    With ``channel`` and ``sender`` it is a fallback to another channel. This is a send of its own, with a key
    of its own, so that a retry or a clear of this task sends nothing twice; and to send a third time takes
    another task.

    Twilio does not tell the variables that a message had. Give the ``recipients`` of the first send, from
    which those who failed are taken with their variables; that also does for receipts whose numbers are
    hashes. Without them the numbers come from the receipts, and the content can have no variables but those
    with a default, which everybody gets then.

    .. code-block:: python

        TwilioResendFailedOperator(
            task_id="again",
            receipts="{{ ti.xcom_pull('receipts')['output_path'] }}",
            recipients="s3://aws@campaigns/{{ ds }}.csv",
            number_column="phone",
            content="Hi {{ name | default: 'there' }}, your table is booked for {{ time }}.",
            max_recipients=500,
        )

    A text to those whom WhatsApp did not reach, from a table of receipts:

    .. code-block:: python

        TwilioResendFailedOperator(
            task_id="text_instead",
            receipts={
                "sql": "SELECT * FROM sms_receipts WHERE created_at >= '{{ ds }}'",
                "conn_id": "warehouse",
            },
            verdicts=["retry", "recipient"],
            channel="phone",
            sender="+15005550006",
            content="Your table is booked for tonight.",
        )

    Everything else is as with
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`, save that
    ``on_duplicate`` is ``first`` and ``on_empty`` is ``skip`` if left out.

    :param receipts: a file of receipts, or a folder of them: JSON lines or Parquet; or a table of them,
        ``{"sql", "conn_id"}`` and ``parameters`` if any, which has to give every receipt of the send, with
        the columns ``recipient``, ``status`` and ``verdict`` at least (a template)
    :param operation_ids: instead, operations or what a bulk send returned, whose receipts are read now (a
        template). They may be others at a later try, which sends nothing then: with ``snapshot_path`` it
        sends what the first one planned
    :param verdicts: one or several of ``retry``, ``recipient``, ``configuration`` and ``unknown``, a failure
        with another is left alone. Nobody who has opted out is texted again
    :param channel: the recipients' channel of the resend, ``phone`` or ``whatsapp``; left out, that of each
        receipt, or of the ``recipients``
    :param recipients: the recipients of the first send, as of the bulk operator. Never shown
    :param max_reasons: with ``operation_ids``, ask for the reason of so many failures at most
    :param hash_secret: what keyed the hashes in the receipts (a template); the connection's, if left out.
        Never shown
    """

    template_fields: Sequence[str] = (
        *TwilioBulkMessageOperator.template_fields,
        "hash_secret",
        "receipts",
        "operation_ids",
    )

    def __init__(
        self,
        *,
        content: str | Mapping[str, Any] | XComArg | None = None,
        receipts: str | Mapping[str, Any] | None = None,
        operation_ids: Any = None,
        verdicts: str | Sequence[str] = "retry",
        channel: str | None = None,
        recipients: Iterable[Any] | str | XComArg | None = None,
        max_reasons: int = 10_000,
        hash_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (receipts is None) == (operation_ids is None):
            raise InvalidInput.at("receipts", "give them or operation_ids", "One of the two, and not both")
        defaults = {"on_duplicate": "first", "on_empty": "skip"}
        super().__init__(
            **{**defaults, **kwargs},
            recipients=() if recipients is None else recipients,
            content=content,
            channel=channel or "phone",
        )
        self.hash_secret: Hidden[str | None] = self.hide(hash_secret)
        if isinstance(receipts, Mapping) and not {"sql", "conn_id"} <= receipts.keys() <= _TABLE:
            fix = "Give {'sql': ..., 'conn_id': ...}, and 'parameters' if any"
            raise InvalidInput.at("receipts", "are not a table", fix)
        self.receipts = receipts
        self.verdicts: list[str] = _checked(verdicts)
        self._changes_channel = channel is not None
        self.operation_ids = operation_ids
        self.max_reasons = max_reasons
        self._joins = recipients is not None

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        first = super().lineage_inputs()
        if isinstance(self.receipts, str):
            return [dataset_of_file(self.receipts), *first]
        if self.receipts is not None:
            from airflow_provider_twilio_comms._tasks.sql import tables

            return [*tables(self._query(self.receipts)), *first]
        account = f"twilio://{self.hook.config.account_sid}"
        return [*((account, f"operations/{each}") for each in named(self.operation_ids)), *first]

    def request(self, config: Config) -> BulkRequest:
        request: BulkRequest = super().request(config)
        if request.needed and not self._joins:
            raise InvalidInput.at(
                "content",
                f"has variables without a default ({', '.join(sorted(request.needed))}), whose values Twilio "
                "does not tell",
                "Give the recipients of the first send",
            )
        return request

    def rows(self) -> Iterator[Any]:
        from airflow_provider_twilio_comms._core.reporting import resend

        with self._receipts() as receipts:
            found = resend.choose(receipts, self.verdicts)
        if isinstance(self.receipts, Mapping):
            found = dict(sorted(found.items()))  # a table has no order, and a retry sends the same requests
        told = pluralize(len(found), "recipient")
        self.log.info("%s failed with the verdict %s", told, " or ".join(self.verdicts))
        config = self.hook.config
        channel = "WHATSAPP" if self.channel.lower() == "whatsapp" else "PHONE"
        changed = channel if self._changes_channel else None
        if not found or not self._joins:
            yield from resend.without_variables(found, changed)
            return
        reader = self.reader(self.request(config), config)
        name = self._hashes(config) if resend.are_hashed(found) else str
        yield from resend.join(found, super().rows(), reader, name, changed)

    def _hashes(self, config: Config) -> Callable[[str], str | None]:
        from airflow_provider_twilio_comms._core.privacy import Redaction, derived

        key = self.hash_secret.value or config.hash_secret or derived(config.secret)
        return Redaction("numbers", key).number

    @contextmanager
    def _receipts(self) -> Iterator[Callable[[], Receipts]]:
        """Open the receipts, to be read more than once."""
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import files_at

        if isinstance(self.receipts, str):
            files = files_at(self.receipts)
            yield lambda: (row for file in files for row in rows_of(file))
            return
        import msgspec

        with TemporaryFile() as kept:  # of this process alone, and gone with it
            if self.receipts is None:
                self._fetched(kept)
            else:
                self._read_table(self.receipts, kept)

            def read() -> Receipts:
                kept.seek(0)
                return (msgspec.json.decode(line) for line in kept)

            yield read

    def _query(self, table: Mapping[str, Any]) -> Query:
        from airflow_provider_twilio_comms._tasks.sql import Query

        return Query(str(table["sql"]), str(table["conn_id"]), table.get("parameters"))

    def _read_table(self, table: Mapping[str, Any], kept: Any) -> None:
        """Write down what counts of the receipts in a table, to be read more than once."""
        import msgspec

        from airflow_provider_twilio_comms._core.reporting.resend import COLUMNS

        encoder = msgspec.json.Encoder()
        for rows in self._query(table).batches():
            names = [name.lower() for name in rows.names]
            wanted = [(names.index(name), name) for name in COLUMNS if name in names]
            kept.write(encoder.encode_lines([{name: row[at] for at, name in wanted} for row in rows]))

    def _fetched(self, kept: Any) -> None:
        import msgspec

        from airflow_provider_twilio_comms._core.privacy import Redaction
        from airflow_provider_twilio_comms._core.reporting.receipts import Receipt, Tally
        from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
        from airflow_provider_twilio_comms._tasks.reading import reading
        from airflow_provider_twilio_comms._tasks.receipts import ClassicReceipts, Receipts

        tally, plain = Tally(), Redaction("none")
        encoder = msgspec.json.Encoder()

        def keep(rows: Sequence[Receipt]) -> None:
            kept.write(encoder.encode_lines(rows))
            tally.add(rows)

        with reading(self.hook, AT_ONCE) as read:
            receipts = Receipts(self.hook, plain, self.max_reasons, AT_ONCE)
            receipts.read_all(named(self.operation_ids), keep)
            classic = ClassicReceipts(self.hook, read, plain)
            for sent in SentMessages.all_in(self.operation_ids):
                for rows in classic.pages(sent):
                    keep(rows)
        if tally.unexplained:
            self.log.warning(
                "The reason of %s failures was not asked for (max_reasons=%s): they are left alone",
                f"{tally.unexplained:,}",
                f"{self.max_reasons:,}",
            )


def _checked(verdicts: str | Sequence[str]) -> list[str]:
    """The verdicts to resend, as a list. Raises :class:`InvalidInput`."""
    listed = [verdicts] if isinstance(verdicts, str) else list(verdicts)
    if "opt-out" in listed:
        fix = f"Use some of {', '.join(_VERDICTS)}"
        raise InvalidInput.at("verdicts", "whoever has opted out is not texted again", fix)
    if not listed:
        raise InvalidInput.at("verdicts", "are empty", f"Use some of {', '.join(_VERDICTS)}")
    return [one_of("verdicts", each, *_VERDICTS) for each in listed]
