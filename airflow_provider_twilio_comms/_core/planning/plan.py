"""The plan of a bulk send: everything checked, encoded once and cut into chunks before anything is sent.

The encoded recipients lie in a temporary file without a name that only this process can read (in memory
while they are few), so a million of them take the memory of one chunk, and nothing is sent before the last
one was looked at.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal, Protocol, cast
from zlib import crc32

import msgspec

from airflow_provider_twilio_comms._core.campaigns.sections import Section
from airflow_provider_twilio_comms._core.planning.screening import Screening, latest
from airflow_provider_twilio_comms._core.recipients.reader import BATCH, Read, Reader, Reject, batches
from airflow_provider_twilio_comms._core.sending.ledger import Outline
from airflow_provider_twilio_comms.api.comms.messages import MAX_BODY, MAX_RECIPIENTS
from airflow_provider_twilio_comms.exceptions import InvalidInput, NoRecipients

_MASK = (1 << 64) - 1
IN_MEMORY = 8_000_000  # bytes of encoded recipients, before they go to a temporary file
SHOWN = 5  # invalid recipients that an error names


@dataclass(frozen=True)
class Chunk:
    """The recipients of one request. ``fingerprint`` tells whether they are those of an earlier try.

    ``zones`` are the time zones that they can be in, ``country`` is theirs and ``variant`` the text that
    they get, where these matter: the same for all of a chunk. It goes out ``after`` so many seconds of the
    send. Of a group ``count`` is not ``exact``: Twilio counts those whom it finds at the moment of the send.
    """

    number: int
    count: int
    fingerprint: str
    zones: tuple[str, ...] = ()
    exact: bool = True
    country: str = ""
    variant: str = ""
    after: float = 0.0

    @property
    def section(self) -> Section:
        """The section of the list that it is of."""
        return Section(self.zones, self.country, self.variant)


class Guard(Protocol):
    """Whoever is asked again about the people of a part, by their places, before it goes out."""

    def admit(self, part: int, people: Mapping[int, Any]) -> dict[int, str]:
        """The places of those who may not be texted, with the reason."""

    def refused(self, part: int, people: Mapping[int, Any], codes: Sequence[str] = ()) -> None:
        """Hear that Twilio did not take the messages to these, and by which code, by place, if it said so."""


@dataclass
class Plan:
    """A plan of a send: ``recipients`` in ``chunks``, ``rejected`` left out, of ``rows`` that were read.

    ``reasons`` says how many were left out why, ``lacking`` how many lack which variable, and ``absent``
    which ones nobody has; ``read`` gives a chunk's encoded recipients, joined by commas; ``report`` is the
    preflight's. ``people`` is a hash that does not depend on their order, ``at_most`` the size of a request,
    and ``snapshot`` the id of the kept plan. ``bars`` tells who may not be texted any more,
    for the parts of a kept plan that an earlier try began. ``guard`` leaves people out of parts that stay
    what they are: ``left`` counts them, by the part's number and the reason. ``source_rows`` are the rows of
    a part's people, where somebody wants to know them.
    """

    chunks: list[Chunk] = field(default_factory=list)
    rows: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)
    read: Callable[[Chunk], bytes] = field(default=lambda chunk: b"", repr=False)
    report: dict[str, Any] | None = None
    people: int = 0
    at_most: int = 1
    snapshot: str | None = None
    absent: tuple[str, ...] = ()
    bars: Callable[[Mapping[str, Any]], bool] | None = field(default=None, repr=False)
    guard: Guard | None = field(default=None, repr=False)
    left: dict[int, Counter[str]] = field(default_factory=dict)
    source_rows: dict[int, Sequence[int]] = field(default_factory=dict, repr=False)

    def outline(self, content: str, by_zone: bool = False) -> Outline:
        """The plan as hashes and counts; ``content`` is a hash of what goes to everyone."""
        parts = ".".join([content, *(chunk.fingerprint for chunk in self.chunks)])
        return Outline(
            content=content,
            people=f"{self.people:016x}",
            plan=hashlib.sha256(parts.encode()).hexdigest()[:16],
            parts=len(self.chunks),
            recipients=self.recipients,
            rows=self.rows,
            rejected=self.rejected,
            size=self.at_most,
            by_zone=by_zone,
            variants=self.variants,
            held_out=self.held_out,
        )

    @property
    def recipients(self) -> int:
        left = sum(self.left[chunk.number].total() for chunk in self.chunks if chunk.number in self.left)
        return sum(chunk.count for chunk in self.chunks) - left

    @property
    def variants(self) -> dict[str, int]:
        """The count of recipients by variant, if there are several."""
        found = Counter[str]()
        for chunk in self.chunks:
            found[chunk.variant] += chunk.count
        return {name: found[name] for name in sorted(found) if name}

    @property
    def held_out(self) -> int:
        """The count of those who are held out of the campaign."""
        return self.reasons.get("holdout", 0)

    @property
    def rejected(self) -> int:
        return sum(self.left_out().values())

    def left_out(self) -> dict[str, int]:
        """The count of those left out, by reason, those included whom the guard leaves out of their parts."""
        found = Counter(self.reasons)
        for each in self.left.values():
            found.update(each)
        return dict(found)

    def drop_empty(self) -> None:
        """Drop the parts in which the guard leaves nobody."""
        self.chunks = [
            chunk
            for chunk in self.chunks
            if chunk.number not in self.left or self.left[chunk.number].total() < chunk.count
        ]

    def to(self, chunk: Chunk) -> msgspec.Raw:
        """The chunk's recipients as a JSON array."""
        return msgspec.Raw(b"[" + self.read(chunk) + b"]")


