"""The plan of a bulk send: everything checked, encoded once and cut into chunks before anything is sent.

The encoded recipients lie in a temporary file without a name that only this process can read (in memory
while they are few), so a million of them take the memory of one chunk, and nothing is sent before the last
one was looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from itertools import count
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal, cast

import msgspec

from airflow_provider_twilio_comms.api.comms.messages import MAX_BODY, MAX_RECIPIENTS
from airflow_provider_twilio_comms.exceptions import InvalidInput
from airflow_provider_twilio_comms.sending.recipients import BATCH, Reader, Reject, batches

__all__ = ["Chunk", "Plan", "planned", "spooled"]

IN_MEMORY = 8_000_000  # bytes of encoded recipients, before they go to a temporary file
SHOWN = 5  # invalid recipients that an error names


@dataclass(frozen=True)
class Chunk:
    """The recipients of one request. ``fingerprint`` tells whether they are those of an earlier try."""

    number: int
    count: int
    offset: int
    size: int
    fingerprint: str


@dataclass
class Plan:
    """What will be sent: ``recipients`` in ``chunks``, ``rejected`` left out."""

    chunks: list[Chunk] = field(default_factory=list)
    recipients: int = 0
    rejected: int = 0
    _spool: IO[bytes] | None = field(default=None, repr=False)

    def to(self, chunk: Chunk) -> msgspec.Raw:
        """The chunk's recipients as a JSON array."""
        assert self._spool is not None
        self._spool.seek(chunk.offset)
        return msgspec.Raw(b"[" + self._spool.read(chunk.size) + b"]")


def spooled() -> IO[bytes]:
    """Where a plan keeps its encoded recipients; to be closed after the send."""
    return cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY))


def planned(
    rows: Iterable[Any],
    reader: Reader,
    spool: IO[bytes],
    *,
    envelope: int,
    at_most: int = MAX_RECIPIENTS,
    on_invalid: Literal["fail", "skip"] = "fail",
    reject: Callable[[Reject], None] = lambda reject: None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Plan:
    """Plan the send of ``rows``; the plan can be read while ``spool`` is open.

    ``envelope`` is the size in bytes of a request without its recipients, who are ``at_most`` so many. Raises
    :class:`InvalidInput` for no recipients, and with ``on_invalid="fail"`` for those that are invalid, naming
    the first ones.
    """
    cutter = _Cutter(spool, MAX_BODY - envelope, at_most)
    first, rejected = 1, 0
    shown: list[Reject] = []
    for batch in batches(rows):
        lines, rejects = reader.read(batch, first)
        cutter.add(lines, first, {found.row for found in rejects})
        for found in rejects:
            rejected += 1
            if len(shown) < SHOWN:
                shown.append(found)
            reject(found)
        first += len(batch)
        progress(first - 1)
    if rejected and on_invalid == "fail":
        raise _invalid(shown, rejected, first - 1)
    chunks = cutter.finished()
    if not chunks:
        raise InvalidInput.at(
            "recipients",
            f"all {rejected} are invalid" if rejected else "there are none",
            "Give at least one, or skip the task when there is nobody to text",
        )
    return Plan(chunks, sum(chunk.count for chunk in chunks), rejected, spool)


class _Cutter:
    """Writes encoded recipients to the spool, and cuts chunks by count and by bytes."""

    def __init__(self, spool: IO[bytes], limit: int, at_most: int) -> None:
        self._spool = spool
        self._limit = limit
        self._at_most = at_most
        self._chunks: list[Chunk] = []
        self._start()

    def add(self, lines: bytes, first_row: int, left_out: Container[int]) -> None:
        """Add recipients, one a line. Whole batches while they fit, one by one where a chunk ends."""
        added = lines.count(b"\n")
        if self._count + added <= self._at_most and self._size + len(lines) <= self._limit:
            self._write(lines.replace(b"\n", b","), added)
            return
        rows = (row for row in count(first_row) if row not in left_out)
        for row, line in zip(rows, lines.split(b"\n")[:-1], strict=False):
            if len(line) > self._limit:
                raise InvalidInput.at(
                    "recipient",
                    f"is {len(line):,} bytes, more than one request may be ({MAX_BODY:,})",
                    "Shorten its variables",
                    row,
                )
            if self._count == self._at_most or self._size + len(line) + 1 > self._limit:
                self._cut()
            self._write(line + b",", 1)

    def finished(self) -> list[Chunk]:
        if self._count:
            self._cut()
        return self._chunks

    def _start(self) -> None:
        self._count, self._size, self._offset = 0, 0, self._spool.tell()
        self._hash = hashlib.sha256()

    def _write(self, joined: bytes, count: int) -> None:
        self._spool.write(joined)
        self._hash.update(joined)
        self._count += count
        self._size += len(joined)

    def _cut(self) -> None:
        self._chunks.append(
            Chunk(
                len(self._chunks), self._count, self._offset, self._size - 1, self._hash.hexdigest()[:16]
            )  # without the last comma
        )
        self._start()


def _invalid(shown: list[Reject], rejected: int, rows: int) -> InvalidInput:
    listed = "; ".join(f"row {found.row}, {found.field}: {found.problem}" for found in shown)
    return InvalidInput(
        f"{rejected:,} of {rows:,} recipients are invalid, and nothing was sent. {listed}"
        + ("; ..." if rejected > len(shown) else "")
        + ". Mend them, or set on_invalid_recipient='skip' (and rejects_path to get them)",
        field=shown[0].field,
        row=shown[0].row,
    )


assert MAX_RECIPIENTS % BATCH == 0  # so that whole batches fill a chunk
