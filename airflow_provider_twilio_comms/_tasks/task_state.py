"""The ledger of a task, in Airflow's task state store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import airflow.sdk

from airflow_provider_twilio_comms._core.sending.ledger import Ledger, send_id

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ledger_of"]


def ledger_of(context: Context, send_key: str | None, *, anew: bool, noun: str = "chunk") -> Ledger:
    """The ledger of this task instance; ``anew`` says that a clear is meant to send again.

    Airflow before 3.3 has no store: there, what a retry knows is what Twilio's list shows.
    """
    ti: Any = context["ti"]
    key = send_key or f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}"
    clears = int(getattr(context.get("dag_run"), "clear_number", 0) or 0) if anew else 0
    return Ledger(
        context.get("task_state_store"),
        send_id(key, clears),
        retried=ti.try_number > 1,
        forever=getattr(airflow.sdk, "NEVER_EXPIRE", None),
        noun=noun,
    )
