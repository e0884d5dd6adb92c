"""Load rows into a memory store: bulks of 1,000 or imports, several at a time, changed rows only."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec

from airflow_provider_twilio_comms._core.profiles.hashes import KnownRows, Pair, RowHasher
from airflow_provider_twilio_comms._core.profiles.rows import Column, Row, RowEncoder
from airflow_provider_twilio_comms._core.recipients.reader import Reject
from airflow_provider_twilio_comms.api.flows import Flow, Group, made, now, uploaded, waited
from airflow_provider_twilio_comms.api.memory import imports, profiles
from airflow_provider_twilio_comms.api.pace import Pace
from airflow_provider_twilio_comms.exceptions import ApiError, TwilioError, WaitTimedOut

BULK = 1000  # profiles of one bulk
IMPORT = 100_000  # rows of one import
IMPORT_BYTES = 90_000_000  # Twilio takes 104,857,600
MOST_REFUSED = 20  # rows of one bulk that are looked for one by one
POLL = (2.0, 30.0)  # seconds between two looks at an import: the first, and the most


class Counts(msgspec.Struct):
    """Counts of rows: read, not changed since, sent, left out; requests, and what imports counted."""

    rows: int = 0
    unchanged: int = 0
    sent: int = 0
    rejected: int = 0
    requests: int = 0
    import_errors: int = 0
    import_warnings: int = 0

    def add(self, other: Counts) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Chunk:
    """Rows that go in one request, and how far the source is read once they are done."""

    rows: list[Row] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    position: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    done: bool = False


@dataclass
class Loader:
    """One load. ``source`` gives batches of rows, each with the position after it.

    ``reject`` takes what is left out, and ``note`` what is done for good: the hashes of rows that Twilio has,
    the counts, and the position up to which nothing is missing.
    """

    store_id: str
    columns: Sequence[Column]
    source: Iterable[tuple[Sequence[Any], dict[str, Any]]]
    hasher: RowHasher
    known: KnownRows
    reject: Callable[[Reject], None]
    note: Callable[[list[Pair], Counts, dict[str, Any]], None]
    region: str | None = None
    at_once: int = 4
    per_second: float | None = None
    strict: bool = False
    every: int = 50
    open_file: Callable[[], IO[bytes]] | None = None  # with it, imports instead of bulks
    timeout: float = 3600.0
    import_ids: list[str] = field(default_factory=list)

    def run(self) -> Flow[None]:
        """Load everything. Raises the first error, once what is under way has ended and is noted."""
        self._open: deque[Chunk] = deque()
        self._pairs: list[Pair] = []
        self._counts, self._settled, self._rest = Counts(), 0, Chunk()
        group = Group(self._work(), self.at_once, Pace(self.per_second))
        failed: TwilioError | None = None
        while found := (yield group):
            for ended in found:
                if ended.error is not None:
                    group.stop()
                    failed = failed or ended.error
                else:
                    self._settle(ended.key, ended.value)
        if failed is None:
            self._open.append(self._rest)  # rows after the last request: nothing of them was to be sent
            self._rest.done = True
            self._advance()
        self._write()
        if failed is not None:
            raise failed

    def _work(self) -> Iterator[tuple[Chunk, Flow[Any]]]:
        for chunk in self._chunks():
            self._open.append(chunk)
            yield chunk, (self._import(chunk) if self.open_file else self._bulk(chunk.rows))

    def _chunks(self) -> Iterator[Chunk]:
        encoder, number = RowEncoder(self.columns, self.region), 1
        most, most_bytes = (IMPORT, IMPORT_BYTES) if self.open_file else (BULK, 8_000_000)
        chunk = Chunk()
        for batch, position in self.source:
            for row in encoder.read(batch, number):
                self._take(chunk, row)
            number += len(batch)
            chunk.counts.rows += len(batch)
            chunk.position = position
            if len(chunk.rows) + len(batch) > most or chunk.size > most_bytes:
                yield chunk
                chunk = Chunk(position=position)
        if chunk.rows:
            yield chunk
            chunk = Chunk(position=chunk.position)
        self._rest = chunk

    def _take(self, chunk: Chunk, row: Row | Reject) -> None:
        if isinstance(row, Reject):
            self.reject(row)
            chunk.counts.rejected += 1
            return
        pair = self.hasher.pair(row.identity, row.body)
        if self.known.holds(pair):
            chunk.counts.unchanged += 1
            return
        chunk.rows.append(row)
        chunk.pairs.append(pair)
        chunk.size += len(row.body)

    def _bulk(self, rows: Sequence[Row]) -> Flow[list[tuple[Row, ApiError]]]:
        """Send rows; those that Twilio refuses are found by halves, since it names none of them."""
        refused: list[tuple[Row, ApiError]] = []
        parts = [rows]
        while parts:
            part = parts.pop()
            body = msgspec.Raw(b"[" + b",".join([row.body for row in part]) + b"]")
            try:
                yield from made(profiles.update_bulk(self.store_id, body))
            except ApiError as error:
                if error.status != 400 or self.strict or len(refused) >= MOST_REFUSED:
                    raise
                half = len(part) // 2
                if not half:
                    refused.append((part[0], error))
                else:
                    parts += [part[half:], part[:half]]
        return refused

    def _import(self, chunk: Chunk) -> Flow[list[tuple[Row, ApiError]]]:
        """Send rows as a CSV file, and wait until Twilio has read it."""
        assert self.open_file is not None
        columns = self.columns
        with self.open_file() as file:
            size = _write_csv(file, columns, chunk.rows)
            mappings = [
                imports.ColumnMapping(f"{column.group}.{column.trait}", column.group, column.trait)
                for column in columns
            ]
            created = yield from made(imports.create(self.store_id, "airflow.csv", size, mappings))
            self.import_ids.append(created.import_id)
            yield from uploaded(created.url, file)
        chunk.counts.requests += 2
        deadline, pause = (yield from now()) + self.timeout, POLL[0]
        while True:
            found = yield from made(imports.fetch(self.store_id, created.import_id))
            if found.done:
                break
            if (yield from now()) > deadline:
                raise WaitTimedOut(
                    f"The import {created.import_id} has not ended in {self.timeout:g} s; it goes on at "
                    "Twilio. A later try sends its rows again, which changes nothing"
                )
            yield from waited(pause)
            pause = min(pause * 1.5, POLL[1])
        if found.status != "COMPLETED":
            raise TwilioError(
                f"The import {created.import_id} ended as {found.status}: look at its file's columns"
            )
        chunk.counts.import_errors += found.summary.errors
        chunk.counts.import_warnings += found.summary.warnings
        return []

    def _settle(self, chunk: Chunk, refused: Sequence[tuple[Row, ApiError]]) -> None:
        numbers = {row.number for row, _ in refused}
        for row, error in refused:
            given = msgspec.json.decode(row.body)["traits"]
            self.reject(Reject(row.number, "row", f"Twilio refuses it ({error.detail})", given, "refused"))
        chunk.pairs = [
            pair for row, pair in zip(chunk.rows, chunk.pairs, strict=True) if row.number not in numbers
        ]
        chunk.counts.sent += len(chunk.pairs)
        chunk.counts.rejected += len(refused)
        chunk.counts.requests += 1 if self.open_file is None else 0
        chunk.rows.clear()
        chunk.done = True
        self._advance()

    def _advance(self) -> None:
        """Move on over chunks that are done, in their order, and note them now and then."""
        while self._open and self._open[0].done:
            chunk = self._open.popleft()
            self._pairs += chunk.pairs
            self._counts.add(chunk.counts)
            self._position = chunk.position
            self._settled += 1
        if self._settled >= self.every or len(self._pairs) >= self.every * BULK:
            self._write()

    def _write(self) -> None:
        if self._settled:
            self.note(self._pairs, self._counts, self._position)
            self._pairs, self._settled = [], 0


def _write_csv(file: IO[bytes], columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Write rows as a CSV file with a header; returns its size in bytes."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow([f"{column.group}.{column.trait}" for column in columns])
    for row in rows:
        traits = msgspec.json.decode(row.body)["traits"]
        writer.writerow([_cell(traits.get(column.group, {}).get(column.trait)) for column in columns])
    text.detach()
    size = file.tell()
    file.seek(0)
    return size


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
