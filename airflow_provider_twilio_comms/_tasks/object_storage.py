"""Files of a task, wherever Airflow's ObjectStoragePath reaches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms._core.recipients.reader import Reject
from airflow_provider_twilio_comms._core.resources.media import fetched
from airflow_provider_twilio_comms._tasks.table_files import whole
from airflow_provider_twilio_comms.client._downloads import BLOCK
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_twilio_comms.api._resources import Elsewhere
    from airflow_provider_twilio_comms.api.wire import Call
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["files_at", "folder", "opened_rejects", "resolved", "stored"]


def resolved(recipients: Any) -> Any:
    """Recipients as they are; a path or URI as a file that can be opened."""
    if not isinstance(recipients, str):
        return recipients
    if not recipients.strip():
        raise InvalidInput.at("recipients", "the path is empty", "Check the template that renders to it")
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(recipients.strip())


def folder(path: str, *below: str) -> ObjectStoragePath:
    """A folder that can be written to; on a local disk, it is made."""
    from airflow.sdk import ObjectStoragePath

    target = ObjectStoragePath(path.strip()).joinpath(*below)
    target.mkdir(parents=True, exist_ok=True)
    return target


def files_at(path: str) -> list[ObjectStoragePath]:
    """One file; or all files of a folder, or whose paths begin so, in the order of their names.

    Files whose names begin with ``_`` or ``.`` are the tools' that write such folders. Raises
    :class:`InvalidInput` where there is none.
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
def opened_rejects(path: str | None) -> Iterator[Callable[[Reject], None]]:
    """Where rejects go: JSON lines of ``row``, ``field``, ``problem`` and what was ``given``; or nowhere."""
    if not path:
        yield lambda reject: None
        return
    from airflow.sdk import ObjectStoragePath

    try:
        file = ObjectStoragePath(path).open("wb")
    except OSError as error:
        raise InvalidInput.at(
            "rejects_path", f"cannot be written ({error.strerror or error})", "Check it"
        ) from error
    lines: list[bytes] = []
    encoder = msgspec.json.Encoder(enc_hook=str)

    def write() -> None:
        file.write(b"".join(line + b"\n" for line in lines))
        lines.clear()

    def reject(found: Reject) -> None:
        lines.append(encoder.encode(found._asdict()))
        if len(lines) == 1000:
            write()

    with file:
        yield reject
        write()


IN_MEMORY = 4_000_000  # bytes of a file, before it goes to a temporary file on disk


def stored(hook: TwilioHook, source: Call[Elsewhere], target: ObjectStoragePath) -> tuple[int, int]:
    """Copy a file to ``target``; returns how many bytes and how many lines it has.

    It is there whole before anything is written: a line that breaks leaves no half file behind.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        size = hook.run(fetched(source, copy))
        copy.seek(0)
        lines = sum(block.count(b"\n") for block in iter(lambda: copy.read(BLOCK), b""))
        copy.seek(0)
        with whole(target) as file:
            shutil.copyfileobj(copy, file, BLOCK)
    return size, lines
