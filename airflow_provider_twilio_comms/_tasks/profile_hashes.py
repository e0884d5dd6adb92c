"""Hashes of loaded rows, kept in a table or a file of the user's: what was loaded, without the values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Protocol

import msgspec

from airflow_provider_twilio_comms._core.profiles.hashes import KnownRows, Pair, merged
from airflow_provider_twilio_comms._tasks.object_storage import write_whole
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_PAIR = struct.Struct(">QQ")
_BLOCK = 4096 * _PAIR.size


class HashStore(Protocol):
    """Somewhere to keep hashes. ``save`` may be called often; ``finish`` once, when all is loaded."""

    def load(self) -> KnownRows: ...

    def save(self, pairs: list[Pair]) -> None: ...

    def finish(self) -> None: ...


class NoHashes:
    """Keeps nothing: every row is sent."""

    def load(self) -> KnownRows:
        return KnownRows()

    def save(self, pairs: list[Pair]) -> None:
        """Keep nothing."""

    def finish(self) -> None:
        """Keep nothing."""


class FileHashes:
    """One file of sorted pairs, 16 bytes each; beside it, until the load has ended, one for each ``save``.

    So a killed load leaves what it has done, and the next try knows it.
    """

    def __init__(self, path: str) -> None:
        from airflow.sdk import ObjectStoragePath

        self._path = ObjectStoragePath(path.strip())

    def load(self) -> KnownRows:
        with self._pairs() as pairs:
            return KnownRows(pairs)

    def save(self, pairs: list[Pair]) -> None:
        if not pairs:
            return
        newest = dict(pairs)
        number = len(self._parts())
        with write_whole(self._path.parent / f"{self._path.name}.part{number:05d}", "hashes_path") as file:
            file.write(b"".join(_PAIR.pack(*pair) for pair in sorted(newest.items())))

    def finish(self) -> None:
        parts = self._parts()
        if not parts:
            return
        with self._pairs() as pairs, write_whole(self._path, "hashes_path") as file:
            for pair in pairs:
                file.write(_PAIR.pack(*pair))
        for part in parts:
            part.unlink()

    def _parts(self) -> list[ObjectStoragePath]:
        if not self._path.parent.exists():
            return []
        prefix = f"{self._path.name}.part"
        return sorted((each for each in self._path.parent.iterdir() if each.name.startswith(prefix)), key=str)

    @contextmanager
    def _pairs(self) -> Iterator[Iterable[Pair]]:
        files = [*([self._path] if self._path.exists() else []), *self._parts()]
        with ExitStack() as stack:
            yield merged([_read(stack.enter_context(file.open("rb"))) for file in files])


def _read(file: IO[bytes]) -> Iterator[Pair]:
    while block := file.read(_BLOCK):
        if len(block) % _PAIR.size:
            raise InvalidInput.at("hashes_path", "is not a file of hashes", "Name another, or remove it")
        yield from _PAIR.iter_unpack(block)


class RowHash(msgspec.Struct):
    """A row of the table: both hashes as 16 hexadecimal digits."""

    person_hash: str
    row_hash: str


class TableHashes:
    """A table with a row for each person, which is made where there is none."""

    def __init__(self, conn_id: str, table: str) -> None:
        self._conn_id, self._table = conn_id, table

    def load(self) -> KnownRows:
        from airflow_provider_twilio_comms._tasks.sql import Query
        from airflow_provider_twilio_comms._tasks.sql_loading import loading, table_name

        with loading(self._conn_id, self._table, RowHash, "person_hash", create=True):
            pass
        sql = f"SELECT person_hash, row_hash FROM {table_name(self._table)}"
        batches = Query(sql, self._conn_id).batches()
        return KnownRows.sorting(
            (int(person, 16), int(row, 16)) for batch in batches for person, row in batch
        )

    def save(self, pairs: list[Pair]) -> None:
        from airflow_provider_twilio_comms._tasks.sql_loading import loading

        rows = [RowHash(f"{person:016x}", f"{row:016x}") for person, row in dict(pairs).items()]
        if rows:
            with loading(self._conn_id, self._table, RowHash, "person_hash") as write:
                write(rows)

    def finish(self) -> None:
        """All of it is in the table already."""
