"""Check and read the arguments of operators and sensors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms.exceptions import InvalidInput


def seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def one_of(name: str, value: Any, *allowed: str) -> Any:
    """A choice that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if value not in allowed:
        raise InvalidInput.at(name, f"{value!r} is unknown", f"Use {', '.join(allowed)}")
    return value


def count_of(name: str, value: int, most: int) -> int:
    """A number from 1 that can be checked when the DAG is parsed. Raises :class:`InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput.at(name, f"{value!r} is not possible", f"Give a number from 1 to {most:,}")
    return value


def or_default(deferrable: bool | None) -> bool:
    """Whether to wait in the triggerer: as the author says, else as the configuration does."""
    if deferrable is not None:
        return deferrable
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def ids_of(field: str, given: Any, pattern: str, looks: str) -> list[str]:
    """Twilio's ids: one, several, or what a template makes of a list, which is its text.

    Raises :class:`InvalidInput` where there are none, or one that is not like ``looks``.
    """
    texts = (
        [part.strip("'\" ") for part in given.strip("[]() ").split(",")] if isinstance(given, str) else given
    )
    ids = [text for text in texts or () if text]
    if not ids:
        raise InvalidInput.at(field, "there are none", f"Give at least one: {looks}")
    for row, text in enumerate(ids, 1):
        if not isinstance(text, str) or not re.fullmatch(pattern, text):
            raise InvalidInput.at(field, "not a valid value", f"Expected {looks}", row)
    return list(dict.fromkeys(ids))
