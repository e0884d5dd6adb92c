"""Imports of profiles from CSV files: https://www.twilio.com/docs/api/memory/v1/profile-imports"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.comms._paging import filters, listing
from airflow_provider_twilio_comms.api.memory._shared import PROFILES, ImportId, Name, at
from airflow_provider_twilio_comms.api.wire import Call, Page, decoded

__all__ = ["ColumnMapping", "Created", "Import", "Summary", "create", "fetch", "list"]

IMPORTS = f"{PROFILES}/Imports"
MOST_BYTES = 104_857_600  # of one file


class ColumnMapping(msgspec.Struct, frozen=True, rename="camel"):
    """A column of the file, and the trait that its values become."""

    column_name: Name
    trait_group: Name
    trait_name: Name


class Created(msgspec.Struct, frozen=True, rename="camel"):
    """An import that waits for its file: upload it to ``url``, without credentials, within half an hour."""

    import_id: str
    url: str

    def __repr__(self) -> str:
        return f"Created(import_id={self.import_id!r})"


class Summary(msgspec.Struct, frozen=True):
    """Counts of an import's rows; Twilio does not say which they are."""

    errors: int = 0
    warnings: int = 0


class Import(msgspec.Struct, frozen=True, rename="camel"):
    """An import. ``status`` is PENDING, PROCESSING, COMPLETED, FAILED, or one that is newer."""

    status: str
    filename: str | None = None
    file_size: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    column_mappings: tuple[ColumnMapping, ...] = ()
    summary: Summary = Summary()

    @property
    def done(self) -> bool:
        """It has ended, well or not; a status that is not known is not an end."""
        return self.status in ("COMPLETED", "FAILED")


def create(
    store_id: str,
    filename: str,
    file_size: int,
    column_mappings: Sequence[ColumnMapping | dict[str, Any]],
) -> Call[Created]:
    """Announce a file of 1 byte to 100 MiB: ``POST /v1/Stores/{storeId}/Profiles/Imports``.

    ``column_mappings`` are 2 to 100. Then upload the file: ``yield Upload(created.url, file)``.
    """
    columns = Annotated[
        Sequence[ColumnMapping],
        Meta(min_length=2, max_length=100, description="2 to 100 of columnName, traitGroup, traitName"),
    ]
    size = Annotated[int, Meta(ge=1, le=MOST_BYTES, description="1 to 104,857,600 bytes")]
    name = Annotated[str, Meta(min_length=1, max_length=255, description="1 to 255 characters")]
    body = {
        "filename": valid("filename", filename, name),
        "fileSize": valid("file_size", file_size, size),
        "columnMappings": valid("column_mappings", msgspec.to_builtins(column_mappings), columns),
    }
    return Call("POST", IMPORTS, lambda reply: decoded(reply, Created), "memory", at(store_id), json=body)


def list(
    store_id: str, *, page_size: int | None = None, order_by: Literal["ASC", "DESC"] | None = None
) -> Call[Page[str]]:
    """List the ids of imports: ``GET /v1/Stores/{storeId}/Profiles/Imports``."""
    query = filters(page_size=page_size, order_by=order_by)
    return listing(IMPORTS, "imports", str, query, path_values=at(store_id), product="memory")


def fetch(store_id: str, import_id: str) -> Call[Import]:
    """Read an import: ``GET /v1/Stores/{storeId}/Profiles/Imports/{importId}``."""
    values = at(store_id, importId=valid("import_id", import_id, ImportId))
    return Call("GET", f"{IMPORTS}/{{importId}}", lambda reply: decoded(reply, Import), "memory", values)
