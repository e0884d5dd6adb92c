"""Operations of asynchronous changes: one shape for memory stores and for cohorts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from airflow_provider_twilio_comms.exceptions import scrub

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class OperationError(msgspec.Struct, frozen=True):
    """The reason why an operation failed, as Problem Details (RFC 9457)."""

    type: str | None = None
    title: str | None = None
    code: int | None = None
    detail: str | None = None

    def __str__(self) -> str:
        text = self.detail or self.title or "no reason given"
        return scrub(f"{text} (code {self.code})" if self.code else text)

    __repr__ = __str__


class BaseOperation(msgspec.Struct, frozen=True, rename="camel"):
    """An operation. ``status`` is PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, or one that is newer."""

    operation_id: str
    status: str = "PENDING"
    created_at: datetime | None = None
    completed_at: datetime | None = None
    status_url: str | None = None
    result_url: str | None = None
    result: dict[str, Any] | None = None
    error: OperationError | None = None

    @property
    def done(self) -> bool:
        """It has ended, well or not; a status that is not known is not an end."""
        return self.status in FINAL


def last_part(address: str | None) -> str | None:
    """The id at the end of an address; None if there is none."""
    return (address or "").split("?")[0].rstrip("/").rpartition("/")[2] or None