def spooled() -> IO[bytes]:
    """The file in which a plan keeps its encoded recipients; to be closed after the send."""
    return cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY))


def planned(
    rows: Iterable[Any],
    reader: Reader,
    spool: IO[bytes],
    *,
    envelope: int,
    at_most: int = MAX_RECIPIENTS,
    on_invalid: Literal["fail", "skip"] = "fail",
    screening: Screening | None = None,
    ladder: Ladder | None = None,
    reject: Callable[[Reject], None] = lambda reject: None,
    progress: Callable[[int], None] = lambda rows: None,
    keep_rows: bool = False,
) -> Plan:
    """Plan the send of ``rows``; the plan can be read while ``spool`` is open.

    ``envelope`` is the size in bytes of a request without its recipients, who are ``at_most`` so many;
    ``ladder`` spreads the requests over time. With ``keep_rows`` the plan knows in which row each of them
    stood.
    Raises :class:`InvalidInput` for no recipients, for more than ``screening`` allows, and with
    ``on_invalid="fail"`` for those that are invalid, naming the first ones.
    """
    spoolfile = Spooled(spool)
    cutter = _Cutter(spoolfile, MAX_BODY - envelope, at_most, keep_rows)
    reasons: Counter[str] = Counter()
    shown: list[Reject] = []
    done = 0

    def leave_out(found: Reject) -> None:
        reasons[found.reason] += 1
        if found.reason == "invalid" and len(shown) < SHOWN:
            shown.append(found)
        reject(found)

    def leave_out_equal(found: Reject) -> None:
        cutter.drop_row(found.row)
        leave_out(found)

    with spooled() as waiting:
        for read, done in _read(rows, reader, screening, waiting):
            for found in read.rejects:
                leave_out(found)
            if read.recipients:
                cutter.add_all(read, screening)
            progress(done)
    if shown and on_invalid == "fail":
        raise _invalid(shown, reasons["invalid"], done)
    finished = cutter.finished()
    chunks = list(screening.without_equal(finished, spoolfile, leave_out_equal)) if screening else finished
    if not chunks:
        raise nobody(done, reasons)
    source_rows = cutter.source_rows(chunks)
    if ladder:
        chunks, spoolfile, at_most, source_rows = ladder.cut(chunks, spoolfile, source_rows)
    plan = Plan(chunks, done, dict(reasons), reader.lacking, spoolfile.read)
    plan.people, plan.at_most = cutter.people, at_most
    plan.absent = tuple(name for name, count in reader.lacking.items() if count == reader.checked)
    plan.source_rows = source_rows
    return plan


