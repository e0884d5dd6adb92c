"""A plan kept in files, so that a later try sends exactly what the first one planned.

One file a chunk (its recipients, a JSON array) and ``manifest.json``, which is written last: without it there
is no snapshot. What is read back is held against the fingerprints. These files hold numbers and variables.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import msgspec

from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["Folder", "load", "save"]

VERSION = 1


class Folder(Protocol):
    """A folder somewhere, or a file in it: ``ObjectStoragePath``, ``pathlib.Path``."""

    def __truediv__(self, name: str) -> Folder: ...

    def exists(self) -> bool: ...

    def read_bytes(self) -> bytes: ...

    def write_bytes(self, data: bytes) -> Any: ...


class _Manifest(msgspec.Struct):
    version: int
    chunks: list[Chunk]
    rows: int
    reasons: dict[str, int]
    lacking: dict[str, int]
    report: dict[str, Any] | None = None


def save(folder: Folder, plan: Plan) -> None:
    """Write a plan down."""
    for chunk in plan.chunks:
        _file(folder, chunk).write_bytes(b"[" + plan.read(chunk) + b"]")
    manifest = _Manifest(VERSION, plan.chunks, plan.rows, plan.reasons, plan.lacking, plan.report)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))


def load(folder: Folder) -> Plan | None:
    """The plan that was written down, if it was to the end. Raises :class:`InvalidInput` if it is broken."""
    place = folder / "manifest.json"
    if not place.exists():
        return None
    try:
        manifest = msgspec.json.decode(place.read_bytes(), type=_Manifest)
    except msgspec.MsgspecError as error:
        raise _broken("manifest.json", str(error)) from None
    if manifest.version != VERSION:
        raise _broken("manifest.json", f"is of version {manifest.version}")

    def read(chunk: Chunk) -> bytes:
        data = _file(folder, chunk).read_bytes()[1:-1]
        digest = hashlib.sha256(data)
        digest.update(b",")
        if digest.hexdigest()[:16] != chunk.fingerprint:
            raise _broken(f"chunk {chunk.number + 1}", "is not what was written")
        return data

    return Plan(manifest.chunks, manifest.rows, manifest.reasons, manifest.lacking, read, manifest.report)


def _file(folder: Folder, chunk: Chunk) -> Folder:
    return folder / f"{chunk.number:05d}.json"


def _broken(what: str, problem: str) -> InvalidInput:
    return InvalidInput.at(
        "snapshot_path", f"{what} {problem}", "Give another snapshot_path; the ledger knows what was sent"
    )
