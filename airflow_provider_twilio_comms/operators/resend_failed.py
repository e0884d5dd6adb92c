"""Once more to those whom a send did not reach, where that may help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.receipts import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_twilio_comms._core.sending.bulk import BulkRequest
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioResendFailedOperator"]

Receipts = Iterable[Mapping[str, Any]]


class TwilioResendFailedOperator(TwilioBulkMessageOperator):
    """Text those again whose message failed in a way that may go away, each of them once.

    Whom is read from receipts: the verdict has to be ``retry``. Whoever has any other receipt among them is
    left alone: reached or still under way, opted out, unreachable, or failed for a reason that nobody knows.
    This is a send of its own, with a key of its own, so that a retry or a clear of this task sends nothing
    twice; and to send a third time takes another task.

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

    For receipts in a table, ``SqlToTwilioOperator`` does the same by a join with ``verdict = 'retry'``.
    Everything else is as with
    :class:`~airflow_provider_twilio_comms.operators.bulk_messages.TwilioBulkMessageOperator`, save that
    ``on_duplicate`` is ``first`` and ``on_empty`` is ``skip`` if left out.

    :param receipts: a file of receipts, or a folder of them: JSON lines or Parquet (a template)
    :param operation_ids: instead, operations or what a bulk send returned, whose receipts are read now (a
        template). They may be others at a later try, which sends nothing then: with ``snapshot_path`` it
        sends what the first one planned
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
        receipts: str | None = None,
        operation_ids: Any = None,
        recipients: Iterable[Any] | str | XComArg | None = None,
        max_reasons: int = 10_000,
        hash_secret: str | None = None,
        **kwargs: Any,
    ) -> None:
        if (receipts is None) == (operation_ids is None):
            raise InvalidInput.at("receipts", "give them or operation_ids", "One of the two, and not both")
        defaults = {"on_duplicate": "first", "on_empty": "skip"}
        super().__init__(
            **{**defaults, **kwargs}, recipients=() if recipients is None else recipients, content=content
        )
        self.hash_secret: Hidden[str | None] = self.hide(hash_secret)
        self.receipts = receipts
        self.operation_ids = operation_ids
        self.max_reasons = max_reasons
        self._joins = recipients is not None

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        first = super().lineage_inputs()
        if self.receipts:
            return [dataset_of_file(self.receipts), *first]
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
        from airflow_provider_twilio_comms._core.reporting.resend import chosen, hashed, joined, plain

        with self._receipts() as receipts:
            found = chosen(receipts)
        self.log.info("%s recipients failed in a way that a retry may mend", f"{len(found):,}")
        if not found or not self._joins:
            yield from plain(found)
            return
        config = self.hook.config
        reader = self.reader(self.request(config), config)
        name = self._hashes(config) if hashed(found) else str
        yield from joined(found, super().rows(), reader, name)

    def _hashes(self, config: Config) -> Callable[[str], str | None]:
        from airflow_provider_twilio_comms._core.privacy import Redaction, derived

        key = self.hash_secret.value or config.hash_secret or derived(config.secret)
        return Redaction("numbers", key).number

    @contextmanager
    def _receipts(self) -> Iterator[Callable[[], Receipts]]:
        """The receipts, to be read more than once."""
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import files_at

        if self.receipts is not None:
            files = files_at(self.receipts)
            yield lambda: (row for file in files for row in rows_of(file))
            return
        import msgspec

        with TemporaryFile() as kept:  # of this process alone, and gone with it
            self._fetched(kept)

            def read() -> Receipts:
                kept.seek(0)
                return (msgspec.json.decode(line) for line in kept)

            yield read

    def _fetched(self, kept: Any) -> None:
        import msgspec

        from airflow_provider_twilio_comms._core.privacy import Redaction
        from airflow_provider_twilio_comms._core.reporting.receipts import Tally
        from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
        from airflow_provider_twilio_comms._tasks.classic_receipts import ClassicReceipts
        from airflow_provider_twilio_comms._tasks.reading import Receipts, reading

        tally, plain = Tally(), Redaction("none")
        with reading(self.hook, 16) as read:
            classic = ClassicReceipts(self.hook, read, plain)
            sends = SentMessages.all_in(self.operation_ids)
            for rows in chain(
                Receipts(read, plain, self.max_reasons).of(named(self.operation_ids)),
                *map(classic.pages, sends),
            ):
                kept.write(msgspec.json.Encoder().encode_lines(rows))
                tally.add(rows)
        if tally.unexplained:
            self.log.warning(
                "The reason of %s failures was not asked for (max_reasons=%s): they are left alone",
                f"{tally.unexplained:,}",
                f"{self.max_reasons:,}",
            )