def nobody(rows: int, reasons: Mapping[str, int]) -> NoRecipients:
    """The error of a send in which nobody is left of so many rows."""
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return NoRecipients.at(
        "recipients",
        f"all {rows:,} are left out ({left_out})" if rows else "there are none",
        "Give at least one, or skip the task when there is nobody to text",
    )


def _read(
    rows: Iterable[Any], reader: Reader, screening: Screening | None, waiting: IO[bytes]
) -> Iterator[tuple[Read, int]]:
    """Batches without those who are left out, and how many rows were read so far."""
    done = 0

    def reads() -> Iterator[Read]:
        nonlocal done
        for batch in batches(rows):
            read = reader.read(batch, done + 1)
            done += len(batch)
            yield screening.kept(read) if screening else read

    last = screening is not None and screening.duplicates == "last"
    kept = 0
    for read in latest(reads(), waiting) if last else reads():
        if screening and read.recipients:
            kept += len(read.recipients)
            screening.check_count(kept)
            if screening.counts:
                screening.counts.add(read.recipients)
        yield read, done


class Ladder(Protocol):
    """Cuts a plan into the requests of a send that is spread over time."""

    def cut(
        self, chunks: Sequence[Chunk], spool: Spooled, rows: Mapping[int, Sequence[int]]
    ) -> tuple[list[Chunk], Spooled, int, dict[int, Sequence[int]]]:
        """Returns the requests, what reads them, how many recipients each has at most, and their rows."""


def fingerprint_of(joined: bytes, variant: str = "") -> str:
    """The fingerprint of encoded recipients, each with a comma after it, who get this variant."""
    return str(_digest(variant, joined).hexdigest()[:16])


def _digest(variant: str, joined: bytes = b"") -> Any:
    found = hashlib.sha256(f"{variant} ".encode() if variant else b"")
    found.update(joined)
    return found


