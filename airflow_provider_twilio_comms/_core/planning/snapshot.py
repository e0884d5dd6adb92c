"""A snapshot of a plan in files, so that a later try sends exactly what the first one planned.

A file for each chunk, or for several small ones (a line for each, a JSON array), and ``manifest.json``, which
is written last: without it there is no snapshot. It belongs to one task instance, whose ledger bears its id.
What is read back is held against the fingerprints. These files hold numbers and variables.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan, fingerprint_of
from airflow_provider_twilio_comms._core.recipients.number_sets import NumberSet, key_of
from airflow_provider_twilio_comms._core.sending.ledger import Ledger
from airflow_provider_twilio_comms.exceptions import InvalidInput

VERSION = 2
SIDS = "sids.txt"


class Folder(Protocol):
    """A folder somewhere, or a file in it, wherever that is stored."""

    @property
    def name(self) -> str: ...

    def beside(self) -> Iterable[Folder]: ...

    def files(self) -> Iterable[Folder]: ...

    def modified(self) -> float: ...

    def unlink(self) -> None: ...

    def rmdir(self) -> None: ...

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
    id: str | None = None
    people: int = 0
    at_most: int = 1
    per_file: int = 1  # chunks


def save(folder: Folder, plan: Plan, per_file: int = 1) -> str:
    """Write a plan down, so many chunks in a file; returns the snapshot's id."""
    for number, first in enumerate(range(0, len(plan.chunks), per_file)):
        lines = [b"[" + plan.read(chunk) + b"]" for chunk in plan.chunks[first : first + per_file]]
        _file(folder, number).write_bytes(b"\n".join(lines))
    manifest = _Manifest(VERSION, plan.chunks, plan.rows, plan.reasons, plan.lacking, plan.report)
    manifest.id, manifest.people, manifest.at_most = secrets.token_hex(8), plan.people, plan.at_most
    manifest.per_file = per_file
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return manifest.id


def save_sids(folder: Folder, sids: Iterable[str]) -> str:
    """Keep the SIDs of single messages beside the plan, one a line, for tasks that have no ledger of it;
    returns the file's path."""
    file = folder / SIDS
    file.write_bytes("\n".join(sids).encode())
    return str(file)


def remove_old(folder: Folder, before: float) -> int:
    """Remove the plans beside this one that were kept before a moment; returns how many."""
    removed = 0
    for other in folder.beside():
        place = other / "manifest.json"
        try:
            if not _ours.fullmatch(other.name) or not place.exists() or place.modified() >= before:
                continue
            place.unlink()  # first of all: without it there is no snapshot
            for file in other.files():
                if _chunk.fullmatch(file.name):
                    file.unlink()
            other.rmdir()
        except (OSError, NotImplementedError):  # another task removes it too, or holds something else there
            continue
        removed += 1
    return removed


def load(folder: Folder, ledger: Ledger) -> Plan | None:
    """The plan that an earlier try of this task instance kept. Raises :class:`InvalidInput` if it is broken.

    Only one of which the ledger says that it is its own; without a store, whatever a retry finds in its
    place.
    """
    place = folder / "manifest.json"
    if not (ledger.begun or ledger.blank) or not place.exists():
        return None
    try:
        manifest = msgspec.json.decode(place.read_bytes(), type=_Manifest)
    except msgspec.MsgspecError as error:
        raise _broken("manifest.json", str(error)) from None
    if manifest.version not in (1, VERSION):
        raise _broken("manifest.json", f"is of version {manifest.version}")
    if ledger.head is not None and ledger.head.snapshot != manifest.id:
        return None

    places = {chunk.number: place for place, chunk in enumerate(manifest.chunks)}
    last: tuple[int, list[bytes]] = (-1, [])  # the file that was read last, and its lines

    def read(chunk: Chunk) -> bytes:
        nonlocal last
        number, line = divmod(places[chunk.number], manifest.per_file)
        if last[0] != number:
            last = number, _file(folder, number).read_bytes().split(b"\n")
        data = last[1][line][1:-1] if line < len(last[1]) else b""
        if fingerprint_of(data + b",", chunk.variant) != chunk.fingerprint:
            raise _broken(f"request {chunk.number + 1}", "is not what was written")
        return data

    plan = Plan(manifest.chunks, manifest.rows, manifest.reasons, manifest.lacking, read, manifest.report)
    plan.people, plan.at_most, plan.snapshot = manifest.people, manifest.at_most, manifest.id
    return plan


def leave_out(plan: Plan, barred: Callable[[Mapping[str, Any]], bool], sent: Collection[str]) -> Plan:
    """The plan without those who may not be texted any more, in the chunks that are not ``sent`` yet.

    A chunk stays known by its fingerprint, and one in which nobody is left is gone.
    """
    chunks: list[Chunk] = []
    shorter: dict[int, bytes] = {}
    reasons = Counter(plan.reasons)
    for chunk in plan.chunks:
        rows = [] if chunk.fingerprint in sent else _rows.decode(b"[" + plan.read(chunk) + b"]")
        stay = [row for row in rows if not barred(msgspec.json.decode(row))]
        if len(stay) == len(rows):
            chunks.append(chunk)
            continue
        reasons["suppressed"] += len(rows) - len(stay)
        shorter[chunk.number] = b",".join(bytes(row) for row in stay)
        if stay:
            chunks.append(replace(chunk, count=len(stay)))
    whole = plan.read
    found = replace(plan, chunks=chunks, reasons=dict(reasons), bars=barred)
    found.read = lambda chunk: shorter.get(chunk.number) or whole(chunk)
    return found


def barred(
    suppressed: NumberSet | None, allows: Callable[[str], object] | None
) -> Callable[[Mapping[str, Any]], bool]:
    """Build the test for a recipient who may not be texted: suppressed, or not allowed."""

    def bars(row: Mapping[str, Any]) -> bool:
        named = row.get("addresses") or [row]
        numbers = [str(each.get("address") or each.get("profileId") or "") for each in named]
        if allows is not None and not all(allows(number) for number in numbers):
            return True
        return suppressed is not None and bool(suppressed.among(map(key_of, numbers)))

    return bars


_rows = msgspec.json.Decoder(list[msgspec.Raw])
_ours = re.compile(r"[0-9a-f]{20}")
_chunk = re.compile(r"\d{5,}\.json|sids\.txt")


def _file(folder: Folder, number: int) -> Folder:
    return folder / f"{number:05d}.json"


def _broken(what: str, problem: str) -> InvalidInput:
    return InvalidInput.at(
        "snapshot_path", f"{what} {problem}", "Give another snapshot_path; the ledger knows what was sent"
    )
