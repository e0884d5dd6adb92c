"""Check a notifier's arguments when the DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours
from airflow_provider_twilio_comms.exceptions import InvalidInput

LONGEST = timedelta(days=7)


def accessors() -> dict[str, Any]:
    """Get ``var`` and ``conn``, which a template expects of any context, and a deadline's lacks."""
    try:
        from airflow.sdk.execution_time.context import ConnectionAccessor, VariableAccessor
    except ImportError:
        return {}
    values = {
        "json": VariableAccessor(deserialize_json=True),
        "value": VariableAccessor(deserialize_json=False),
    }
    return {"var": values, "conn": ConnectionAccessor()}


def window_of(value: timedelta | float | None) -> float:
    window = value if isinstance(value, timedelta) else timedelta(seconds=value or 0)
    if not timedelta() <= window <= LONGEST:
        raise InvalidInput.at("window", f"{value!r} is not possible", "Give up to seven days")
    return window.total_seconds()


def at_least_one(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InvalidInput.at(name, f"{value!r} is not possible", "Give a number from 1")
    return value


def quiet_hours_of(given: str | None) -> QuietHours | None:
    """Parse the quiet hours of those on duty, who share one time zone. Raises :class:`InvalidInput`."""
    if given is None:
        return None
    hours = QuietHours.parse(given)
    if hours.zone is None:
        fix = f"Name the time zone too: '{given} Europe/Lisbon'"
        raise InvalidInput.at("quiet_hours", f"{given!r} has no time zone", fix)
    return hours
