"""Files and tables that receipts are written to, and the receipts that are there from an earlier run.

Twilio forgets receipts after seven days, so what was written before may be the only copy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Protocol, TypeAlias

import msgspec

from airflow_provider_twilio_comms._core.reporting.read_receipts import gone_error
from airflow_provider_twilio_comms._core.reporting.receipts import Receipt, Tally
from airflow_provider_twilio_comms._core.waiting.sent_messages import SentMessages
from airflow_provider_twilio_comms._tasks.receipts import ClassicReceipts, Receipts
from airflow_provider_twilio_comms._tasks.sql import Query
from airflow_provider_twilio_comms._tasks.sql_loading import loading, sql_hook, table_name
from airflow_provider_twilio_comms._tasks.table_files import Table, write_tables
from airflow_provider_twilio_comms.exceptions import TwilioError

Pages: TypeAlias = Iterable[Sequence[Receipt]]


class ReceiptsOutput(Protocol):
    """A place for receipts; its text is its name."""

    def empty(self) -> bool:
        """True if there is nothing that a send without operations would replace."""
        ...

    def earlier(self, operation_ids: Collection[str]) -> Iterator[list[Receipt]]:
        """Read the receipts of these operations that are there; none, if there is no such file or table.

        Raises :class:`TwilioError` for what cannot be read as receipts.
        """
        ...

    def open(self) -> AbstractContextManager[Writer]:
        """Open it for writing."""
        ...


class Writer(Protocol):
    """Write receipts of an operation, or some of a send's; ``keep`` those that are there already."""

    def write(self, pages: Pages) -> None: ...

    def keep(self, pages: Pages) -> None: ...


class ReceiptsFile:
    """A file of receipts, replaced once all are in. Receipts to keep are copied from the file before."""

    def __init__(self, path: str) -> None:
        self._path = path.strip()

    def __str__(self) -> str:
        return self._path

    def empty(self) -> bool:
        from airflow.sdk import ObjectStoragePath

        target = ObjectStoragePath(self._path)
        return not target.fs.exists(target.path)

    def earlier(self, operation_ids: Collection[str]) -> Iterator[list[Receipt]]:
        from airflow.sdk import ObjectStoragePath

        target, wanted = ObjectStoragePath(self._path), set(operation_ids)
        read = _rows_of_parquet if target.suffix == ".parquet" else _rows_of_lines
        try:
            with target.fs.open(target.path, "rb") as file:
                for rows in read(file):
                    if found := [row for row in rows if row.operation_id in wanted]:
                        yield found
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.MsgspecError) as error:  # pyarrow's are ValueErrors
            raise TwilioError(
                f"{self._path} cannot be read as receipts ({type(error).__name__}), and is left as it is"
            ) from error

    @contextmanager
    def open(self) -> Iterator[Writer]:
        with write_tables(self._path) as write:
            write(Table.of((), kind=Receipt))  # so that a file without rows has columns too
            yield _FileWriter(write)


class _FileWriter:
    def __init__(self, write: Callable[[Table], None]) -> None:
        self._write = write

    def write(self, pages: Pages) -> None:
        for rows in pages:
            self._write(Table.of(rows))

    keep = write


_BATCH = 10_000  # rows


def _rows_of_lines(file: Any) -> Iterator[list[Receipt]]:
    decoder = msgspec.json.Decoder(Receipt)
    while lines := file.readlines(_BATCH * 100):
        yield [decoder.decode(line) for line in lines]


def _rows_of_parquet(file: Any) -> Iterator[list[Receipt]]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(file).iter_batches(batch_size=_BATCH):
        yield msgspec.convert(batch.to_pylist(), list[Receipt])


class ReceiptsTable:
    """A table of receipts. Those of an operation are replaced in one transaction; all others stay."""

    def __init__(self, conn_id: str, table: str, create: bool) -> None:
        self._conn_id, self._table, self._create = conn_id, table_name(table), create

    def __str__(self) -> str:
        return f"the table {self._table}"

    def empty(self) -> bool:
        return True  # a table loses no row to a send without operations

    def earlier(self, operation_ids: Collection[str]) -> Iterator[list[Receipt]]:
        """Read what counts need of them: ids, status, code, verdict, attempts and the last change."""
        ids, hook = sorted(operation_ids), sql_hook(self._conn_id)
        columns = "operation_id, message_id, status, code, verdict, attempts, updated_at"
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            marks = ", ".join([hook.placeholder] * len(part))
            sql = f"SELECT {columns} FROM {self._table} WHERE operation_id IN ({marks})"
            try:
                for rows in Query(sql, self._conn_id, part).batches(hook):
                    yield [_counted(*row) for row in rows]
            except Exception as error:  # drivers have no error in common, and theirs may quote rows
                raise TwilioError(
                    f"the table {self._table} cannot be read ({type(error).__name__}), and is left as it is"
                ) from None

    @contextmanager
    def open(self) -> Iterator[Writer]:
        with loading(self._conn_id, self._table, Receipt, "message_id", create=self._create) as load:
            yield _TableWriter(load)