class Spooled:
    """Chunks in a file, each in one or more pieces, since those of several sections grow side by side."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pieces: dict[int, list[list[int]]] = {}  # of offset and size

    def anew(self) -> Spooled:
        """The same file without its chunks, to cut other ones."""
        return Spooled(self._file)

    def write(self, joined: bytes, pieces: list[list[int]]) -> None:
        offset = self._file.tell()
        self._file.write(joined)
        if pieces and sum(pieces[-1]) == offset:
            pieces[-1][1] += len(joined)
        else:
            pieces.append([offset, len(joined)])

    def close(self, chunk: Chunk, pieces: list[list[int]]) -> None:
        pieces[-1][1] -= 1  # the last comma
        self._pieces[chunk.number] = pieces

    def rewrite(self, chunk: Chunk, number: int, lines: Sequence[bytes] | None) -> Chunk:
        """Give a chunk another number, and other recipients where ``lines`` are given."""
        joined = self.read(chunk) if lines is None else b",".join(lines)
        count = chunk.count if lines is None else len(lines)
        self._file.seek(0, SEEK_END)
        pieces: list[list[int]] = []
        self.write(joined + b",", pieces)
        mark = fingerprint_of(joined + b",", chunk.variant)
        new = replace(chunk, number=number, count=count, fingerprint=mark)
        self.close(new, pieces)
        return new

    def read(self, chunk: Chunk) -> bytes:
        return b"".join(self._piece(offset, size) for offset, size in self._pieces[chunk.number])

    def _piece(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


class _Open:
    """A chunk that grows."""

    def __init__(self, variant: str) -> None:
        self.count, self.size = 0, 0
        self.hash = _digest(variant)
        self.pieces: list[list[int]] = []
        self.rows = array("Q")


class _Cutter:
    """Encodes recipients to the spool, and cuts chunks by count and by bytes."""

    def __init__(self, spool: Spooled, limit: int, at_most: int, keep_rows: bool) -> None:
        self._spool = spool
        self._keep_rows = keep_rows
        self._rows: list[array[int]] = []  # of each chunk's recipients
        self._dropped: set[int] = set()
        self._limit = limit
        self._at_most = at_most
        self.people = 0  # the sum of everyone's checksum, so that order and chunks do not count
        self._chunks: list[Chunk] = []
        self._open: dict[Section, _Open] = {}

    def add_all(self, read: Read, screening: Screening | None) -> None:
        if screening is None:
            self._add(Section(), read.recipients, read.rows)
            return
        for section, recipients, rows in screening.groups(read.recipients, read.rows):
            self._add(section, recipients, rows)

    def finished(self) -> list[Chunk]:
        for section in sorted(self._open):
            self._cut(section)
        return self._chunks

    def drop_row(self, row: int) -> None:
        """Hear that the recipient of a row was taken out of its chunk again."""
        if self._keep_rows:
            self._dropped.add(row)

    def source_rows(self, chunks: Iterable[Chunk]) -> dict[int, Sequence[int]]:
        """The rows of each chunk's recipients; a chunk of which all were taken out is not among them."""
        left = filter(None, ([row for row in each if row not in self._dropped] for each in self._rows))
        return dict(zip((chunk.number for chunk in chunks), left, strict=False))

    def _add(self, section: Section, recipients: Sequence[Any], rows: Sequence[int]) -> None:
        """Whole batches while they fit, one by one where a chunk ends."""
        lines = _encoder.encode_lines(recipients)
        self.people = (self.people + sum(map(crc32, lines.split(b"\n")))) & _MASK
        chunk = self._open.get(section) or self._opened(section)
        if chunk.count + len(recipients) <= self._at_most and chunk.size + len(lines) <= self._limit:
            self._write(chunk, lines.replace(b"\n", b","), rows)
            return
        for row, line in zip(rows, lines.split(b"\n")[:-1], strict=True):
            if len(line) > self._limit:
                raise InvalidInput.at(
                    "recipient",
                    f"is {len(line):,} bytes, more than one request may be ({MAX_BODY:,})",
                    "Shorten its variables",
                    row,
                )
            if chunk.count == self._at_most or chunk.size + len(line) + 1 > self._limit:
                self._cut(section)
                chunk = self._opened(section)
            self._write(chunk, line + b",", (row,))

    def _opened(self, section: Section) -> _Open:
        self._open[section] = _Open(section.variant)
        return self._open[section]

    def _write(self, chunk: _Open, joined: bytes, rows: Sequence[int]) -> None:
        self._spool.write(joined, chunk.pieces)
        chunk.hash.update(joined)
        chunk.count += len(rows)
        if self._keep_rows:
            chunk.rows.extend(rows)
        chunk.size += len(joined)

    def _cut(self, section: Section) -> None:
        done = self._open[section]
        if not done.count:
            return
        chunk = Chunk(len(self._chunks), done.count, done.hash.hexdigest()[:16], **section._asdict())
        self._spool.close(chunk, done.pieces)
        self._chunks.append(chunk)
        if self._keep_rows:
            self._rows.append(done.rows)


def _invalid(shown: list[Reject], rejected: int, rows: int) -> InvalidInput:
    listed = "; ".join(f"row {found.row}, {found.field}: {found.problem}" for found in shown)
    skip = ", or set on_invalid_recipient='skip' (and rejects_path to get them)" if rejected < rows else ""
    return InvalidInput(
        f"{rejected:,} of {rows:,} recipients are invalid, and nothing was sent. {listed}"
        + ("; ..." if rejected > len(shown) else "")
        + f". Fix them{skip}",
        field=shown[0].field,
        row=shown[0].row,
    )


_encoder = msgspec.json.Encoder()

assert MAX_RECIPIENTS % BATCH == 0  # so that whole batches fill a chunk
