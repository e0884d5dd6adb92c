"""Sources of recipients: what a DAG holds in memory, or a CSV, JSON lines or Parquet file, read as a stream.

A file is CSV, JSON lines or Parquet, told by its name, behind any object with ``open`` and a ``name`` or
string form (Airflow's ``ObjectStoragePath``, a ``pathlib.Path``).
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, Protocol, cast

import msgspec

from airflow_provider_twilio_comms._core.recipients.phone_numbers import kind_of
from airflow_provider_twilio_comms.exceptions import InvalidInput, scrub

FILE_KINDS = (".csv", ".jsonl", ".ndjson", ".parquet")


class File(Protocol):
    """A file somewhere."""

    def open(self, mode: str) -> IO[bytes]: ...


def rows_of(recipients: Any, column: str | None = None) -> Iterator[Any]:
    """The recipients one by one.

    Raises :class:`InvalidInput` for a file that cannot be read, or that lacks ``column``.
    """
    if hasattr(recipients, "open"):
        yield from _file_rows(recipients, column)
        return
    if recipients is None:
        fix = "If another task gives them, let it return a list; an empty one goes with on_empty='skip'"
        raise InvalidInput.at("recipients", "are None", fix)
    if isinstance(recipients, (str, bytes, Mapping)) or not isinstance(recipients, Iterable):
        raise InvalidInput.at(
            "recipients",
            f"is {kind_of(recipients)}",
            "Give a list of numbers or mappings, or the path of a CSV, JSON lines or Parquet file",
        )
    yield from recipients


def suffix_of(file: Any) -> str:
    """The kind of a file by its name, however it is compressed: ``.csv``."""
    return _suffixes(file)[0]


def lines_of(file: File) -> Iterator[str]:
    """The lines of a text, plain or compressed. Raises :class:`InvalidInput` where it cannot be read."""
    with _opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        try:
            for line in text:  # noqa: UP028 - yield from would close it
                yield line
        except UnicodeDecodeError:
            raise InvalidInput.at("file", "is not text in UTF-8", "Write it as such") from None
        finally:
            text.detach()  # the file is its opener's to close


def _file_rows(file: File, column: str | None) -> Iterator[Mapping[str, Any]]:
    kind = suffix_of(file)
    read = {".csv": _csv, ".jsonl": _lines, ".ndjson": _lines, ".parquet": _parquet}.get(kind)
    if read is None:
        raise InvalidInput.at("recipients", f"the file's kind ({kind or 'none'}) is not known", _KINDS)
    with _opened(file) as stream:
        yield from read(stream, column)


@contextmanager
def _opened(file: File) -> Iterator[IO[bytes]]:
    zipped = _suffixes(file)[1]
    try:
        with file.open("rb") as raw:
            yield _UNZIPPED[zipped](raw) if zipped else raw
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "cut short"
        )
        raise InvalidInput.at(
            "recipients", f"{file} cannot be read ({reason})", "Check its path and its permissions"
        ) from error


def _suffixes(file: Any) -> tuple[str, str]:
    """The kind of a file, and how it is compressed."""
    suffixes = [suffix.lower()[-8:] for suffix in PurePosixPath(str(file)).suffixes[-2:]]
    zipped = suffixes.pop() if suffixes and suffixes[-1] in _UNZIPPED else ""
    return suffixes[-1] if suffixes else "", zipped


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    try:
        from pyarrow import CompressedInputStream
    except ImportError:
        raise InvalidInput.at(
            "recipients", "a .zst file needs pyarrow", "Install airflow-provider-twilio-comms[parquet]"
        ) from None
    return cast("IO[bytes]", io.BufferedReader(CompressedInputStream(raw, "zstd")))


_UNZIPPED: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw)),
    ".bz2": lambda raw: cast("IO[bytes]", bz2.BZ2File(raw)),
    ".xz": lambda raw: cast("IO[bytes]", lzma.open(raw)),  # noqa: SIM115
    ".zst": _zstd,
}
_KINDS = (
    "Give a file whose name ends in .csv, .jsonl, .ndjson or .parquet, plain or with .gz, .bz2, .xz, .zst"
)


def _csv(stream: IO[bytes], column: str | None) -> Iterator[Mapping[str, Any]]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        _check_columns(reader.fieldnames or (), column)
        for row in reader:
            if None in row or None in row.values():
                problem = "has not as many fields as the header"
                raise InvalidInput.at("recipients", problem, _FIX_CSV, _row(reader))
            yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInput.at(
            "recipients", f"is not CSV in UTF-8 ({error})", _FIX_CSV, _row(reader)
        ) from None
    finally:
        text.detach()  # the file is its opener's to close


_FIX_CSV = "Write it as CSV in UTF-8, quoting fields that hold commas or line breaks"


def _row(reader: csv.DictReader[str]) -> int:
    return max(1, reader.line_num - 1)


def _lines(stream: IO[bytes], column: str | None) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            row = None
        if not isinstance(row, dict):
            raise InvalidInput.at("recipients", "is not a JSON object", "Write one object a line", number)
        if number == 1:
            _check_columns(tuple(row), column)
        yield row


def _parquet(stream: IO[bytes], column: str | None) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InvalidInput.at(
            "recipients", "a Parquet file needs pyarrow", "Install airflow-provider-twilio-comms[parquet]"
        ) from None
    try:
        file = parquet.ParquetFile(stream)
        _check_columns(file.schema_arrow.names, column)
        for batch in file.iter_batches(batch_size=1000):
            yield from batch.to_pylist()
    except ArrowException as error:
        raise InvalidInput.at("recipients", f"is not a Parquet file ({error})", "Write it again") from None


def _check_columns(columns: Iterable[str], column: str | None) -> None:
    """Raise :class:`InvalidInput` for a doubled column, whose last would win, and without ``column``."""
    names = list(columns)
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled:
        problem = f"the file has a column twice: {shown_columns(doubled)}"
        raise InvalidInput.at(
            "recipients", problem, "Rename or remove one of them; the first line is the header"
        )
    if column is not None and column not in names:
        raise InvalidInput.at(
            "number_column",
            f"{column!r} is not a column of the file (it has {shown_columns(names)})",
            "Name the one with the numbers; the first line has to be the header",
        )


def shown_columns(names: Sequence[str]) -> str:
    """Column names as an error may show them; none where one looks like data, for want of a header."""
    if any(scrub(name) != name or not _IDENTIFIER.fullmatch(name.strip()) for name in names):
        return "names that look like data"
    return ", ".join(names[:20]) or "none"


_IDENTIFIER = re.compile(r"[^\W\d][\w.-]{0,62}|")  # also the empty name of a spreadsheet's last column