class _TableWriter:
    def __init__(self, load: Callable[[Sequence[Receipt]], None]) -> None:
        self._load = load

    def write(self, pages: Pages) -> None:
        """All rows of an operation at once: there are 10,000 at most, and half of them would look whole."""
        self._load([row for rows in pages for row in rows])

    def keep(self, pages: Pages) -> None:
        for _ in pages:  # which counts them; the rows stay
            pass


def _counted(
    operation_id: str, message_id: str, status: str, code: Any, verdict: Any, attempts: Any, updated_at: Any
) -> Receipt:
    moment = datetime.fromisoformat(updated_at) if isinstance(updated_at, str) else updated_at
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return Receipt(
        operation_id,
        message_id,
        None,
        None,
        None,
        status,
        code=None if code is None else int(code),
        verdict=verdict,
        attempts=None if attempts is None else int(attempts),
        updated_at=moment,
    )


class Copied:
    """Counts of the receipts that are there after a copy; of them ``kept`` were there before it.

    ``kept_of`` are the operations of those that Twilio does not know any more, ``kept_from`` is when it last
    changed one of these receipts. ``untouched`` if nothing was written.
    """

    def __init__(self) -> None:
        self.tally = Tally()
        self.missing = 0
        self.kept = 0
        self.kept_of: set[str] = set()
        self.kept_from: datetime | None = None
        self.untouched = False

    def keeping(self, pages: Pages) -> Iterator[Sequence[Receipt]]:
        """Pass pages on, and count them as kept."""
        for rows in self.tally.counting(pages):
            self.kept += len(rows)
            self.kept_of.update(row.operation_id for row in rows)
            moments = [row.updated_at for row in rows if row.updated_at]
            self.kept_from = max([*moments, *([self.kept_from] if self.kept_from else [])], default=None)
            yield rows


def copy_receipts(
    receipts: Receipts,
    operation_ids: Sequence[str],
    output: ReceiptsOutput,
    classic: ClassicReceipts | None = None,
    sends: Sequence[SentMessages] = (),
) -> Copied:
    """Write the receipts of these operations and of ``sends``, which ``classic`` reads; those that Twilio has
    forgotten stay as they were.

    So do receipts of messages that its list lacks for now. Raises :class:`OperationGone`, before anything is
    changed, if there are no receipts of a forgotten operation.
    """
    copied = Copied()
    known, gone = receipts.look_up(operation_ids)
    if gone:
        there = _there(output, gone)
        if lost := [name for name in gone if name not in there]:
            raise gone_error(lost, f"There are no receipts of it in {output} either, which is as it was. ")
    if not known and not sends and (gone or not output.empty()):
        for _ in copied.keeping(output.earlier(gone)):
            pass
        copied.untouched = True
        return copied
    with output.open() as writer:
        if gone:
            writer.keep(copied.keeping(output.earlier(gone)))
        receipts.read(known, lambda rows: writer.write(copied.tally.counting([rows])))
        for sent in sends:
            assert classic is not None
            for pages in _tens(classic.pages(sent)):
                writer.write(copied.tally.counting(pages))
        short = {**receipts.short, **(classic.short if classic else {})}
        if short:
            writer.keep(copied.keeping(_unlisted(output, short)))
    copied.missing = receipts.missing + (classic.missing if classic else 0)
    return copied


def _tens(pages: Iterator[list[Receipt]]) -> Iterator[list[list[Receipt]]]:
    """Take pages ten at a time: as many rows as an operation has at most."""
    while some := list(islice(pages, 10)):
        yield some


def _there(output: ReceiptsOutput, gone: list[str]) -> set[str]:
    """Those of these operations that have receipts."""
    try:
        return {row.operation_id for rows in output.earlier(gone) for row in rows}
    except TwilioError as problem:
        raise gone_error(gone, f"What was written of it before is of no help: {problem}. ") from problem


def _unlisted(output: ReceiptsOutput, short: dict[str, set[str]]) -> Iterator[list[Receipt]]:
    for rows in output.earlier(short):
        if left := [row for row in rows if row.message_id not in short[row.operation_id]]:
            yield left
