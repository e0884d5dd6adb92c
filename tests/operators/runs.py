"""Runs of every kind and age, and what a send in one of them would be."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.fakes import MemoryStore, context
from tests.operators.bulk_sends import bulk

if TYPE_CHECKING:
    from airflow_provider_twilio_comms.emulator.server import Running

__all__ = ["DE", "GB", "US", "a_run", "received", "report"]

US, DE, GB = "+12025550101", "+4915255501001", "+447700900123"


def a_run(kind: str = "scheduled", store: MemoryStore | None = None, age: float = 0.0, **kwargs: Any) -> Any:
    """The context of a try in a run of some kind whose data interval ended so many seconds ago."""
    values = context(store or MemoryStore(), **kwargs)
    run_type = SimpleNamespace(value=kind)
    values["dag_run"] = SimpleNamespace(clear_number=0, run_type=run_type, start_date=None)
    values["data_interval_end"] = datetime.now(timezone.utc) - timedelta(seconds=age)
    return values


def received(emulator: Running) -> list[str]:
    return sorted(emulator.twilio.ledger.to_dict()["recipients"])


def report(recipients: Any, **kwargs: Any) -> dict[str, Any]:
    values = a_run()
    result = bulk(recipients, dry_run=True, **kwargs).execute(values)
    assert result
    assert result["status"] == "DRY_RUN"
    return dict(values["ti"].xcoms["preflight"])
