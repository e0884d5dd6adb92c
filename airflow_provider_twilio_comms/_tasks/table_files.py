"""Tables of resources, and files of them: JSON lines or Parquet, wherever ``ObjectStoragePath`` reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from airflow_provider_twilio_comms._tasks.object_storage import write_whole
from airflow_provider_twilio_comms.api._forms import bare
from airflow_provider_twilio_comms.exceptions import InvalidInput

Take: TypeAlias = Callable[[Sequence[Any]], Any]
GROUP = 50_000  # rows of Parquet's row groups


@dataclass(frozen=True)
class Table:
    """Some resources of one kind, and the columns of them that are wanted, by Twilio's names."""

    items: Sequence[msgspec.Struct]
    columns: Sequence[msgspec.structs.FieldInfo]

    @classmethod
    def of(
        cls,
        items: Sequence[msgspec.Struct],
        names: Sequence[str] | None = None,
        left_out: Collection[str] = (),
        kind: type[msgspec.Struct] | None = None,
    ) -> Table:
        """``kind`` gives columns to a table without rows too.

        Raises :class:`InvalidInput` for an unknown column.
        """
        shape = kind or (items[0] if items else None)
        known = {each.encode_name: each for each in msgspec.structs.fields(shape)} if shape else {}
        unknown = [name for name in names or () if known and name not in known]
        if unknown:
            raise InvalidInput.at("fields", f"there is no {unknown[0]!r}", f"Use some of {', '.join(known)}")
        wanted = [name for name in names or known if name in known and name not in left_out]
        return cls(items, [known[name] for name in wanted])

    @property
    def whole(self) -> bool:
        """True if every column is wanted, in its place."""
        return (
            not self.items
            or tuple(column.name for column in self.columns) == type(self.items[0]).__struct_fields__
        )

    def rows(self) -> list[dict[str, Any]]:
        """JSON values: decimals and times are text."""
        names = [column.encode_name for column in self.columns]
        return [{name: row[name] for name in names} for row in map(msgspec.to_builtins, self.items)]


@contextmanager
def write_tables(path: str) -> Iterator[Callable[[Table], None]]:
    """Write tables to a file, one after the other: JSON lines or Parquet, by the end of its name.

    The file is there once it is whole; an earlier one stays until then, and for good if the block fails.
    """
    from airflow.sdk import ObjectStoragePath

    kinds = {".jsonl": _lines, ".ndjson": _lines, ".parquet": _parquet}
    target = ObjectStoragePath(path.strip())
    if target.suffix not in kinds:
        raise InvalidInput.at(
            "output_path", "is not a kind of file known here", f"End it in {', '.join(kinds)}"
        )
    with write_whole(target) as file, kinds[target.suffix](file) as write:
        yield write


@contextmanager
def _lines(file: Any) -> Iterator[Callable[[Table], None]]:
    encoder = msgspec.json.Encoder()
    yield lambda table: file.write(encoder.encode_lines(table.items if table.whole else table.rows()))


@contextmanager
def _parquet(file: Any) -> Iterator[Callable[[Table], None]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        problem, fix = "Parquet needs pyarrow", "Install airflow-provider-twilio-comms[parquet]"
        raise InvalidInput.at("output_path", problem, fix) from None
    kinds = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        Decimal: pa.decimal128(38, 10),
        datetime: pa.timestamp("us", "UTC"),
        date: pa.date32(),
    }
    groups = _Groups(file, parquet.ParquetWriter, pa.concat_tables)

    def write(table: Table) -> None:
        types = [
            next((kinds[kind] for kind in bare(column.type) if kind in kinds), None)
            for column in table.columns
        ]
        arrays = [
            pa.array(_cells(table.items, column, nested=kind is None), kind or pa.string())
            for column, kind in zip(table.columns, types, strict=True)
        ]
        if table.columns:
            groups.add(pa.table(arrays, [column.encode_name for column in table.columns]))

    try:
        yield write
    except BaseException:
        groups.abandon()
        raise
    if not groups.end():
        parquet.write_table(pa.table({}), file)


class _Groups:
    """Rows are kept until they are worth a row group, of which readers want few and large ones."""

    def __init__(self, file: Any, writer: Callable[..., Any], joined: Callable[..., Any]) -> None:
        self._file, self._open, self._joined = file, writer, joined
        self._held: list[Any] = []
        self._writer: Any = None

    def add(self, table: Any) -> None:
        self._held.append(table)
        if sum(held.num_rows for held in self._held) >= GROUP:
            self._write()

    def end(self) -> bool:
        """Write the end; returns whether there was anything to write."""
        if self._held:
            self._write()
        if self._writer is not None:
            self._writer.close()
        return self._writer is not None

    def abandon(self) -> None:
        """Close the writer while the file is open: it would write its end whenever it is collected."""
        if self._writer is not None:
            with suppress(Exception):  # the file is thrown away, and what went wrong is known
                self._writer.close()

    def _write(self) -> None:
        joined = self._joined(self._held)
        self._writer = self._writer or self._open(self._file, joined.schema)
        self._writer.write_table(joined)
        self._held = []


def _cells(items: Sequence[Any], column: msgspec.structs.FieldInfo, *, nested: bool) -> list[Any]:
    """The values of a column; nested ones as JSON."""
    values = list(map(attrgetter(column.name), items))
    if not nested:
        return values
    return [None if value is None else msgspec.json.encode(value).decode() for value in values]


@contextmanager
def open_rows(
    kind: type[msgspec.Struct],
    key: str,
    path: str | None,
    conn_id: str | None,
    table: str | None,
    create: bool,
) -> Iterator[Callable[[Sequence[msgspec.Struct]], None]]:
    """Open a file, or else a table of a database whose key is ``key``, to write rows of a kind."""
    if path:
        with write_tables(path) as write:
            yield lambda rows: write(Table.of(rows, kind=kind))
        return
    from airflow_provider_twilio_comms._tasks.sql_loading import loading

    with loading(conn_id or "", table or "", kind, key, create=create) as load:
        yield load
