"""Files of a task, wherever Airflow's ObjectStoragePath reaches: found, and replaced as a whole."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms._core.recipients.reader import Reject
from airflow_provider_twilio_comms._core.resources.media import fetched
from airflow_provider_twilio_comms.client._downloads import BLOCK
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_twilio_comms.api._resources import Elsewhere
    from airflow_provider_twilio_comms.api.wire import Call
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook


def resolved(recipients: Any) -> Any:
    """Recipients as they are; a path or URI as a file that can be opened."""
    if not isinstance(recipients, str):
        return recipients
    if not recipients.strip():
        raise InvalidInput.at("recipients", "the path is empty", "Check the template that renders to it")
    if re.fullmatch(r"[\[\s'\"]*\+?\d[\d\s()+.,;'\"-]*\]?\s*", recipients):
        fix = "Give a list of texts: ['+1...', '+1...']; of a template, use the task's output instead"
        raise InvalidInput.at("recipients", "is a text of numbers, where a path is expected", fix)
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(recipients.strip())


class Folder:
    """A folder of small files that are each written whole, or a file in it; on a local disk, it is made."""

    def __init__(self, path: ObjectStoragePath) -> None:
        self._path = path

    def __truediv__(self, name: str) -> Folder:
        return Folder(self._path / name)

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return bool(self._path.fs.exists(self._path.path))

    def read_bytes(self) -> bytes:
        data: bytes = self._path.fs.cat_file(self._path.path)
        return data

    def write_bytes(self, data: bytes) -> None:
        with write_whole(self._path, "snapshot_path") as file:
            file.write(data)

    @property
    def name(self) -> str:
        return str(self._path.name)

    def beside(self) -> list[Folder]:
        """List the files in the same folder as this one."""
        return [Folder(each) for each in self._path.parent.iterdir()]

    def files(self) -> list[Folder]:
        return [Folder(each) for each in self._path.iterdir()]

    def modified(self) -> float:
        """The time of the last change, in seconds since 1970."""
        return float(self._path.fs.modified(self._path.path).timestamp())

    def unlink(self) -> None:
        self._path.fs.rm_file(self._path.path)

    def rmdir(self) -> None:
        """Remove the folder, where folders are things of their own."""
        self._path.fs.rmdir(self._path.path)


def folder(path: str, *below: str) -> Folder:
    """A folder for a snapshot."""
    from airflow.sdk import ObjectStoragePath

    return Folder(ObjectStoragePath(path.strip()).joinpath(*below))


def files_at(path: str) -> list[ObjectStoragePath]:
    """One file; or all files of a folder, or of a prefix, in the order of their names.

    Files whose names begin with ``_`` or ``.`` belong to the tools that write such folders. Raises
    :class:`InvalidInput` if there is none.
    """
    given: ObjectStoragePath = resolved(path)
    if given.is_file():
        return [given]
    found = given.rglob("*") if given.is_dir() else _beginning(given)
    files = [file for file in found if not file.name.startswith(("_", ".")) and file.is_file()]
    if not files:
        raise InvalidInput.at("path", "there is no such file, and none below it", "Check the template")
    return sorted(files, key=str)


def _beginning(given: ObjectStoragePath) -> list[ObjectStoragePath]:
    above = given.parent
    return [file for file in above.iterdir() if file.name.startswith(given.name)] if above.is_dir() else []


@contextmanager
def write_whole(target: ObjectStoragePath, field: str = "output_path") -> Iterator[IO[bytes]]:
    """Write a file that takes the place of the one that is there once it is whole, and not before.

    On a local disk it grows under a hidden name beside the other and is renamed, which is one step; folders
    above it are made. Elsewhere it grows in a temporary file of the worker and is then uploaded: object
    stores show an upload once it is complete, or never, whereas a rename there is a copy and a deletion.
    An error or a kill at any moment leaves what was there. ``field`` is the argument that errors name.

    Raises :class:`InvalidInput` if it cannot be written, :class:`TwilioError` if the upload fails otherwise.
    """
    from airflow.sdk.lineage import get_hook_lineage_collector

    local = target.protocol in ("", "file", "local")
    with _renamed(target, field) if local else _uploaded(target, field) as file:
        yield file
    get_hook_lineage_collector().add_output_asset(context=target, uri=str(target))


_LEFT = 86_400.0  # seconds without a write, after which an unfinished file is one of a killed worker


@contextmanager
def _renamed(target: ObjectStoragePath, field: str) -> Iterator[IO[bytes]]:
    """A local file under a hidden name, renamed at the end. Links and the file's permissions are kept."""
    place = Path(os.path.realpath(target.path))
    partial = place.with_name(f".twilio-{secrets.token_hex(8)}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and not place.is_file():
            partial = place  # a device or a pipe: there is nothing to keep. A folder cannot be opened
        file = partial.open("wb")
    except OSError as error:
        raise _not_writable(field, error) from error
    if partial == place:
        with file:
            yield file
        return
    _clear_unfinished(place.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the new name with nothing in it
        if place.exists():
            shutil.copymode(place, partial)
        partial.replace(place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _clear_unfinished(folder: Path) -> None:
    """Remove files of workers that were killed while they wrote."""
    for left in folder.glob(".twilio-*.part"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT:
                left.unlink()


@contextmanager
def _uploaded(target: ObjectStoragePath, field: str) -> Iterator[IO[bytes]]:
    """A temporary file, uploaded at the end in one piece.

    It has no name, so that a killed worker leaves nobody's data on its disk; the upload opens it by its
    descriptor.
    """
    storage = target.fs  # where its package is missing, that is known before anything is written
    with TemporaryFile() as file:
        yield file
        file.flush()
        file.seek(0)
        try:
            storage.put_file(f"/dev/fd/{file.fileno()}", target.path)
        except (FileNotFoundError, PermissionError) as error:
            raise _not_writable(field, error) from error
        except Exception as error:
            raise TwilioError(
                f"{target} could not be uploaded ({type(error).__name__}). If there was a file before, it is "
                "still there, whole. A later try uploads it again; check the storage if this keeps happening"
            ) from error


def _not_writable(field: str, error: OSError) -> InvalidInput:
    problem = f"cannot be written ({error.strerror or type(error).__name__}); what was there is as it was"
    return InvalidInput.at(field, problem, "Check the path, and the rights of the worker or the connection")


@contextmanager
def opened_rejects(path: str | None) -> Iterator[Callable[[Reject], None]]:
    """A file for rejects: JSON lines of ``row``, ``field``, ``problem`` and what was ``given``; or none.

    It takes the place of an earlier one when the block ends, and also when it ends in an error, since the
    error sends people to this file; but an error before the first reject leaves the earlier file.
    """
    if not path:
        yield lambda reject: None
        return
    from airflow.sdk import ObjectStoragePath

    encoder = msgspec.json.Encoder(enc_hook=str)
    failure: Exception | None = None
    try:
        with write_whole(ObjectStoragePath(path), "rejects_path") as file:
            try:
                yield lambda found: _write_line(file, encoder.encode(found._asdict()))
            except Exception as error:
                if not file.tell():
                    raise
                failure = error
    except TwilioError as problem:
        if failure is not None:
            raise failure from problem
        raise
    if failure is not None:
        raise failure


def _write_line(file: IO[bytes], line: bytes) -> None:
    file.write(line + b"\n")


IN_MEMORY = 4_000_000  # bytes of a file, before it goes to a temporary file on disk


def stored(hook: TwilioHook, source: Call[Elsewhere], target: ObjectStoragePath) -> tuple[int, int]:
    """Copy a file of Twilio's to ``target``; returns its bytes and lines.

    It is read to the end before anything is written: a line that breaks changes nothing at the target.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        size = hook.run(fetched(source, copy))
        copy.seek(0)
        lines = sum(block.count(b"\n") for block in iter(lambda: copy.read(BLOCK), b""))
        copy.seek(0)
        with write_whole(target) as file:
            shutil.copyfileobj(copy, file, BLOCK)
    return size, lines
