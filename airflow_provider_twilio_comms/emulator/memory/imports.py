"""Imports of profiles from CSV files, and the storage to which the files go."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_twilio_comms.api.wire import Reply
from airflow_provider_twilio_comms.emulator.clock import iso
from airflow_provider_twilio_comms.emulator.http import Problem, Request, body_as, json_reply
from airflow_provider_twilio_comms.emulator.memory.schema import ColumnMapping, NewImport
from airflow_provider_twilio_comms.emulator.memory.store import Import, Memory, Store, listed, page, ulid
from airflow_provider_twilio_comms.emulator.routes import Routes

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.state import State

__all__ = ["routes", "storage"]

VALID = 1800  # seconds for which the address of an upload is good
routes: Routes = Routes("memory", "/v1/Stores/{storeId}/Profiles/Imports")
storage: Routes = Routes("storage", "/imports")
_NEW = msgspec.json.Decoder(NewImport)


@routes("POST", "")
def create(twilio: State, request: Request, store_id: str) -> Reply:
    memory = twilio.part(Memory)
    store, asked = memory.store(store_id), body_as(request, _NEW)
    for mapping in asked.column_mappings:
        store.people.check({mapping.trait_group: {mapping.trait_name: None}}, "$.columnMappings")
    created = Import(
        ulid("mem_import", twilio),
        store,
        asked.filename,
        asked.file_size,
        asked.column_mappings,
        twilio.clock.now(),
    )
    memory.imports[created.id] = created
    host = request.headers.get("host", "storage.twilio.invalid")
    ends = int(twilio.clock.now()) + VALID
    signed = f"Expires={ends}&Signature={_signature(created.id, ends)}"
    url = f"http://{host}/storage/imports/{created.id}?{signed}"
    return json_reply({"importId": created.id, "url": url}, 201)


@routes("GET", "")
def list_imports(twilio: State, request: Request, store_id: str) -> Reply:
    store, (size, newest_first) = twilio.part(Memory).store(store_id), listed(request)
    ids = [each.id for each in twilio.part(Memory).imports.values() if each.store is store]
    items, meta = page(request, "imports", ids[::-1] if newest_first else ids, min(size, 100))
    return json_reply({"imports": items, "meta": meta})


@routes("GET", "/{importId}")
def fetch(twilio: State, request: Request, store_id: str, import_id: str) -> Reply:
    memory, now = twilio.part(Memory), twilio.clock.now()
    memory.store(store_id)
    found = memory.imports.get(import_id)
    if found is None or found.store.id != store_id:
        raise Problem(404, 20404, "The import was not found")
    shown: dict[str, Any] = {
        "status": "PENDING" if found.ends is None else "PROCESSING",
        "filename": found.filename,
        "createdAt": iso(found.created),
        "fileSize": found.size,
        "columnMappings": found.columns,
    }
    if found.ends is not None and now >= found.ends:
        shown["status"] = "FAILED" if found.failed else "COMPLETED"
        shown["updatedAt"] = iso(found.ends)
        shown["summary"] = {"errors": found.errors, "warnings": found.warnings}
    return json_reply(shown)


@storage("PUT", "/{importId}", access="anyone")
def upload(twilio: State, request: Request, import_id: str) -> Reply:
    """Take the file of an import, which is read after the pace of operations. No credentials of Twilio's."""
    if "authorization" in request.headers:
        raise Problem(400, 400, "Only one auth mechanism allowed")
    memory, ends = twilio.part(Memory), request.values.get("Expires", "0")
    good = ends.isdecimal() and request.values.get("Signature") == _signature(import_id, int(ends))
    if not good or int(ends) < twilio.clock.now() or import_id not in memory.imports:
        raise Problem(403, 403, "The signature does not match, or has expired")
    found, now = memory.imports[import_id], twilio.clock.now()
    found.ends = now + twilio.options.pace
    if len(request.body) != found.size:
        found.failed = True
        return Reply(200)
    _read(found, request.body, now)
    return Reply(200)


def _read(found: Import, body: bytes, now: float) -> None:
    """Read the rows into the store; those without a valid identifier are counted as errors."""
    try:
        rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""))
        missing = {column.column_name for column in found.columns} - set(rows.fieldnames or ())
        if missing:
            found.failed = True
            return
        for row in rows:
            traits = _traits(found.store, found.columns, row)
            if found.store.people.upsert(traits, now) is None:
                found.errors += 1
    except (UnicodeDecodeError, csv.Error):
        found.failed = True


def _traits(store: Store, columns: list[ColumnMapping], row: dict[str, str]) -> dict[str, dict[str, Any]]:
    traits: dict[str, dict[str, Any]] = {}
    for column in columns:
        value = _typed(row.get(column.column_name) or "", _kind(store, column))
        if value is not None:
            traits.setdefault(column.trait_group, {})[column.trait_name] = value
    return traits


def _kind(store: Store, column: ColumnMapping) -> str:
    return store.people.groups[column.trait_group].traits[column.trait_name].data_type


def _typed(text: str, kind: str) -> Any:
    """Read a cell as its trait's type; None if it is empty or not one."""
    if kind == "BOOLEAN":
        return {"true": True, "false": False}.get(text.lower())
    if kind == "NUMBER":
        try:
            return int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            return None
    return text or None


def _signature(import_id: str, ends: int) -> str:
    return hashlib.sha256(f"emulator import {import_id} {ends}".encode()).hexdigest()
